//! Routing rules: which table a packet's route is looked up in. Ours are told apart by their protocol number.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::route::RouteProtocol;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::batch::Batch;
use crate::netlink::Netlink;
use crate::route::PROTOCOL;
use crate::{Error, errno};

/// Packets from one network to another look for their route in this table before they do in the next rule's.
///
/// The kernel goes through rules one by one for each packet that it routes: tens are nothing, thousands are felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoutingRule {
    /// Lower ones come first. The kernel's own are 0 (its addresses), 32766 (the main table) and 32767.
    pub priority: u32,
    /// Where packets come from; of the same family as `to`.
    pub from: IpNet,
    /// Where packets go.
    pub to: IpNet,
    /// The table that they are looked up in.
    pub table: u32,
}

impl Netlink {
    /// Our rules, in the kernel's order, IPv4 first.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn rules(&self) -> Result<Vec<RoutingRule>, Error> {
        let mut rules = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            rules.extend(
                self.all_rules(family).await?.into_iter().filter(Found::is_ours).map(|found| found.rule),
            );
        }
        Ok(rules)
    }

    /// Takes away the rules, whoever has made them, that have this number and lead all packets into the table of this
    /// number, whatever their mark. The kernel cannot be told which of several with one number is meant: others of that
    /// number and table that come before may go with them.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::System`].
    pub async fn remove_rules_for_all(&self, priority: u32, table: u32) -> Result<bool, Error> {
        let mut has_changed = false;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            while let Some(rule) = self.rule_for_all(family, priority, table).await? {
                let mut message = message(&rule);
                message.attributes.retain(|attribute| !matches!(attribute, RuleAttribute::Protocol(_)));
                if !self.take_away(message, &rule).await? {
                    break;
                }
                has_changed = true;
            }
        }
        Ok(has_changed)
    }

    async fn rule_for_all(
        &self,
        family: AddressFamily,
        priority: u32,
        table: u32,
    ) -> Result<Option<RoutingRule>, Error> {
        let is_it = |found: &Found| {
            let rule = &found.rule;
            let is_for_all = rule.from.prefix_len() == 0 && rule.to.prefix_len() == 0 && found.is_for_all;
            is_for_all && (rule.priority, rule.table) == (priority, table)
        };
        Ok(self.all_rules(family).await?.into_iter().find(is_it).map(|found| found.rule))
    }

    async fn all_rules(&self, family: AddressFamily) -> Result<Vec<Found>, Error> {
        let mut request = RuleMessage::default();
        request.header.family = family;
        let answers = self.dump(RouteNetlinkMessage::GetRule(request), "list routing rules").await?;
        Ok(answers.into_iter().filter_map(observed).collect())
    }

    /// Makes exactly these rules ours: missing ones are added, our surplus ones removed; rules of others stay.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::System`].
    pub async fn ensure_rules(&self, wanted: &BTreeSet<RoutingRule>) -> Result<bool, Error> {
        let found: BTreeSet<_> = self.rules().await?.into_iter().collect();
        let mut batch = Batch::default();
        for rule in wanted.difference(&found) {
            batch.add(self.add_rule(rule).await);
        }
        for rule in found.difference(wanted) {
            batch.add(self.remove_rule(rule).await);
        }
        batch.end()
    }

    async fn add_rule(&self, rule: &RoutingRule) -> Result<bool, Error> {
        match self.change(RouteNetlinkMessage::NewRule(message(rule)), NLM_F_CREATE | NLM_F_EXCL).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::EEXIST) => Ok(false),
            Err(source) => Err(self.failed(format!("add the routing rule {rule}"), source)),
        }
    }

    async fn remove_rule(&self, rule: &RoutingRule) -> Result<bool, Error> {
        self.take_away(message(rule), rule).await
    }

    async fn take_away(&self, message: RuleMessage, rule: &RoutingRule) -> Result<bool, Error> {
        match self.change(RouteNetlinkMessage::DelRule(message), 0).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::ENOENT) => Ok(false),
            Err(source) => Err(self.failed(format!("remove the routing rule {rule}"), source)),
        }
    }
}

impl fmt::Display for RoutingRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, from, to, table } = self;
        write!(formatter, "{priority}: from {from} to {to} lookup {table}")
    }
}

fn message(rule: &RoutingRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family =
        if rule.from.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.action = RuleAction::ToTable;
    message.header.src_len = rule.from.prefix_len();
    message.header.dst_len = rule.to.prefix_len();
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)),
    ];
    // The kernel refuses an address of no bits.
    if rule.from.prefix_len() > 0 {
        message.attributes.push(RuleAttribute::Source(rule.from.network()));
    }
    if rule.to.prefix_len() > 0 {
        message.attributes.push(RuleAttribute::Destination(rule.to.network()));
    }
    message
}

/// A rule in the kernel, and who has made it.
struct Found {
    rule: RoutingRule,
    protocol: u8,
    /// Whether it asks for neither a mark nor a link.
    is_for_all: bool,
}

impl Found {
    const fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL
    }
}

fn observed(message: RouteNetlinkMessage) -> Option<Found> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let anywhere = match message.header.family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut from, mut to, mut priority, mut protocol) = (anywhere, anywhere, 0, 0);
    let (mut table, mut is_for_all) = (u32::from(message.header.table), true);
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = address,
            RuleAttribute::Destination(address) => to = address,
            RuleAttribute::Priority(found) => priority = found,
            RuleAttribute::Table(found) => table = found,
            RuleAttribute::Protocol(found) => protocol = u8::from(found),
            RuleAttribute::FwMark(_) | RuleAttribute::Iifname(_) | RuleAttribute::Oifname(_) => {
                is_for_all = false
            }
            _ => {}
        }
    }
    let from = IpNet::new(from, message.header.src_len).ok()?;
    let to = IpNet::new(to, message.header.dst_len).ok()?;
    Some(Found { rule: RoutingRule { priority, from, to, table }, protocol, is_for_all })
}
