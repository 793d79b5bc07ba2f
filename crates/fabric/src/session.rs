//! The two ends of a session.

use crate::{FromAgent, ToAgent};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many messages wait on their way. An end that does not keep up makes the other wait.
const DEPTH: usize = 64;

/// The agent's end. The session is over when either channel is closed.
pub struct AgentEnd {
    /// To the control plane.
    pub outgoing: Sender<FromAgent>,
    /// From the control plane.
    pub incoming: Receiver<ToAgent>,
}

/// The control plane's end. The session is over when either channel is closed.
pub struct ControlEnd {
    /// The node's name as its certificate says; none when the agent is in the same process.
    pub host: Option<String>,
    /// To the agent.
    pub outgoing: Sender<ToAgent>,
    /// From the agent.
    pub incoming: Receiver<FromAgent>,
}

/// A session within one process. A `host` is what the other end has proved to be.
#[must_use]
pub fn pair(host: Option<String>) -> (AgentEnd, ControlEnd) {
    let (to_agent, from_control) = channel(DEPTH);
    let (to_control, from_agent) = channel(DEPTH);
    let agent = AgentEnd { outgoing: to_control, incoming: from_control };
    (agent, ControlEnd { host, outgoing: to_agent, incoming: from_agent })
}
