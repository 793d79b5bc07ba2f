//! The vocabulary between those who say what tunnels should be and those who make them so: the plan
//! of a router, the state of a tunnel, why it is in that state, and the [`Engine`] trait.
//!
//! Nothing here does I/O, reads a clock or knows which engine is behind the trait.

mod algorithm;
mod bounds;
mod engine;
mod id;
mod identity;
mod plan;
mod reason;
mod record;
mod status;
pub mod tidy;

pub use algorithm::{Encryption, Group, Integrity, Unknown};
pub use bounds::{Bounds, NEVER, PAIRS, PAIRS_APART, SUBNETS};
pub use engine::{Datapath, Engine, EngineError, Place};
pub use id::{ConnectionId, RouterId, ServiceId};
pub use identity::Identity;
pub use plan::{
    ChildPlan, Dpd, DpdAction, External, Floating, GatewayPlan, IkeMode, IkePlan, IkeVersion, Initiator,
    Internal, IpsecMode, IpsecProtocol, Peer, RouterPlan, ServicePlan, StaticRoute, TunnelPlan,
};
pub use reason::{Code, Reason};
pub use record::{Record, Standing};
pub use status::{
    ChildSa, Event, EventKind, IkeSa, RouterReport, Traffic, TunnelReport, TunnelState, TunnelStatus,
};
