//! What a connection joins: local subnets and peer CIDRs, given in one of two ways.

use super::guard;
use crate::Failure;
use crate::context::Context;
use karez_engine::NEVER;
use karez_model::address;
use karez_model::{Kind, Object, Reason};

/// Checks the selectors and returns whether they are IPv6. Which way they are given in depends on
/// whether the service has a subnet.
pub(super) fn inner_version(
    context: &mut Context<'_, '_>,
    connection: &Object,
    service: &Object,
) -> Result<bool, Failure> {
    let (local, peer) = match service.opt_text("subnet_id") {
        Some(subnet) => by_subnet(context, connection, service, subnet)?,
        None => by_groups(context, connection, service)?,
    };
    if local == peer {
        return Ok(local);
    }
    Err(Failure::fault(
        Reason::MixedIPVersionsForIPSecConnection,
        format!(
            "The local side is IPv{} and the peer's is IPv{}; both must be of one IP version",
            number(local),
            number(peer)
        ),
    ))
}

fn by_subnet(
    context: &mut Context<'_, '_>,
    connection: &Object,
    service: &Object,
    subnet_id: &str,
) -> Result<(bool, bool), Failure> {
    let cidrs: Vec<&str> = connection.texts("peer_cidrs").collect();
    if cidrs.is_empty() {
        return Err(Failure::fault(
            Reason::MissingPeerCidrs,
            format!("peer_cidrs is required: the vpnservice {} has a subnet", service.id()),
        ));
    }
    let groups = given_groups(connection);
    if !groups.is_empty() {
        return Err(Failure::fault(
            Reason::InvalidEndpointGroup,
            format!(
                "{} cannot be used: the vpnservice {} has a subnet, so the connection takes peer_cidrs only",
                groups.join(" and "),
                service.id()
            ),
        ));
    }
    let peer = one_version(cidrs.iter().copied(), |list| {
        Failure::fault(
            Reason::MixedIPVersionsForPeerCidrs,
            format!("peer_cidrs {list} mix IPv4 and IPv6; make two connections"),
        )
    })?;
    for cidr in &cidrs {
        if let Some(why) = protected(context, cidr) {
            return Err(Failure::fault(
                Reason::IPsecSiteConnectionPeerCidrError,
                format!("peer_cidrs has {cidr}, {why}"),
            ));
        }
    }
    let subnet = context.existing(Kind::Subnet, subnet_id)?;
    Ok((subnet.int("ip_version") == 6, peer))
}

fn by_groups(
    context: &mut Context<'_, '_>,
    connection: &Object,
    service: &Object,
) -> Result<(bool, bool), Failure> {
    if connection.texts("peer_cidrs").next().is_some() {
        return Err(Failure::fault(
            Reason::PeerCidrsInvalid,
            format!(
                "peer_cidrs cannot be used: the vpnservice {} has no subnet; use endpoint groups",
                service.id()
            ),
        ));
    }
    let (Some(local), Some(peer)) =
        (connection.opt_text("local_ep_group_id"), connection.opt_text("peer_ep_group_id"))
    else {
        let given = given_groups(connection);
        let missing = GROUPS.iter().filter(|name| !given.contains(name)).copied().collect::<Vec<_>>();
        return Err(Failure::fault(
            Reason::MissingRequiredEndpointGroup,
            format!("{} is required: the vpnservice {} has no subnet", missing.join(" and "), service.id()),
        ));
    };
    let local = context.visible(Kind::EndpointGroup, local)?;
    let peer = context.visible(Kind::EndpointGroup, peer)?;
    check_type(&local, "local_ep_group_id", "subnet")?;
    let subnets: Vec<String> = local.texts("endpoints").map(str::to_owned).collect();
    check_local_subnets(context, service.text("router_id"), &subnets)?;
    let mut cidrs = Vec::with_capacity(subnets.len());
    for subnet in &subnets {
        cidrs.push(context.existing(Kind::Subnet, subnet)?.text("cidr").to_owned());
    }
    let local_version = one_version(cidrs.iter().map(String::as_str), |_| mixed(&local))?;
    check_type(&peer, "peer_ep_group_id", "cidr")?;
    check_protected(context, &peer)?;
    let peer_version = one_version(peer.texts("endpoints"), |_| mixed(&peer))?;
    Ok((local_version, peer_version))
}

/// Why no tunnel may lead to a network; none when one may, or when it is none.
pub(super) fn protected(context: &Context<'_, '_>, cidr: &str) -> Option<String> {
    let around = *context.settings.bounds.around(&address::cidr(cidr).ok()?)?;
    // Which networks an operator has is not everybody's business.
    let which = if NEVER.contains(&around) { format!("which is in {around}, ") } else { String::new() };
    Some(format!("{which}which no tunnel may lead to. Give another network, or ask the operator"))
}

const GROUPS: [&str; 2] = ["local_ep_group_id", "peer_ep_group_id"];

fn given_groups(connection: &Object) -> Vec<&'static str> {
    GROUPS.into_iter().filter(|name| connection.opt_text(name).is_some()).collect()
}

/// Holds the router of a connection whose local subnets come from a group, so that none of them
/// is taken from the router at the same time, and checks that they are on it.
fn check_local_subnets(
    context: &mut Context<'_, '_>,
    router_id: &str,
    subnets: &[String],
) -> Result<(), Failure> {
    context.tx.hold(Kind::Router, router_id)?;
    subnets.iter().try_for_each(|subnet| guard::check_connected(context, router_id, subnet))
}

fn check_protected(context: &Context<'_, '_>, group: &Object) -> Result<(), Failure> {
    let why = |cidr| protected(context, cidr).map(|why| (cidr, why));
    match group.texts("endpoints").find_map(why) {
        None => Ok(()),
        Some((cidr, why)) => Err(Failure::fault(
            Reason::InvalidEndpointGroup,
            format!("The endpoint group {} has {cidr}, {why}", group.id()),
        )),
    }
}

fn check_type(group: &Object, attribute: &str, wanted: &str) -> Result<(), Failure> {
    if group.text("type") == wanted {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::WrongEndpointGroupType,
        format!(
            "{attribute} names the endpoint group {} of the type '{}'; the type should be '{wanted}'",
            group.id(),
            group.text("type")
        ),
    ))
}

fn mixed(group: &Object) -> Failure {
    Failure::fault(
        Reason::MixedIPVersionsForIPSecEndpoints,
        format!(
            "The endpoint group {} mixes IPv4 and IPv6; make a group and a connection for each",
            group.id()
        ),
    )
}

/// Whether the CIDRs are IPv6, all of them or none.
fn one_version<'a>(
    cidrs: impl Iterator<Item = &'a str> + Clone,
    mixed: impl FnOnce(String) -> Failure,
) -> Result<bool, Failure> {
    let is_v6 = |text: &str| match address::cidr(text) {
        Ok(cidr) => Ok(cidr.addr().is_ipv6()),
        Err(why) => Err(Failure::fault(Reason::IPsecSiteConnectionPeerCidrError, why)),
    };
    let versions = cidrs.clone().map(is_v6).collect::<Result<Vec<_>, _>>()?;
    let first = versions.first().copied().unwrap_or_default();
    if versions.iter().all(|version| *version == first) {
        return Ok(first);
    }
    Err(mixed(cidrs.collect::<Vec<_>>().join(", ")))
}

fn number(is_v6: bool) -> u8 {
    if is_v6 { 6 } else { 4 }
}
