//! The kernel's side of lanes: one socket, and one message after the other, which costs some microseconds each.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{Entry, PRIORITY, PROTOCOL, TABLES};
use crate::{LOOPBACK, errno};

/// The metric that the kernel gives to an IPv6 route that asks for none.
const IPV6_METRIC: u32 = 1024;

/// A route of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) net: IpNet,
    /// 0 is the kernel's default.
    pub(super) metric: u32,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// By the device of this number.
    Device(u32),
    /// To the rules that follow.
    Throw,
    /// Into nothing.
    Blackhole,
}

impl Line {
    /// What the kernel lets one route of a table only have.
    pub(super) fn place(&self) -> (IpNet, u32) {
        (self.net, self.metric)
    }
}

/// A conversation about the namespace of the calling thread.
pub(super) struct Kernel(Socket);

impl Kernel {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // With it the kernel tells of the table that it is asked for, and not of all; an old one tells of all.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self(socket))
    }

    /// The rules that lead into lanes.
    pub(super) fn rules(&self) -> io::Result<Vec<(u32, Entry)>> {
        let mut rules = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RuleMessage::default();
            request.header.family = family;
            let answers = self.ask(RouteNetlinkMessage::GetRule(request), NLM_F_DUMP)?;
            rules.extend(answers.into_iter().filter_map(rule));
        }
        Ok(rules)
    }

    /// The routes in a table, of the IP version of this address.
    pub(super) fn routes(&self, table: u32, version: IpAddr) -> io::Result<BTreeSet<Line>> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(version);
        request.attributes.push(RouteAttribute::Table(table));
        let answers = self.ask(RouteNetlinkMessage::GetRoute(request), NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(|answer| line(answer, table)).collect())
    }

    /// Adds a route, in the place of another where there is one.
    pub(super) fn put(&self, table: u32, line: &Line) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewRoute(route(table, line));
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, None)
    }

    pub(super) fn remove(&self, table: u32, line: &Line) -> io::Result<()> {
        let mut message = route(table, line);
        // Whoever has made it.
        message.header.protocol = RouteProtocol::Unspec;
        message.header.scope = RouteScope::NoWhere;
        self.change(RouteNetlinkMessage::DelRoute(message), 0, Some(errno::ESRCH))
    }

    pub(super) fn add_rule(&self, table: u32, entry: &Entry) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewRule(rule_message(table, entry));
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, Some(errno::EEXIST))
    }

    pub(super) fn remove_rule(&self, table: u32, entry: &Entry) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelRule(rule_message(table, entry)), 0, Some(errno::ENOENT))
    }

    /// The addresses on the loopback that are held.
    pub(super) fn held(&self) -> io::Result<BTreeSet<IpAddr>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        Ok(self.ask(request, NLM_F_DUMP)?.into_iter().filter_map(held).collect())
    }

    pub(super) fn add_held(&self, address: IpAddr) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewAddress(held_message(address));
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, Some(errno::EEXIST))
    }

    pub(super) fn remove_held(&self, address: IpAddr) -> io::Result<()> {
        let request = RouteNetlinkMessage::DelAddress(held_message(address));
        self.change(request, 0, Some(errno::EADDRNOTAVAIL))
    }

    /// The addresses that count for the machine's own, by way of the loopback, where packets are led to this table.
    pub(super) fn locals(&self, table: u32, version: IpAddr) -> io::Result<BTreeSet<IpAddr>> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(version);
        request.attributes.push(RouteAttribute::Table(table));
        let answers = self.ask(RouteNetlinkMessage::GetRoute(request), NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(|answer| local(answer, table)).collect())
    }

    pub(super) fn add_local(&self, table: u32, address: IpAddr) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewRoute(local_message(table, address));
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, Some(errno::EEXIST))
    }

    pub(super) fn remove_local(&self, table: u32, address: IpAddr) -> io::Result<()> {
        let mut message = local_message(table, address);
        message.header.protocol = RouteProtocol::Unspec;
        message.header.scope = RouteScope::NoWhere;
        self.change(RouteNetlinkMessage::DelRoute(message), 0, Some(errno::ESRCH))
    }

    fn change(
        &self,
        request: RouteNetlinkMessage,
        flags: u16,
        done: Option<nix::errno::Errno>,
    ) -> io::Result<()> {
        match self.ask(request, NLM_F_ACK | flags) {
            Ok(_) => Ok(()),
            Err(error) if done.is_some_and(|done| errno::is(&error, done)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, request: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | flags;
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.0.send(&octets, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                match answer.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(error) => {
                        let error = error.to_io();
                        // Neither a table that nothing was ever in nor an IP version that the kernel has not is a failure.
                        let nothing = [errno::ENOENT, errno::EAFNOSUPPORT];
                        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
                        if is_dump && nothing.iter().any(|nothing| errno::is(&error, *nothing)) {
                            return Ok(answers);
                        }
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn rule_message(table: u32, entry: &Entry) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(entry.from.addr());
    message.header.action = RuleAction::ToTable;
    message.header.src_len = entry.from.prefix_len();
    message.attributes = vec![
        RuleAttribute::Priority(PRIORITY),
        RuleAttribute::Table(table),
        RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)),
        RuleAttribute::Iifname(entry.link.clone()),
    ];
    // The kernel refuses an address of no bits.
    if entry.from.prefix_len() > 0 {
        message.attributes.push(RuleAttribute::Source(entry.from.network()));
    }
    message
}

fn rule(message: RouteNetlinkMessage) -> Option<(u32, Entry)> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let mut from: IpAddr = match message.header.family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut link, mut table, mut protocol, mut priority) = (None, 0, 0, 0);
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = address,
            RuleAttribute::Iifname(name) => link = Some(name),
            RuleAttribute::Table(found) => table = found,
            RuleAttribute::Protocol(found) => protocol = u8::from(found),
            RuleAttribute::Priority(found) => priority = found,
            _ => {}
        }
    }
    let entry = Entry { link: link?, from: IpNet::new(from, message.header.src_len).ok()? };
    (protocol == PROTOCOL && priority == PRIORITY && TABLES.contains(&table)).then_some((table, entry))
}

fn route(table: u32, line: &Line) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(line.net.addr());
    header.destination_prefix_length = line.net.prefix_len();
    header.protocol = RouteProtocol::Other(PROTOCOL);
    (header.kind, header.scope) = match line.kind {
        Kind::Device(_) if line.net.addr().is_ipv4() => (RouteType::Unicast, RouteScope::Link),
        Kind::Device(_) => (RouteType::Unicast, RouteScope::Universe),
        Kind::Throw => (RouteType::Throw, RouteScope::Universe),
        Kind::Blackhole => (RouteType::BlackHole, RouteScope::Universe),
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(table));
    if line.net.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(address(line.net.network())));
    }
    if let Kind::Device(device) = line.kind {
        attributes.push(RouteAttribute::Oif(device));
    }
    match line.metric {
        0 if line.net.addr().is_ipv4() => {}
        // What is removed without one may be a route of another metric.
        0 => attributes.push(RouteAttribute::Priority(IPV6_METRIC)),
        metric => attributes.push(RouteAttribute::Priority(metric)),
    }
    message
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// An address is held that has no route of its own to a network, on the loopback; in IPv4 its scope says so too, with which
/// the kernel does not choose it as a source.
fn held_message(address: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = length(address);
    message.header.index = LOOPBACK;
    let mut flags = AddressFlags::Noprefixroute;
    if address.is_ipv4() {
        message.header.scope = AddressScope::Site;
    } else {
        flags |= AddressFlags::Nodad;
    }
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
        AddressAttribute::Flags(flags),
    ];
    message
}

fn held(message: RouteNetlinkMessage) -> Option<IpAddr> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let (mut address, mut is_held) = (None, false);
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(found),
            AddressAttribute::Flags(flags) => is_held = flags.contains(AddressFlags::Noprefixroute),
            _ => {}
        }
    }
    let (address, header) = (address?, message.header);
    let is_scope = address.is_ipv6() || header.scope == AddressScope::Site;
    (is_held && is_scope && header.index == LOOPBACK && header.prefix_len == length(address))
        .then_some(address)
}

fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn local_message(table: u32, address: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(address);
    message.header.destination_prefix_length = length(address);
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.header.scope = RouteScope::Host;
    message.header.kind = RouteType::Local;
    message.attributes = vec![
        RouteAttribute::Table(table),
        RouteAttribute::Destination(self::address(address)),
        RouteAttribute::Oif(LOOPBACK),
    ];
    message
}

fn local(message: RouteNetlinkMessage, of: u32) -> Option<IpAddr> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let (mut address, mut table, mut device) = (None, u32::from(message.header.table), 0);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(found)) => address = Some(IpAddr::from(found)),
            RouteAttribute::Destination(RouteAddress::Inet6(found)) => address = Some(found.into()),
            RouteAttribute::Table(found) => table = found,
            RouteAttribute::Oif(found) => device = found,
            _ => {}
        }
    }
    let is_local = message.header.kind == RouteType::Local && table == of && device == LOOPBACK;
    address.filter(|address| is_local && message.header.destination_prefix_length == length(*address))
}

/// Also somebody else's in a table of ours, which has no place there.
fn line(message: RouteNetlinkMessage, of: u32) -> Option<Line> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let (mut net, default): (IpAddr, u32) = match message.header.address_family {
        AddressFamily::Inet => (Ipv4Addr::UNSPECIFIED.into(), 0),
        AddressFamily::Inet6 => (Ipv6Addr::UNSPECIFIED.into(), IPV6_METRIC),
        _ => return None,
    };
    let (mut table, mut device, mut metric) = (u32::from(message.header.table), 0, 0);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => net = address.into(),
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => net = address.into(),
            RouteAttribute::Table(found) => table = found,
            RouteAttribute::Oif(found) => device = found,
            RouteAttribute::Priority(found) => metric = found,
            _ => {}
        }
    }
    let kind = match message.header.kind {
        RouteType::Unicast => Kind::Device(device),
        RouteType::Throw => Kind::Throw,
        RouteType::BlackHole => Kind::Blackhole,
        _ => return None,
    };
    let net = IpNet::new(net, message.header.destination_prefix_length).ok()?;
    let metric = if metric == default { 0 } else { metric };
    (table == of).then_some(Line { kind, net, metric })
}
