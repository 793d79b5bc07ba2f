//! Why a tunnel is not up, in a closed vocabulary.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a tunnel is in its state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As the API shows it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// No node runs the router's VPN.
    NoAgent = "no_agent",
    /// The node that runs the router has not been heard of; what is shown is from before.
    AgentLost = "agent_lost",
    /// The administrative state of the connection, its service or its router is down.
    AdminDown = "admin_down",
    /// An attempt is under way and has not failed yet.
    Negotiating = "negotiating",
    /// It is for the peer to begin.
    WaitingForPeer = "waiting_for_peer",
    /// The peer was asked and nothing was heard.
    PeerUnreachable = "peer_unreachable",
    /// The peer's host name has no address.
    PeerNotResolved = "peer_not_resolved",
    /// No proposal suits both.
    ProposalMismatch = "proposal_mismatch",
    /// No traffic selectors suit both.
    SelectorMismatch = "selector_mismatch",
    /// The pre-shared keys differ.
    AuthenticationFailed = "authentication_failed",
    /// An end says that it is somebody else than the other expects.
    IdentityMismatch = "identity_mismatch",
    /// The ends speak different versions of IKE, or different exchanges.
    VersionMismatch = "version_mismatch",
    /// The peer has taken the tunnel down.
    PeerDeleted = "peer_deleted",
    /// The peer has stopped answering.
    PeerLost = "peer_lost",
    /// The tunnel is up, and some pairs of subnets are missing.
    Narrowed = "narrowed",
    /// A rekey has failed.
    RekeyFailed = "rekey_failed",
    /// What is asked for cannot be done by this engine on this machine.
    Unsupported = "unsupported",
    /// Something on our own machine is wrong.
    LocalError = "local_error",
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(())
    }
}

/// Why a tunnel is in its state, for a human and for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Which of the known reasons.
    pub code: Code,
    /// One or two sentences: what is wrong, and what would mend it. Never a key.
    pub message: String,
    /// What it is concluded from: `ours` and `theirs`, `sent` and `heard`, … Never a key.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub evidence: Map<String, Json>,
}

impl Reason {
    /// A reason without evidence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), evidence: Map::new() }
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }
}
