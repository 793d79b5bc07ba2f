//! What mends a tunnel, by reason. `docs/troubleshooting.md` has the same sentences.

use karez_engine::Code;

/// What to do about a reason; nothing where there is nothing to do on that side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remedy {
    /// On this side.
    pub here: Option<&'static str>,
    /// On the peer's side.
    pub peer: Option<&'static str>,
}

/// What to do about a reason, as one phrase for each side.
pub(super) const fn remedy(code: Code) -> Remedy {
    let (here, peer) = match code {
        Code::Negotiating => ("wait some seconds", ""),
        Code::WaitingForPeer => ("wait, or set `--initiator bi-directional`", "begin the tunnel from there"),
        Code::PeerUnreachable => (
            "check `--peer-address`; let UDP 500 and 4500 out and back in",
            "check that the peer is up and expects our address; let UDP 500 and 4500 in",
        ),
        Code::PeerNotResolved => (
            "check the host name in `--peer-address`; for the operator: DNS on the node",
            "check that the name's DNS records are there",
        ),
        Code::ProposalMismatch => (
            "make the policy that the sentence or the evidence names the same as the peer's, letter for letter: \
             version, encryption, integrity, group",
            "or make the peer's the same as ours",
        ),
        Code::AuthenticationFailed => (
            "set the same `--psk` as the peer has; blanks and line ends count",
            "set the same key; check the identities in the peer's log",
        ),
        Code::IdentityMismatch => (
            "set `--peer-id` to what the peer sends, and `--local-id` to what it expects; empty, it is our outer address",
            "or let the peer send our `peer_id` and expect our `local_id`",
        ),
        Code::SelectorMismatch => (
            "make local and peer subnets those of the peer, the other way round",
            "or mirror ours: its local subnets are our peer subnets",
        ),
        Code::VersionMismatch => (
            "set `--ike-version` and the negotiation mode of the IKE policy to the peer's",
            "or set the peer's to ours",
        ),
        Code::Narrowed => (
            "take out the subnets that are missing if they are not meant",
            "add the subnets that are missing to the peer's list",
        ),
        Code::PeerDeleted => (
            "nothing if the peer meant it; a bi-directional connection comes back by itself",
            "ask why the tunnel was taken down, or was given other subnets",
        ),
        Code::PeerLost => (
            "check the path to the peer; it comes back by itself, unless it was up and DPD says `clear`: then change \
             the connection, or switch it off and on",
            "check that the peer is up, its path to us, and its log",
        ),
        Code::RekeyFailed => (
            "compare lifetime and PFS group with the peer's: a group that differs shows at the first rekey only",
            "or set the peer's to ours",
        ),
        Code::AdminDown => ("switch connection, service or router on with `--enable`", ""),
        Code::Unsupported => ("do as the sentence says", ""),
        Code::LocalError => {
            ("for the operator: what the sentence names, and the agent's log on that node", "")
        }
        Code::NoAgent => (
            "for the operator: `openstack network agent list`; a node of the right zone, or the one that has the router",
            "",
        ),
        Code::AgentLost => ("for the operator: the agent and its way to the server", ""),
    };
    Remedy { here: some(here), peer: some(peer) }
}

const fn some(text: &'static str) -> Option<&'static str> {
    if text.is_empty() { None } else { Some(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_says_the_same_of_every_reason() {
        let page = include_str!("../../../../docs/troubleshooting.md");
        for code in Code::ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{code}` |")));
            let row = row.unwrap_or_else(|| panic!("{code} is not in the table"));
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let Remedy { here, peer } = remedy(*code);
            assert_eq!(cells[2..], [here.unwrap_or("–"), peer.unwrap_or("–")], "{code}");
        }
    }
}
