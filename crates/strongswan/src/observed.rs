//! What the daemon has: its IKE SAs and child SAs, from VICI's sections.

use crate::blueprint::tunnel_of;
use crate::clock::SECOND;
use crate::suite::transform;
use crate::vici::Message;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use karez_engine::{ChildSa, ConnectionId, IkeSa, Traffic};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// An IKE SA with its child SAs.
#[derive(Clone)]
pub(crate) struct ObservedIke {
    /// The daemon's number for it.
    pub(crate) number: u32,
    /// The connection that it was made from; empty for one that a peer has begun and not finished.
    pub(crate) connection: String,
    pub(crate) phase: Phase,
    /// Whether another one has taken its place, and what it carried.
    pub(crate) is_renewed: bool,
    pub(crate) is_initiator: bool,
    /// Whether the other end has answered at all; from then on it may count the IKE SA as established before we do.
    pub(crate) is_answered: bool,
    /// The numbers of those that were up when it was begun; none when that is not known.
    pub(crate) up_before: Option<BTreeSet<u32>>,
    /// Whether other tunnels use it too, so that it is not one tunnel's to end.
    pub(crate) is_shared: bool,
    /// Whether child SAs of other tunnels are installed in it that are nowhere else.
    pub(crate) carries_others: bool,
    pub(crate) peer: Option<IpAddr>,
    /// The exchanges that wait for an answer.
    pub(crate) tasks: Vec<String>,
    /// How many child SAs are negotiated in it, or wait for that.
    pub(crate) negotiates: usize,
    /// As it is shown, once it is established.
    pub(crate) shown: Option<IkeSa>,
    pub(crate) children: Vec<ObservedChild>,
}

/// How far an IKE SA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Established,
    Ending,
}

/// A child SA.
#[derive(Clone)]
pub(crate) struct ObservedChild {
    /// The daemon's number for it.
    pub(crate) number: u32,
    /// The name in the configuration that it was made from.
    pub(crate) name: String,
    pub(crate) phase: ChildPhase,
    /// As it is shown, once it is installed.
    pub(crate) shown: Option<ChildSa>,
}

/// How far a child SA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildPhase {
    Beginning,
    Installed,
    Ending,
}

impl ObservedIke {
    /// Reads one `list-sa` event.
    pub(crate) fn read(event: &Message, now: i64) -> Option<Self> {
        let (connection, ike) = event.sections().next()?;
        let phase = match ike.get("state")? {
            "ESTABLISHED" | "REKEYING" => Phase::Established,
            "REKEYED" | "DELETING" | "DESTROYING" => Phase::Ending,
            _ => Phase::Connecting,
        };
        let children = ike.below("child-sas").map(|children| {
            children.sections().filter_map(|(_, child)| ObservedChild::read(child, now)).collect()
        });
        let tasks = ["tasks-active", "tasks-queued"].into_iter().flat_map(|list| ike.items(list));
        let negotiates = tasks.filter(|task| matches!(*task, "QUICK_MODE" | "CHILD_CREATE")).count();
        Some(Self {
            number: ike.number("uniqueid")?,
            connection: if connection == "(unnamed)" { String::new() } else { connection.to_owned() },
            phase,
            is_renewed: ike.get("state") == Some("REKEYED"),
            is_initiator: ike.is_yes("initiator"),
            is_answered: ike.get("responder-spi").is_some_and(|spi| spi.bytes().any(|digit| digit != b'0')),
            up_before: None,
            is_shared: false,
            carries_others: false,
            peer: ike.number("remote-host"),
            tasks: ike.items("tasks-active").into_iter().map(str::to_owned).collect(),
            negotiates,
            shown: show_ike(ike, now),
            children: children.unwrap_or_default(),
        })
    }
}

impl ObservedIke {
    /// Whether it is there to be ended, and its peer then knows. An attempt of ours that the peer has answered may be
    /// established there already; charon would not tell it of the end of one that is not so here, and the peer would
    /// send into nowhere. It is let be until it is up or has failed.
    pub(crate) fn can_be_ended(&self) -> bool {
        match self.phase {
            Phase::Established => true,
            Phase::Connecting => !self.is_initiator || !self.is_answered,
            Phase::Ending => false,
        }
    }

    /// The child SAs in force. One of IKEv1 that is begun to renew another has that one's child SAs from the beginning.
    pub(crate) fn installed(&self) -> impl Iterator<Item = &ObservedChild> {
        let children = if self.phase == Phase::Ending { &[] } else { self.children.as_slice() };
        children.iter().filter(|child| child.phase == ChildPhase::Installed)
    }

    /// As one tunnel sees it: with its own child SAs alone.
    pub(crate) fn seen_by(&self, tunnel: ConnectionId, is_shared: bool) -> Self {
        let mut seen = self.clone();
        seen.is_shared = is_shared;
        let is_own = |child: &ObservedChild| tunnel_of(&child.name) == Some(tunnel);
        seen.carries_others =
            seen.children.iter().any(|child| child.phase == ChildPhase::Installed && !is_own(child));
        seen.children.retain(is_own);
        seen
    }
}

impl ObservedChild {
    fn read(child: &Message, now: i64) -> Option<Self> {
        let phase = match child.get("state")? {
            "INSTALLED" | "REKEYING" => ChildPhase::Installed,
            "REKEYED" | "DELETING" | "DELETED" | "DESTROYING" => ChildPhase::Ending,
            _ => ChildPhase::Beginning,
        };
        Some(Self {
            number: child.number("uniqueid")?,
            name: child.get("name")?.to_owned(),
            phase,
            shown: show_child(child, now),
        })
    }
}

fn show_ike(ike: &Message, now: i64) -> Option<IkeSa> {
    let end =
        |host: &str, port: &str| Some(SocketAddr::new(ike.number(host)?, ike.number(port).unwrap_or(500)));
    let encryption = keyed(ike.get("encr-alg")?, ike.get("encr-keysize"));
    let integrity = ike.get("integ-alg").or_else(|| ike.get("prf-alg"));
    let suite = [Some(encryption), integrity.map(transform), ike.get("dh-group").map(transform)];
    let rekey = ike.number("rekey-time").or_else(|| ike.number("reauth-time"));
    Some(IkeSa {
        version: ike.number("version")?,
        is_initiator: ike.is_yes("initiator"),
        local: end("local-host", "local-port")?,
        peer: end("remote-host", "remote-port")?,
        local_id: ike.get("local-id").unwrap_or_default().to_owned(),
        peer_id: ike.get("remote-id").unwrap_or_default().to_owned(),
        initiator_spi: ike.get("initiator-spi").unwrap_or_default().to_owned(),
        responder_spi: ike.get("responder-spi").unwrap_or_default().to_owned(),
        suite: suite.into_iter().flatten().collect::<Vec<_>>().join("/"),
        has_nat: ike.is_yes("nat-local") || ike.is_yes("nat-remote"),
        established_at: now - ike.number::<i64>("established")? * SECOND,
        rekey_at: rekey.map(|seconds: i64| now + seconds * SECOND),
    })
}

fn show_child(child: &Message, now: i64) -> Option<ChildSa> {
    let encryption = child.get("encr-alg").map(|name| keyed(name, child.get("encr-keysize")));
    let suite = [encryption, child.get("integ-alg").map(transform), child.get("dh-group").map(transform)];
    let nets = |key: &str| child.items(key).into_iter().flat_map(selector).collect();
    let count = |key: &str| child.number(key).unwrap_or(0);
    let ahead = |key: &str| child.number(key).map(|seconds: i64| now + seconds * SECOND);
    Some(ChildSa {
        protocol: child.get("protocol")?.to_ascii_lowercase(),
        mode: child.get("mode")?.to_ascii_lowercase(),
        is_encapsulated: child.is_yes("encap"),
        spi_in: child.get("spi-in")?.to_owned(),
        spi_out: child.get("spi-out")?.to_owned(),
        suite: suite.into_iter().flatten().collect::<Vec<_>>().join("/"),
        local_subnets: nets("local-ts"),
        peer_subnets: nets("remote-ts"),
        traffic: Traffic {
            bytes_in: count("bytes-in"),
            bytes_out: count("bytes-out"),
            packets_in: count("packets-in"),
            packets_out: count("packets-out"),
        },
        installed_at: now - child.number::<i64>("install-time")? * SECOND,
        rekey_at: ahead("rekey-time"),
        expires_at: ahead("life-time"),
    })
}

/// An encryption algorithm with its key length, as in a proposal.
fn keyed(name: &str, bits: Option<&str>) -> String {
    match bits {
        Some(bits) => transform(&format!("{name}_{bits}")),
        None => transform(name),
    }
}

/// A selector as subnets: of a range as many as it takes. Its protocol and ports, which we never ask for, are left out.
pub(crate) fn selector(text: &str) -> Vec<IpNet> {
    let net = text.split('[').next().unwrap_or(text);
    if let Some((first, last)) = net.split_once("..") {
        return match (first.parse(), last.parse()) {
            (Ok(IpAddr::V4(first)), Ok(IpAddr::V4(last))) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (Ok(IpAddr::V6(first)), Ok(IpAddr::V6(last))) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            _ => Vec::new(),
        };
    }
    let net = net.parse().ok().or_else(|| net.parse::<IpAddr>().ok().map(IpNet::from));
    net.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{ChildPhase, ObservedIke, Phase, selector};
    use crate::clock::SECOND;
    use crate::vici::Message;

    #[test]
    fn a_selector_that_is_a_range_is_shown_as_subnets() {
        let shown = |text: &str| selector(text).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(shown("10.2.0.10..10.2.0.15"), "10.2.0.10/31 10.2.0.12/30");
        assert_eq!(shown("fd02::..fd02::1"), "fd02::/127");
        assert_eq!(shown("10.2.0.0/24[tcp/443]"), "10.2.0.0/24");
        assert_eq!(shown("10.2.0.9"), "10.2.0.9/32");
        assert_eq!(shown("10.2.0.9..fd02::1"), "");
    }

    #[test]
    fn an_sa_is_shown_in_the_names_of_the_api_with_absolute_times() {
        let child = [
            ("name", "c"),
            ("uniqueid", "7"),
            ("state", "INSTALLED"),
            ("mode", "TUNNEL"),
            ("protocol", "ESP"),
            ("encap", "yes"),
            ("spi-in", "391871f5"),
            ("spi-out", "dd318236"),
            ("encr-alg", "AES_GCM_16"),
            ("encr-keysize", "128"),
            ("bytes-in", "84"),
            ("packets-in", "1"),
            ("use-in", "2"),
            ("rekey-time", "3354"),
            ("life-time", "3960"),
            ("install-time", "10"),
        ];
        let child = child.into_iter().fold(Message::new(), |message, (key, value)| message.text(key, value));
        let child =
            child.list("local-ts", ["10.1.0.0/24"]).list("remote-ts", ["10.2.0.0/24", "192.0.2.7/32"]);
        let ike = [
            ("uniqueid", "1"),
            ("version", "2"),
            ("state", "ESTABLISHED"),
            ("local-host", "192.0.2.1"),
            ("local-port", "4500"),
            ("remote-host", "2001:db8::1"),
            ("remote-port", "500"),
            ("initiator", "yes"),
            ("encr-alg", "AES_CBC"),
            ("encr-keysize", "128"),
            ("integ-alg", "HMAC_SHA1_96"),
            ("prf-alg", "PRF_HMAC_SHA1"),
            ("dh-group", "MODP_1536"),
            ("established", "20"),
            ("rekey-time", "100"),
        ];
        let ike = ike.into_iter().fold(Message::new(), |message, (key, value)| message.text(key, value));
        let ike = ike.section("child-sas", Message::new().section("c-7", child));
        let now = 1_000_000 * SECOND;
        let read = ObservedIke::read(&Message::new().section("conn", ike), now).unwrap();
        assert_eq!((read.number, read.connection.as_str(), read.phase), (1, "conn", Phase::Established));
        let shown = read.shown.unwrap();
        assert_eq!((shown.suite.as_str(), shown.established_at), ("aes-128/sha1/group5", now - 20 * SECOND));
        assert_eq!(shown.peer.to_string(), "[2001:db8::1]:500");
        let child = &read.children[0];
        assert_eq!((child.number, child.phase), (7, ChildPhase::Installed));
        let shown = child.shown.as_ref().unwrap();
        assert_eq!((shown.suite.as_str(), shown.expires_at), ("aes-128-gcm-16", Some(now + 3960 * SECOND)));
        assert_eq!(shown.peer_subnets.len(), 2);
    }
}
