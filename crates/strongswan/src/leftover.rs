//! What a daemon that was killed has left in the kernel, that nobody renews or ends: security associations and policies
//! would go on sending into tunnels that are deleted since, with keys that are no longer the plan's; routes would send
//! in clear what was for a tunnel to a gateway that is the peer's no more.
//!
//! And what a running one has there: see [`installed`].
//!
//! Associations and policies are known by their addresses, those of the router's tunnels, so that others' IPsec in the
//! same namespace is left alone; routes and rules by the table's number, which is charon's own. Only called while no
//! daemon of ours runs there; when another one does, nothing is touched.

use ipnet::IpNet;
use karez_net::Namespace;
use karez_net::raw::{Socket, attribute};
use rustix::net::netlink::XFRM;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// `XFRM_MSG_…` in `linux/xfrm.h`.
const DELETE_STATE: u16 = 0x11;
const GET_STATE: u16 = 0x12;
const DELETE_POLICY: u16 = 0x14;
const GET_POLICY: u16 = 0x15;

/// `RTM_…` in `linux/rtnetlink.h`.
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const DELETE_RULE: u16 = 33;
const GET_RULE: u16 = 34;

/// `XFRMA_TMPL`.
const TEMPLATE: u16 = 5;

/// `RTN_LOCAL`: in charon's table these are of addresses that are held for it ([`karez_net::lane`]).
const LOCAL_ROUTE: u8 = 2;

/// `FRA_PRIORITY`.
const PRIORITY: u16 = 6;

/// The table of charon's routes, and the priority of its rule.
pub(crate) const TABLE: u8 = 220;

/// Directions of policies: `XFRM_POLICY_IN`, `XFRM_POLICY_OUT`.
pub(crate) const IN: u8 = 0;
pub(crate) const OUT: u8 = 1;

/// `XFRM_POLICY_FWD`: policies beyond it are those of sockets, and go with them.
const LAST_DIRECTION: u8 = 2;

/// IKE (RFC 7296, section 2).
const IKE_PORT: u16 = 500;

/// Removes associations and policies between one of these addresses and any other, and charon's routes. Blocks for a
/// moment.
///
/// # Errors
/// The kernel's.
pub(crate) fn remove(namespace: &Namespace, ours: &BTreeSet<IpAddr>) -> io::Result<()> {
    let removed = namespace.run(|| sweep(ours)).map_err(io::Error::other)??;
    if removed > 0 {
        tracing::info!(%namespace, removed, "what a daemon that was killed had left in the kernel is removed");
    }
    Ok(())
}

/// What the kernel has of IPsec.
#[derive(Default)]
pub(crate) struct Installed {
    /// The SPIs of all associations.
    pub(crate) spis: BTreeSet<u32>,
    /// Where from and where to packets go that policies lead into tunnels, with the policies' directions.
    pub(crate) policies: BTreeSet<(IpNet, IpNet, u8)>,
}

impl Installed {
    /// Whether packets from one to the other have a policy. For a range there is one for the smallest subnet around it.
    pub(crate) fn has_policy(&self, from: &IpNet, to: &IpNet, direction: u8) -> bool {
        let covers = |(policy_from, policy_to, of): &(IpNet, IpNet, u8)| {
            *of == direction && policy_from.contains(from) && policy_to.contains(to)
        };
        self.policies.contains(&(*from, *to, direction)) || self.policies.iter().any(covers)
    }
}

/// What the kernel has in the namespace of the calling thread.
///
/// # Errors
/// The kernel's.
pub(crate) fn installed() -> io::Result<Installed> {
    let Some(xfrm) = Socket::open(Some(XFRM))? else { return Ok(Installed::default()) };
    let spi = |state: &Vec<u8>| Some(u32::from_be_bytes(state.get(72..76)?.try_into().ok()?));
    let (states, policies) = (xfrm.all(GET_STATE, 24)?, xfrm.all(GET_POLICY, 64)?);
    Ok(Installed {
        spis: states.iter().filter_map(spi).collect(),
        policies: policies
            .iter()
            .filter(|policy| has_tunnel(policy))
            .filter_map(|one| selected(one))
            .collect(),
    })
}

/// Others let packets pass in clear, or nowhere.
fn has_tunnel(policy: &[u8]) -> bool {
    policy.get(168..).is_some_and(|attributes| attribute(attributes, TEMPLATE).is_some())
}

/// The networks of the `struct xfrm_selector` of a `struct xfrm_userpolicy_info`, and its direction.
fn selected(policy: &[u8]) -> Option<(IpNet, IpNet, u8)> {
    let family = policy.get(40..42)?;
    let net = |octets, length| IpNet::new(address(octets, family)?, length).ok();
    let to = net(policy.get(..16)?, *policy.get(42)?)?;
    let from = net(policy.get(16..32)?, *policy.get(43)?)?;
    Some((from, to, *policy.get(160)?))
}

fn sweep(ours: &BTreeSet<IpAddr>) -> io::Result<usize> {
    match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, IKE_PORT)) {
        Ok(_) => {}
        // Somebody else speaks IKE here, and what there is may be of them.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(0),
        Err(error) => return Err(error),
    }
    let mut removed = 0;
    // A kernel without IPsec has nothing of it.
    if let Some(xfrm) = Socket::open(Some(XFRM))? {
        // Policies first: without its associations a policy would ask the kernel for new ones. What is sent to ask for
        // all is as long as the `struct xfrm_userpolicy_id` or `xfrm_usersa_id` of one.
        let policies = xfrm.all(GET_POLICY, 64)?;
        removed += xfrm.each(DELETE_POLICY, policies.iter().filter_map(|policy| old_policy(policy, ours)))?;
        let states = xfrm.all(GET_STATE, 24)?;
        removed += xfrm.each(DELETE_STATE, states.iter().filter_map(|state| old_state(state, ours)))?;
    }
    // `NETLINK_ROUTE` is the number zero.
    if let Some(route) = Socket::open(None)? {
        let rules = route.all(GET_RULE, 12)?;
        removed += route.each(DELETE_RULE, rules.into_iter().filter(|rule| is_charons_rule(rule)))?;
        let routes = route.all(GET_ROUTE, 12)?;
        let is_old = |route: &Vec<u8>| is_charons(route) && route.get(7) != Some(&LOCAL_ROUTE);
        removed += route.each(DELETE_ROUTE, routes.into_iter().filter(is_old))?;
    }
    Ok(removed)
}

/// From a `struct rtmsg` or `struct fib_rule_hdr`.
fn is_charons(message: &[u8]) -> bool {
    message.get(4) == Some(&TABLE)
}

fn is_charons_rule(rule: &[u8]) -> bool {
    let priority = rule.get(12..).and_then(|attributes| attribute(attributes, PRIORITY));
    is_charons(rule) && priority == Some(u32::from(TABLE).to_ne_bytes().as_slice())
}

/// The `struct xfrm_usersa_id` of a `struct xfrm_usersa_info` that is ours: destination, SPI, family, protocol.
fn old_state(state: &[u8], ours: &BTreeSet<IpAddr>) -> Option<Vec<u8>> {
    let family = state.get(212..214)?;
    let ends = [address(state.get(80..96)?, family), address(state.get(56..72)?, family)];
    if !ends.into_iter().flatten().any(|end| ours.contains(&end)) {
        return None;
    }
    Some([state.get(56..76)?, family, state.get(76..77)?, &[0]].concat())
}

/// The `struct xfrm_userpolicy_id` of a `struct xfrm_userpolicy_info` that is ours: selector, index, direction. By the
/// ends of its tunnel, or, in transport mode, where these are the selector's, by that.
fn old_policy(policy: &[u8], ours: &BTreeSet<IpAddr>) -> Option<Vec<u8>> {
    let direction = *policy.get(160)?;
    let template = attribute(policy.get(168..)?, TEMPLATE)?;
    let family = template.get(24..26)?;
    let mut ends = [address(template.get(28..44)?, family), address(template.get(..16)?, family)];
    if ends.into_iter().flatten().all(|end| end.is_unspecified()) {
        let family = policy.get(40..42)?;
        ends = [address(policy.get(16..32)?, family), address(policy.get(..16)?, family)];
    }
    if direction > LAST_DIRECTION || !ends.into_iter().flatten().any(|end| ours.contains(&end)) {
        return None;
    }
    Some([policy.get(..56)?, policy.get(156..160)?, &[direction, 0, 0, 0]].concat())
}

/// An `xfrm_address_t` with its family.
fn address(octets: &[u8], family: &[u8]) -> Option<IpAddr> {
    match u16::from_ne_bytes(family.try_into().ok()?) {
        2 => <[u8; 4]>::try_from(octets.get(..4)?).ok().map(IpAddr::from),
        10 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}
