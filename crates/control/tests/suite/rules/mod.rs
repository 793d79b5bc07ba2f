//! The rules of the use cases, as callers meet them. Each test has projects of its own. The suite
//! runs once on each database; which one, the name of the module around it says.

pub mod addresses;
pub mod floating_ips;
pub mod gateways;
pub mod ground;
pub mod interfaces;
pub mod names;
pub mod networks;
pub mod plans;
pub mod ports;
pub mod protected;
pub mod races;
pub mod scheduling;
pub mod security_groups;
pub mod sessions;
pub mod site;
pub mod statuses;
pub mod subnets;
pub mod unattended;
