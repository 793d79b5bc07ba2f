//! What the things that a managed gateway makes are called.
//!
//! A link's name has 15 characters at most, so of a port's or network's id only the first eleven are in it, as with
//! Neutron. The prefixes say what it is.

use karez_engine::RouterId;
use uuid::Uuid;

const NAMESPACE: &str = "karez-";
const LINK: usize = 11;

/// The router's end of the pair to the external network.
pub(super) const EXTERNAL: &str = "qg-";
/// The router's end of a pair to an internal network.
pub(super) const INTERNAL: &str = "qr-";
/// A bridge of ours for an internal network.
pub(super) const BRIDGE: &str = "kbr-";

/// The node's end of a pair to an internal network.
pub(super) const INTERNAL_OUTSIDE: &str = "kr-";

/// What is written on such a bridge, and on the node's ends of pairs; on bridges that somebody else has made it is not.
pub(super) const MAKER: &str = "karez";

const EXTERNAL_OUTSIDE: &str = "kx-";
const OWNER: &str = "kn-";

/// A router's namespace.
pub(super) fn namespace(router: RouterId) -> String {
    format!("{NAMESPACE}{router}")
}

/// The router that a namespace of this name would be of.
pub(super) fn router(namespace: &str) -> Option<RouterId> {
    namespace.strip_prefix(NAMESPACE).and_then(id)
}

/// An id in the one form that we write.
pub(super) fn id(text: &str) -> Option<RouterId> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then_some(RouterId(id))
}

pub(super) fn external(port: Uuid) -> String {
    link(EXTERNAL, port)
}

pub(super) fn internal(port: Uuid) -> String {
    link(INTERNAL, port)
}

pub(super) fn bridge(network: Uuid) -> String {
    link(BRIDGE, network)
}

/// The node's end of a pair, by the router's; none for links that are no such end.
pub(super) fn outside(inside: &str) -> Option<String> {
    let pairs = [(EXTERNAL, EXTERNAL_OUTSIDE), (INTERNAL, INTERNAL_OUTSIDE)];
    pairs.iter().find_map(|(one, other)| Some(format!("{other}{}", inside.strip_prefix(one)?)))
}

/// The link in a router's namespace that says which node the router is on; the node's own namespace has this number.
pub(super) fn owner(node: u64) -> String {
    format!("{OWNER}{node}")
}

/// The number in such a name.
pub(super) fn owner_in(link: &str) -> Option<u64> {
    link.strip_prefix(OWNER)?.parse().ok()
}

fn link(prefix: &str, id: Uuid) -> String {
    let id = id.hyphenated().to_string();
    format!("{prefix}{}", &id[..LINK])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_lead_back() {
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        assert_eq!(internal(id), "qr-12345678-9a");
        assert_eq!(outside(&internal(id)).as_deref(), Some("kr-12345678-9a"));
        assert_eq!(outside(&external(id)).as_deref(), Some("kx-12345678-9a"));
        assert!(bridge(id).len() <= 15);
        assert_eq!(router(&namespace(RouterId(id))), Some(RouterId(id)));
        assert_eq!(router("karez-12345678"), None);
        assert_eq!(owner_in(&owner(4_026_531_840)), Some(4_026_531_840));
        assert_eq!(outside("ipsec0"), None);
    }
}
