//! Whether a namespace forwards packets.

use crate::Guard;
use ipnet::IpNet;
use karez_net::{Error, Namespace};
use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;

/// Forwarding of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Forwarding {
    V4,
    V6,
}

impl Forwarding {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// What tunnels need.
    pub(super) fn needed(guards: &[Guard]) -> BTreeSet<Self> {
        guards.iter().flat_map(|guard| &guard.local).map(Self::of).collect()
    }

    /// What a network's packets need.
    pub(super) fn of(net: &IpNet) -> Self {
        if net.addr().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// A kernel without IPv6 does not forward it.
    pub(super) fn is_on(self, namespace: &Namespace) -> Result<bool, Error> {
        match namespace.sysctl(self.path()) {
            Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
            other => other.map(|value| value != "0"),
        }
    }

    /// Returns whether it was otherwise. A kernel without IPv6 stays so.
    pub(super) fn switch(self, namespace: &Namespace, on: bool) -> Result<bool, Error> {
        match namespace.set_sysctl(self.path(), if on { "1" } else { "0" }) {
            Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
            other => other,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::V4 => "net/ipv4/ip_forward",
            Self::V6 => "net/ipv6/conf/all/forwarding",
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}
