//! From what the daemon's log says to a reason that a tenant understands: with the API's names, with both sides where
//! both are known, and with what would mend it.

use crate::classify::{Offers, What};
use crate::observed::selector;
use crate::presence::Obstacle;
use crate::router::rivals::Pair;
use crate::suite;
use ipnet::IpNet;
use karez_engine::{Code, DpdAction, Identity, IkeMode, IkeVersion, Initiator, Reason, TunnelPlan};
use std::net::IpAddr;

/// The reason that a finding is for a tunnel; none when it says nothing about why.
pub(crate) fn reason(what: &What, plan: &TunnelPlan, peer: Option<IpAddr>) -> Option<Reason> {
    let at = named(peer);
    Some(match what {
        What::Begun { .. } | What::Established { .. } | What::Sent(_) | What::Replaced => return None,
        What::GivenUp => dead(plan, peer),
        What::IkeDeleted | What::ChildDeleted => Reason::new(Code::PeerDeleted, format!("{} has taken the tunnel down.", capital(&at))),
        What::IkeProposal(Some(offers)) => both("IKE", "IKE policy", offers),
        What::ChildProposal(Some(offers)) => both("IPsec", "IPsec policy", offers),
        What::IkeProposal(None) => ike_refused(plan, &at),
        What::ChildProposal(None) => child_refused(plan, &at),
        What::Selectors { wished } => selectors(plan, wished.as_deref(), &at),
        What::WrongKey => Reason::new(
            Code::AuthenticationFailed,
            format!("The pre-shared key of {at} is not ours. Set the same key on both sides."),
        )
        .with("identity", plan.peer_id.to_string()),
        What::Undecipherable => Reason::new(
            Code::AuthenticationFailed,
            format!(
                "Messages of {at} cannot be decrypted, which with IKEv1 means different pre-shared keys. Set the same \
                 key on both sides."
            ),
        )
        .with("identity", plan.peer_id.to_string()),
        What::AuthenticationRefused => authentication_refused(plan, &at),
        What::Identity { said, wished } => identity(plan, said, wished.as_deref(), &at),
        What::Unconfirmed => return unconfirmed(plan, &at),
        What::OtherVersion { exchange } => return other_version(plan, exchange, &at),
        What::OtherExchange => other_exchange(plan, &at),
        What::RekeyFailed => Reason::new(Code::RekeyFailed, "A child SA could not be renewed; trying again."),
        What::Local(text) => local(text),
    })
}

/// The peer has taken down one of several tunnels in an IKE SA, and does not take it again. Whether it has deleted it or
/// given it other subnets, it does not say.
pub(crate) fn not_any_more(plan: &TunnelPlan, peer: Option<IpAddr>) -> Reason {
    let at = named(peer);
    let ours = ours(plan);
    let message = format!(
        "{} has taken the tunnel down and does not agree to {ours} any more. It has either deleted it or given it other \
         subnets; they must be the same on both sides, with local and peer exchanged.",
        capital(&at)
    );
    Reason::new(Code::PeerDeleted, message).with("ours", ours)
}

/// Whether a peer that asks for these selectors, `ours === theirs`, can mean this tunnel.
pub(crate) fn is_near(plan: &TunnelPlan, wished: &str) -> bool {
    let nets = |text: &str| text.split(' ').flat_map(selector).collect::<Vec<IpNet>>();
    let meet = |nets: &[IpNet], own: &[IpNet]| {
        nets.iter().any(|net| own.iter().any(|own| own.contains(net) || net.contains(own)))
    };
    wished.split_once(" === ").is_none_or(|(local, peer)| {
        meet(&nets(local), &plan.local_subnets) || meet(&nets(peer), &plan.peer_subnets)
    })
}

/// The peer was asked `sent` times and nothing came.
pub(crate) fn unreachable(peer: IpAddr, sent: u32) -> Reason {
    let message = format!(
        "Nothing was heard from {peer}. Check that the address is right, that the peer is up, and that UDP ports 500 \
         and 4500 reach it."
    );
    Reason::new(Code::PeerUnreachable, message)
        .with("peer", peer.to_string())
        .with("sent", sent)
        .with("heard", 0)
}

/// A peer has established an IKE SA and answers nothing in it.
pub(crate) fn silent(peer: Option<IpAddr>, begins: bool) -> Reason {
    let then = if begins { "It is begun anew." } else { "It is given up; the peer may begin again." };
    let message = format!(
        "{} has established an IKE SA and does not answer in it. {then} Check that the peer is up, and that its log \
         says nothing about our request.",
        capital(&named(peer))
    );
    Reason::new(Code::PeerLost, message)
}

/// The peer has stopped answering.
pub(crate) fn dead(plan: &TunnelPlan, peer: Option<IpAddr>) -> Reason {
    let is_left = plan.dpd.action == DpdAction::Clear && plan.initiator == Initiator::BiDirectional;
    let then = if is_left {
        " As its action is clear, the tunnel comes back when the peer begins, or when the connection is changed or \
         switched off and on."
    } else {
        ""
    };
    let message = format!("Dead peer detection: {} has stopped answering.{then}", named(peer));
    Reason::new(Code::PeerLost, message)
}

/// A host name has no address that we could use.
pub(crate) fn not_resolved(host: &str, why: &str) -> Reason {
    Reason::new(Code::PeerNotResolved, format!("The peer's host name {host} has no usable address: {why}"))
        .with("host", host)
}

/// A host name has an address that no peer can have.
pub(crate) fn no_peer(host: &str, why: &str) -> Reason {
    Reason::new(Code::Unsupported, format!("The peer's host name {host} leads nowhere: {why}"))
        .with("host", host)
}

/// What the daemon counts as up is not, as somebody has changed what it has made.
pub(crate) fn cut_off(obstacle: &Obstacle, begins: bool) -> Reason {
    let then = match (obstacle.is_daemons, begins) {
        (true, true) => "It is negotiated anew, which repairs it.",
        (true, false) => "It is ended; once the peer begins again, it is repaired.",
        (false, _) => "Somebody else's route or routing rule comes before that of the tunnel.",
    };
    Reason::new(Code::LocalError, format!("Packets do not get to the tunnel: {}. {then}", obstacle.why))
}

/// There is no IKE daemon for a moment, for this reason.
pub(crate) fn lost(why: &str) -> Reason {
    Reason::new(
        Code::LocalError,
        format!("{}. It is started again, and tunnels come back by themselves.", capital(why)),
    )
}

/// Two tunnels claim the same identities with different keys.
pub(crate) fn conflict(other: karez_engine::ConnectionId) -> Reason {
    let message = format!(
        "The connection {other} of the same router has the same identities at both ends and another pre-shared key, so \
         the peer could not be told apart. Give both the same key, or set different identities."
    );
    Reason::new(Code::Unsupported, message).with("other", other.to_string())
}

/// Another tunnel has the packets of this one.
pub(crate) fn double(other: karez_engine::ConnectionId, (local, peer): &Pair) -> Reason {
    let message = format!(
        "The connection {other} of the same router carries what goes from {local} to {peer}. This one takes over when \
         that one is deleted, set down, or given other subnets."
    );
    Reason::new(Code::Unsupported, message).with("other", other.to_string())
}

pub(crate) fn crowded(together: usize) -> Reason {
    let message = format!(
        "The connections of this router to the same peer have more than {together} pairs of subnets together, and this one is \
         not negotiated. Put adjacent subnets into larger ones."
    );
    Reason::new(Code::Unsupported, message)
}

/// Both proposals, the first transform that does not meet, and a change on either side that would.
fn both(phase: &str, policy: &str, offers: &Offers) -> Reason {
    let list = |text: &str| text.split(", ").map(suite::proposal).collect::<Vec<_>>();
    let (theirs, ours) = (list(&offers.received), list(&offers.configured));
    let reason = |message: String| Reason::new(Code::ProposalMismatch, message);
    let nearest = theirs.iter().flat_map(|their| ours.iter().map(move |our| (our, their)));
    let nearest = nearest.map(|(our, their)| differences(our, their)).min_by_key(Vec::len);
    let built = match nearest.as_deref() {
        Some([(our, their), rest @ ..]) => {
            let others =
                if rest.is_empty() { String::new() } else { format!(" (and {} more differ)", rest.len()) };
            let remedy = format!("Set {their} instead of {our} in the {policy} here, or {our} on the peer");
            reason(format!(
                "The {phase} proposals differ: we want {our}, the peer offers {their}{others}. {remedy}."
            ))
            .with("first_mismatch", serde_json::json!({ "ours": our, "theirs": their }))
            .with("remedy", remedy)
        }
        _ => reason(format!("The {phase} proposals differ.")),
    };
    built.with("phase", phase.to_ascii_lowercase()).with("ours", ours).with("theirs", theirs)
}

/// The transforms of `our` that are not in `their`, each with what stands in its place there.
fn differences(our: &str, their: &str) -> Vec<(String, String)> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (our.split('/').collect(), their.split('/').collect());
    let only = |these: &[&str], those: &[&str]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).map(|name| (*name).to_owned()).collect()
    };
    let (only_ours, only_theirs) = (only(&ours, &theirs), only(&theirs, &ours));
    let pairs = only_ours.len().max(only_theirs.len());
    let at = |list: &[String], index: usize| list.get(index).cloned().unwrap_or_else(|| "nothing".to_owned());
    (0..pairs).map(|index| (at(&only_ours, index), at(&only_theirs, index))).collect()
}

fn ike_refused(plan: &TunnelPlan, at: &str) -> Reason {
    let ours = suite::ike_suite(&plan.ike);
    let version = version(plan);
    let message = format!(
        "{} has refused {version} with {ours}. Set the same on both sides: version, encryption, integrity and group of \
         the IKE policy. A peer that has no tunnel with our address, or none of this version, answers the same.",
        capital(at)
    );
    Reason::new(Code::ProposalMismatch, message).with("phase", "ike").with("ours", [ours].as_slice())
}

fn child_refused(plan: &TunnelPlan, at: &str) -> Reason {
    let ours = suite::child_suite(&plan.child);
    let message = format!(
        "{} has refused the IPsec proposal {ours}. Set the same on both sides: protocol, encryption, integrity and \
         group of the IPsec policy.",
        capital(at)
    );
    Reason::new(Code::ProposalMismatch, message).with("phase", "ipsec").with("ours", [ours].as_slice())
}

fn selectors(plan: &TunnelPlan, wished: Option<&str>, at: &str) -> Reason {
    let ours = ours(plan);
    let message = match wished {
        Some(wished) => format!("{} asks for {wished}, and we have {ours}.", capital(at)),
        None => format!("{} does not agree to {ours}.", capital(at)),
    };
    let remedy = "The subnets must be the same on both sides, with local and peer exchanged.";
    let reason = Reason::new(Code::SelectorMismatch, format!("{message} {remedy}")).with("ours", ours);
    match wished {
        Some(wished) => reason.with("theirs", wished),
        None => reason,
    }
}

fn ours(plan: &TunnelPlan) -> String {
    let nets = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("{} === {}", nets(&plan.local_subnets), nets(&plan.peer_subnets))
}

fn authentication_refused(plan: &TunnelPlan, at: &str) -> Reason {
    let message = format!(
        "{} does not accept us as {}. Either the pre-shared keys differ, or it expects another identity of us, or its own \
         is not our peer_id {}; its own log says which.",
        capital(at),
        plan.local_id,
        plan.peer_id
    );
    Reason::new(Code::AuthenticationFailed, message).with("identity", plan.local_id.to_string())
}

/// In aggressive mode, a peer that began and does not go on once it has our proof has found it wrong.
fn unconfirmed(plan: &TunnelPlan, at: &str) -> Option<Reason> {
    if plan.ike.version != IkeVersion::V1(IkeMode::Aggressive) {
        return None;
    }
    let message = format!(
        "{} begins, and does not go on once it has our answer; in aggressive mode that mostly means different \
         pre-shared keys. Set the same key on both sides.",
        capital(at)
    );
    Some(Reason::new(Code::AuthenticationFailed, message).with("identity", plan.peer_id.to_string()))
}

fn identity(plan: &TunnelPlan, said: &str, wished: Option<&str>, at: &str) -> Reason {
    let said = Identity::parse(said).to_string();
    let wished = wished.map(|wished| Identity::parse(wished).to_string());
    if let Some(wished) =
        wished.filter(|wished| said == plan.peer_id.to_string() && *wished != plan.local_id.to_string())
    {
        let message = format!(
            "{} expects us to be {wished}, and we are {}. Set local_id to {wished} here, or what the peer expects to {}.",
            capital(at),
            plan.local_id,
            plan.local_id
        );
        return Reason::new(Code::IdentityMismatch, message)
            .with("ours", plan.local_id.to_string())
            .with("theirs", wished);
    }
    let message = format!(
        "{} says that it is {said}, and we expect {}. Set peer_id to {said} here, or the peer's own identity to {}. \
         The peer must also expect us as {}.",
        capital(at),
        plan.peer_id,
        plan.peer_id,
        plan.local_id
    );
    Reason::new(Code::IdentityMismatch, message).with("ours", plan.peer_id.to_string()).with("theirs", said)
}

/// A peer of the same version has come before the daemon was told of the tunnel, and will come again.
fn other_version(plan: &TunnelPlan, exchange: &str, at: &str) -> Option<Reason> {
    let (theirs, is_v2) = match exchange {
        "ID_PROT" => ("IKEv1 in main mode", false),
        "AGGRESSIVE" => ("IKEv1 in aggressive mode", false),
        _ => ("IKEv2", true),
    };
    if is_v2 == (plan.ike.version == IkeVersion::V2) {
        return None;
    }
    let ours = version(plan);
    let message =
        format!("{} speaks {theirs}, and we {ours}. Set the same version on both sides.", capital(at));
    Some(Reason::new(Code::VersionMismatch, message).with("ours", ours).with("theirs", theirs))
}

fn other_exchange(plan: &TunnelPlan, at: &str) -> Reason {
    let theirs = match plan.ike.version {
        IkeVersion::V1(IkeMode::Main) => "IKEv1 in aggressive mode",
        IkeVersion::V1(IkeMode::Aggressive) | IkeVersion::V2 => "IKEv1 in main mode",
    };
    let ours = version(plan);
    let message = format!("{} uses {theirs}, and we {ours}. Set the same mode on both sides.", capital(at));
    Reason::new(Code::VersionMismatch, message).with("ours", ours).with("theirs", theirs)
}

fn local(text: &str) -> Reason {
    let code = if text.contains("not supported by kernel") { Code::Unsupported } else { Code::LocalError };
    Reason::new(code, format!("This node could not do its part: {text}."))
}

const fn version(plan: &TunnelPlan) -> &'static str {
    match plan.ike.version {
        IkeVersion::V1(IkeMode::Main) => "IKEv1 in main mode",
        IkeVersion::V1(IkeMode::Aggressive) => "IKEv1 in aggressive mode",
        IkeVersion::V2 => "IKEv2",
    }
}

fn named(peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| "the peer".to_owned(), |address| format!("the peer {address}"))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::both;
    use crate::classify::Offers;

    #[test]
    fn the_first_transform_that_does_not_meet_is_named_with_its_remedy() {
        let offers = Offers {
            received: "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048, \
                       IKE:AES_CBC_256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048"
                .into(),
            configured: "IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048".into(),
        };
        let reason = both("IKE", "IKE policy", &offers);
        assert_eq!(reason.evidence["ours"], serde_json::json!(["aes-128/sha1/group14"]));
        assert_eq!(reason.evidence["theirs"][1], "aes-256/sha1/group14");
        assert_eq!(
            reason.evidence["first_mismatch"],
            serde_json::json!({ "ours": "aes-128", "theirs": "aes-256" })
        );
        assert!(
            reason.message.contains("Set aes-256 instead of aes-128 in the IKE policy here"),
            "{}",
            reason.message
        );
    }
}
