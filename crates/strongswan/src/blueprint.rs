//! One tunnel as the daemon is told it.
//!
//! The names that a tunnel's parts have in the daemon carry a keyed digest of everything that the part is made of:
//!
//! | part | name | what its digest covers |
//! |---|---|---|
//! | connection | `karez.<digest>.<digest>` | what an IKE SA is, with the pre-shared key; the same with its times |
//! | key | as the connection | the same |
//! | child | `<tunnel>.<digest>` | its proposal, mode, lifetime and selectors |
//!
//! Tunnels between the same two ends whose IKE SA would be the same share one connection, and so one IKE SA with the
//! children of all: a peer that begins names its identity and not which tunnel it means, and so reaches each of them.
//!
//! So what the daemon has can be compared with the plan by names alone, also after the agent was away, and what
//! carries an old name is to be replaced. The digest's key lies with the router's files and is readable by root only;
//! without it, a name says nothing about a pre-shared key.

use crate::suite;
use crate::vici::Message;
use aws_lc_rs::hmac;
use ipnet::IpNet;
use karez_engine::{
    ConnectionId, DpdAction, Identity, IkeMode, IkeVersion, IpsecMode, IpsecProtocol, PAIRS_APART, Peer,
    TunnelPlan,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What the names of our connections begin with.
const CONNECTIONS: &str = "karez.";

/// The key of a router's digests.
pub(crate) type Key = hmac::Key;

/// One tunnel, drawn for the daemon.
pub(crate) struct Blueprint {
    /// The connection's name in the daemon, and the key's.
    pub(crate) connection: String,
    /// With all subnets in one child SA: IKEv2 alone can.
    whole: Option<Child>,
    /// One child SA for each pair of subnets.
    pairs: Vec<Child>,
    section: Message,
    secret: Message,
}

/// A child SA's configuration.
#[derive(Clone)]
pub(crate) struct Child {
    /// Its name in the daemon.
    pub(crate) name: String,
    /// Our subnets.
    pub(crate) local: Vec<IpNet>,
    /// The peer's.
    pub(crate) peer: Vec<IpNet>,
    section: Message,
}

impl Blueprint {
    /// Draws a tunnel whose peer is at `peer`.
    pub(crate) fn draw(plan: &TunnelPlan, peer: IpAddr, key: &Key) -> Self {
        let [essence, whole] = ike_digests(plan, peer, key);
        let connection = format!("{CONNECTIONS}{}.{}", digits(&essence), digits(&whole));
        let one = |local: &[IpNet], peer: &[IpNet]| child(plan, local, peer, key);
        let pairs: Vec<Child> = pairs(plan).into_iter().map(|(local, peer)| one(&[local], &[peer])).collect();
        let whole = match plan.ike.version {
            IkeVersion::V2 if pairs.len() > 1 => Some(one(&plan.local_subnets, &plan.peer_subnets)),
            IkeVersion::V1(_) | IkeVersion::V2 => None,
        };
        let section = ike_section(plan, peer, &connection);
        let secret = Message::new()
            .text("id", &connection)
            .text("type", "IKE")
            // The key goes to the daemon here, and nowhere else.
            .text("data", plan.psk.expose())
            .list("owners", [identity(&plan.local_id), identity(&plan.peer_id)]);
        Self { connection, whole, pairs, section, secret }
    }

    /// What to ask of `load-conn`, with the children of all tunnels that share the connection.
    pub(crate) fn load<'a>(&self, children: impl Iterator<Item = &'a Child>) -> Message {
        let children = children
            .fold(Message::new(), |message, child| message.section(&child.name, child.section.clone()));
        Message::new().section(&self.connection, self.section.clone().section("children", children))
    }

    /// What to ask of `load-shared`.
    pub(crate) const fn load_secret(&self) -> &Message {
        &self.secret
    }

    /// The children that are loaded. With `by_pairs`, the pairs may be negotiated one by one, too.
    pub(crate) fn loaded(&self, by_pairs: bool) -> impl Iterator<Item = &Child> {
        let pairs = if by_pairs || self.whole.is_none() { self.pairs.as_slice() } else { &[] };
        self.whole.iter().chain(pairs)
    }

    /// The child SA with everything in it, where there can be one.
    pub(crate) const fn whole(&self) -> Option<&Child> {
        self.whole.as_ref()
    }

    /// Whether the peer may be asked for the pairs one by one where it does not take all of them at once.
    pub(crate) fn comes_apart(&self) -> bool {
        self.whole.is_some() && self.pairs.len() <= PAIRS_APART
    }

    /// The children for single pairs.
    pub(crate) fn pairs(&self) -> &[Child] {
        &self.pairs
    }
}

#[cfg(test)]
impl Child {
    /// One of which only the name counts.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), local: Vec::new(), peer: Vec::new(), section: Message::new() }
    }
}

/// All pairs of our subnets and the peer's, each once.
pub(crate) fn pairs(plan: &TunnelPlan) -> Vec<(IpNet, IpNet)> {
    let mut seen = BTreeSet::new();
    let peers = |local: IpNet| plan.peer_subnets.iter().map(move |peer| (local.trunc(), peer.trunc()));
    let all = plan.local_subnets.iter().flat_map(|local| peers(*local));
    all.filter(|pair| seen.insert(*pair)).collect()
}

/// Whether a connection in the daemon is one of ours, from its name.
pub(crate) fn is_ours(connection: &str) -> bool {
    connection.starts_with(CONNECTIONS)
}

/// Whether the IKE SAs of two of our connections differ in nothing but their times: lifetime and dead peer detection.
pub(crate) fn is_akin(one: &str, other: &str) -> bool {
    fn essence(name: &str) -> Option<&str> {
        name.strip_prefix(CONNECTIONS)?.split_once('.').map(|(essence, _)| essence)
    }
    essence(one).is_some() && essence(one) == essence(other)
}

/// The tunnel that a child belongs to, from its name.
pub(crate) fn tunnel_of(name: &str) -> Option<ConnectionId> {
    name.split_once('.')?.0.parse().ok()
}

fn name(id: ConnectionId, digest: &hmac::Tag) -> String {
    format!("{id}.{}", digits(digest))
}

fn digits(digest: &hmac::Tag) -> String {
    digest.as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}

/// Of all that an IKE SA depends on: first without its times, then with them. What is not in here can change without a
/// new IKE SA.
fn ike_digests(plan: &TunnelPlan, peer: IpAddr, key: &Key) -> [hmac::Tag; 2] {
    let version = match plan.ike.version {
        IkeVersion::V1(IkeMode::Main) => "main",
        IkeVersion::V1(IkeMode::Aggressive) => "aggressive",
        IkeVersion::V2 => "2",
    };
    let (delay, timeout) = dpd(plan);
    let parts = [
        version.to_owned(),
        plan.local.to_string(),
        peer.to_string(),
        identity(&plan.local_id),
        identity(&plan.peer_id),
        suite::ike_proposal(&plan.ike),
    ];
    let mut digest = hmac::Context::with_key(key);
    for part in parts.iter().map(String::as_str).chain([plan.psk.expose()]) {
        feed(&mut digest, part);
    }
    let essence = digest.clone().sign();
    for time in [plan.ike.lifetime, delay, timeout] {
        feed(&mut digest, &time.to_string());
    }
    [essence, digest.sign()]
}

fn child_digest(plan: &TunnelPlan, local: &[IpNet], peer: &[IpNet], key: &Key) -> hmac::Tag {
    let mut digest = hmac::Context::with_key(key);
    feed(&mut digest, &suite::child_proposal(&plan.child));
    feed(&mut digest, protocol(plan.child.protocol));
    feed(&mut digest, mode(plan.child.mode));
    feed(&mut digest, &plan.child.lifetime.to_string());
    for nets in [local, peer] {
        let mut nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
        nets.sort();
        feed(&mut digest, &nets.join(","));
    }
    digest.sign()
}

/// With its length, so that no two different plans read the same.
fn feed(digest: &mut hmac::Context, part: &str) {
    digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(part.as_bytes());
}

fn ike_section(plan: &TunnelPlan, peer: IpAddr, connection: &str) -> Message {
    let (version, is_aggressive) = match plan.ike.version {
        IkeVersion::V1(mode) => ("1", mode == IkeMode::Aggressive),
        IkeVersion::V2 => ("2", false),
    };
    let times = Times::of(plan.ike.lifetime);
    let (delay, timeout) = dpd(plan);
    let end = |identity: &Identity| Message::new().text("auth", "psk").text("id", self::identity(identity));
    Message::new()
        .text("version", version)
        .text("aggressive", if is_aggressive { "yes" } else { "no" })
        .list("local_addrs", [plan.local.to_string()])
        .list("remote_addrs", [peer.to_string()])
        .list("proposals", [suite::ike_proposal(&plan.ike)])
        .text("mobike", "no")
        .text("fragmentation", "yes")
        // Which of two is kept is for the engine to say. charon would end one without telling the peer, on the word of
        // an initial contact (RFC 7296, section 2.4), and after two ends have begun at once that one is in use.
        .text("unique", "never")
        .text("keyingtries", salt(connection).to_string())
        .text("rekey_time", times.rekey.to_string())
        .text("rand_time", times.jitter.to_string())
        .text("over_time", times.over.to_string())
        .text("reauth_time", "0")
        .text("dpd_delay", delay.to_string())
        .text("dpd_timeout", timeout.to_string())
        .section("local", end(&plan.local_id))
        .section("remote", end(&plan.peer_id))
}

fn child(plan: &TunnelPlan, local: &[IpNet], peer: &[IpNet], key: &Key) -> Child {
    let nets = |nets: &[IpNet]| nets.iter().map(IpNet::trunc).collect::<Vec<_>>();
    let (local, peer) = (nets(local), nets(peer));
    let text = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    let proposals = match plan.child.protocol {
        IpsecProtocol::Esp => "esp_proposals",
        IpsecProtocol::Ah => "ah_proposals",
    };
    let times = Times::of(plan.child.lifetime);
    let section = Message::new()
        .list("local_ts", text(&local))
        .list("remote_ts", text(&peer))
        .list(proposals, [suite::child_proposal(&plan.child)])
        .text("mode", mode(plan.child.mode))
        .text("life_time", plan.child.lifetime.to_string())
        .text("rekey_time", times.rekey.to_string())
        .text("rand_time", times.jitter.to_string())
        // The engine alone decides what is begun and when; two who decide get in each other's way.
        .text("start_action", "none")
        .text("close_action", "none")
        .text("dpd_action", "clear");
    Child { name: name(plan.id, &child_digest(plan, &local, &peer, key)), local, peer, section }
}

/// When an SA is renewed, in seconds: between 80 and 90 % of its lifetime. Which moment exactly is drawn by lot, so
/// that two ends with the same lifetime seldom begin at once; the rest is for trying again.
struct Times {
    rekey: u32,
    jitter: u32,
    over: u32,
}

impl Times {
    const fn of(lifetime: u32) -> Self {
        let tenth = lifetime / 10;
        Self { rekey: lifetime - tenth, jitter: tenth, over: tenth }
    }
}

/// Seconds of silence before we ask, and before the peer is dead; zeros for never.
const fn dpd(plan: &TunnelPlan) -> (u32, u32) {
    match plan.dpd.action {
        DpdAction::Disabled => (0, 0),
        DpdAction::Hold | DpdAction::Clear | DpdAction::Restart | DpdAction::RestartByPeer => {
            (plan.dpd.interval, plan.dpd.timeout)
        }
    }
}

/// In charon's form: the type, and the data as hexadecimal digits, so that no text is read as something else.
fn identity(identity: &Identity) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    match identity {
        Identity::Address(IpAddr::V4(address)) => format!("ipv4:#{}", hex(&address.octets())),
        Identity::Address(IpAddr::V6(address)) => format!("ipv6:#{}", hex(&address.octets())),
        Identity::Fqdn(name) => format!("fqdn:#{}", hex(name.as_bytes())),
        Identity::Email(address) => format!("email:#{}", hex(address.as_bytes())),
        Identity::KeyId(bytes) => format!("keyid:#{}", hex(bytes)),
    }
}

/// charon takes two connections for one when only their names, keys or IKE proposals differ: it would use the old IKE
/// SA for the new connection, and let one of two tunnels to the same peer replace the other. The number of attempts
/// is something that it does compare; every value is a lifetime of attempts.
fn salt(connection: &str) -> u32 {
    let digits = connection.rsplit('.').next().unwrap_or_default();
    let number = u32::from_str_radix(digits.get(..6).unwrap_or("0"), 16).unwrap_or(0);
    (1 << 24) + number
}

const fn mode(mode: IpsecMode) -> &'static str {
    match mode {
        IpsecMode::Tunnel => "tunnel",
        IpsecMode::Transport => "transport",
    }
}

const fn protocol(protocol: IpsecProtocol) -> &'static str {
    match protocol {
        IpsecProtocol::Esp => "esp",
        IpsecProtocol::Ah => "ah",
    }
}

/// The peer's address, unless it has to be resolved first.
pub(crate) const fn fixed_address(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Address(address) => Some(*address),
        Peer::Host(_) => None,
    }
}
