//! The settings of a router's namespace.

use karez_net::{Error, Namespace};
use std::io::ErrorKind;

/// What does not depend on the plan. Settings of `default` are those of links that come later, such as an engine's
/// TUN device.
const ALWAYS: [(&str, &str); 14] = [
    // An inner packet comes from a TUN device that no route to its source may lead to.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    // A router with several links answers for an address on the link that has it, and asks with that link's.
    ("net/ipv4/conf/all/arp_ignore", "1"),
    ("net/ipv4/conf/all/arp_announce", "2"),
    // Nobody is told of a shorter way around a tunnel, nor believed to know one.
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/default/accept_redirects", "0"),
    ("net/ipv6/conf/all/accept_redirects", "0"),
    ("net/ipv6/conf/default/accept_redirects", "0"),
    // Its addresses and routes are those of the plan.
    ("net/ipv6/conf/all/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/autoconf", "0"),
];

const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// Makes the settings so. A router that is down forwards nothing.
pub(super) fn ensure(namespace: &Namespace, is_up: bool) -> Result<bool, Error> {
    // The kernel resets others when it changes these two, so they come first.
    let forwarding = FORWARDING.map(|path| (path, if is_up { "1" } else { "0" }));
    let mut has_changed = false;
    for (path, value) in forwarding.into_iter().chain(ALWAYS) {
        has_changed |= match namespace.set_sysctl(path, value) {
            // A kernel without IPv6.
            Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => false,
            other => other?,
        };
    }
    Ok(has_changed)
}
