//! The use cases: what may be done with the resources, by whom, and what follows from it.
//!
//! A use case runs in one transaction of the store, so that rules across resources hold whatever
//! else happens at the same time. The order is Neutron's: whose project, policy, quota, then the
//! rules of the kind. Knows no wire format and no agent.

mod agents;
mod context;
mod control;
mod core;
mod enrolment;
mod failure;
mod flavors;
mod list;
mod node;
mod ownership;
mod plan;
mod quota;
mod resolve;
mod rules;
mod schedule;
mod status;
pub mod tags;
mod vpn;

pub use agents::AgentRouters;
pub use control::{Control, Settings};
pub use core::interface::{Interface, InterfaceOf};
pub use failure::Failure;
pub use flavors::{PROVIDER, is_provider_driver};
pub use list::{ListRequest, Listed, Rest};
pub use node::{Fenced, Lease, Standing};
pub use quota::{QuotaUse, Quotas};
pub use status::{ConnectionStatus, Status, Tunnel};
