//! Whether packets of tunnels can get out of a router at all, as it is now.
//!
//! Only what is certain counts: a tunnel that works must not be called broken. What lies behind the router's links is
//! for the IKE daemon to find out.

use karez_engine::{Bounds, ConnectionId, Peer, RouterPlan, TunnelStatus};
use karez_net::{Error, LOOPBACK, Link, Netlink};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Tunnels that no packet can leave or come in for, each with what is missing.
pub type Severed = BTreeMap<ConnectionId, String>;

/// The ports of IKE (RFC 7296, section 2). Routing rules may lead them different ways, and with one that is open it is not
/// certain that the tunnel is severed.
const PORTS: [u16; 2] = [4500, 500];

/// The outer addresses of a tunnel that should be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The connection.
    pub connection: ConnectionId,
    /// Ours.
    pub local: IpAddr,
    /// The peer's; none when it has a name and has not been reached by it yet.
    pub peer: Option<IpAddr>,
}

/// The paths of a plan, with what is known of peers that have names. A tunnel that cannot be has none.
#[must_use]
pub fn paths<'a>(
    plan: &RouterPlan,
    bounds: &Bounds,
    status: impl Fn(ConnectionId) -> Option<&'a TunnelStatus>,
) -> Vec<Path> {
    let tunnels = plan.tunnels.iter().filter(|tunnel| tunnel.is_up && bounds.obstacle(tunnel).is_none());
    let path = |tunnel: &karez_engine::TunnelPlan| Path {
        connection: tunnel.id,
        local: tunnel.local,
        peer: match &tunnel.peer {
            Peer::Address(address) => Some(*address),
            Peer::Host(_) => {
                status(tunnel.id).and_then(|status| Some(status.ike.as_ref()?.peer.ip().to_canonical()))
            }
        },
    };
    tunnels.map(path).collect()
}

/// The same trouble for all.
pub(super) fn all(paths: &[Path], message: &str) -> Severed {
    paths.iter().map(|path| (path.connection, message.to_owned())).collect()
}

/// Looks at addresses, links and routes in the namespace that the tunnels end in; `place` is what it is called.
pub(super) async fn look(netlink: &Netlink, place: &str, paths: &[Path]) -> Result<Severed, Error> {
    let links = netlink.links().await?;
    let holders = netlink.holders().await?;
    let find = |index: u32| links.iter().find(|link| link.index == index);
    let mut known: BTreeMap<(IpAddr, Option<IpAddr>), Option<String>> = BTreeMap::new();
    let mut severed = Severed::new();
    for path in paths {
        let trouble = match known.get(&(path.local, path.peer)) {
            Some(trouble) => trouble.clone(),
            None => {
                let holders = holders.get(&path.local).into_iter().flatten();
                let holders: Vec<&Link> = holders.filter_map(|index| find(*index)).collect();
                let trouble = trouble(netlink, place, path, &holders, find).await?;
                known.entry((path.local, path.peer)).or_insert(trouble).clone()
            }
        };
        severed.extend(trouble.map(|trouble| (path.connection, trouble)));
    }
    Ok(severed)
}

async fn trouble<'a>(
    netlink: &Netlink,
    place: &str,
    path: &Path,
    holders: &[&Link],
    find: impl Fn(u32) -> Option<&'a Link>,
) -> Result<Option<String>, Error> {
    let Path { local, peer, .. } = path;
    let Some(holder) = holders.first() else { return Ok(Some(format!("{place} has no address {local}"))) };
    // It may be on a second link as well, as with VRRP; the kernel takes it for ours by any that is up.
    if !holders.iter().any(|holder| holder.up) {
        return Ok(Some(format!("link {}, which has the address {local}, is down in {place}", holder.name)));
    }
    let Some(peer) = peer.filter(|peer| peer.is_ipv4() == local.is_ipv4()) else { return Ok(None) };
    let mut trouble = None;
    for port in PORTS {
        let without = match netlink.way(*local, peer, port).await?.map(&find) {
            None => format!("{place} has no route to the peer's address {peer}"),
            Some(Some(link)) if link.index == LOOPBACK => {
                format!("the route to the peer's address {peer} leads back into {place}")
            }
            // The link that has the address is not always the one that packets leave by.
            Some(Some(link)) if !link.carrier => {
                format!(
                    "link {}, which leads to the peer's address {peer}, has no carrier in {place}",
                    link.name
                )
            }
            Some(_) => return Ok(None),
        };
        trouble.get_or_insert(without);
    }
    Ok(trouble)
}
