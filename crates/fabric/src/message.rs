//! What is said in a session.

use karez_engine::{RouterId, RouterPlan, RouterReport, TunnelReport};
use std::time::Duration;
use uuid::Uuid;

/// From an agent to the control plane.
#[derive(Clone)]
pub enum FromAgent {
    /// The first message of every session.
    Hello(Hello),
    /// The agent has worked on a desired state: each router in it was tried once.
    Applied {
        /// The revision of that desired state.
        revision: i64,
    },
    /// Routers whose state as a whole has changed.
    Routers(Vec<RouterReport>),
    /// Tunnels whose status has changed. The generation of a router's plan goes with each.
    Tunnels(Vec<(i64, TunnelReport)>),
    /// The routers that are found on the node, when that has changed: for agents that do not make
    /// routers themselves.
    Found(Vec<RouterId>),
    /// All is well. Sent each third of the lease's time when nothing else is.
    Heartbeat,
}

/// Who an agent is, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The node's name, unique in a deployment.
    pub host: String,
    /// Made anew by each session.
    pub session: Uuid,
    /// The agent's version.
    pub version: String,
    /// The engine's name.
    pub engine: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// What sort of gateways it has.
    pub shape: Shape,
    /// The routers that are found on the node; with [`Shape::Managed`] none.
    pub found: Vec<RouterId>,
    /// The revision of the desired state that it has worked on last; none right after its start.
    pub applied: Option<i64>,
    /// The plans that it has.
    pub held: Vec<Held>,
    /// Whether it stays away from a node that another agent looks after: it was replaced there.
    pub gives_way: bool,
    /// The epoch of the session in which it was last told what to run; none right after its start.
    pub told_in: Option<i64>,
}

/// A plan that an agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The router.
    pub router: RouterId,
    /// The plan's generation.
    pub generation: i64,
    /// The plan's revision.
    pub revision: i64,
}

/// What sort of gateways an agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It makes routers, any of them.
    Managed,
    /// It uses routers that somebody else has made on its node.
    Attached,
    /// The node itself is a router.
    Host,
}

impl Shape {
    /// As in configuration files and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Attached => "attached",
            Self::Host => "host",
        }
    }
}

/// From the control plane to an agent.
#[derive(Clone)]
pub enum ToAgent {
    /// The answer to the hello.
    Welcome(Welcome),
    /// What should be.
    Desired(Desired),
    /// The lease goes on from now for its whole time.
    Renewed {
        /// How many reports about tunnels have been taken over in this session. What has happened to tunnels is told
        /// again in the next one unless it was in them.
        taken: u64,
    },
    /// Another agent of this name looks after the node now. The session is over.
    Replaced,
}

/// How the control plane knows an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The node's id.
    pub node: Uuid,
    /// Goes up by one with each session of the node.
    pub epoch: i64,
    /// How long the lease lasts when it is not renewed.
    pub lease: Duration,
    /// Whether [`ToAgent::Renewed`] says what has been taken over. Older control planes do not, and keep twice what they
    /// are told twice.
    pub counts: bool,
}

/// What a node should run.
#[derive(Clone)]
pub struct Desired {
    /// The node's revision.
    pub revision: i64,
    /// Whether `routers` are all that the node should run. Otherwise they are those that differ from
    /// what the agent has.
    pub is_whole: bool,
    /// Plans.
    pub routers: Vec<RouterPlan>,
    /// Routers that the node should not run any more; empty when whole.
    pub gone: Vec<RouterId>,
}
