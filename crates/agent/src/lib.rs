//! The agent: makes what runs on its node what the control plane says that should.
//!
//! One task a router compares what should be with what is and closes the difference, at each change
//! and from time to time without one. It stops at nothing else: a control plane that is away, an
//! agent that is restarted, a neighbour that is edited leave a router's tunnels alone.

mod agent;
mod clock;
pub mod gateway;
mod guard;
mod ledger;
mod router;
mod watch;

pub use agent::{Agent, Options};
pub use gateway::{AnyGateway, Gateway, GatewayError, Path, Severed};
pub use guard::{Guard, guards};
pub use watch::Watch;
