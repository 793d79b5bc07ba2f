//! The rules of networks, subnets, ports, routers, floating IPs and security groups.
//!
//! Rows are locked in one order, so that no two requests wait for each other: the project's quota,
//! the floating IP, the port, the router, the network, its subnet; a security group before its
//! rules, and who holds two groups holds the project. What cannot follow it (a port becomes an
//! interface of a router while a floating IP is led to it) may lose to another request on
//! PostgreSQL, and is then run again by the store.

pub(crate) mod allocation;
pub(crate) mod association;
pub(crate) mod default_group;
pub(crate) mod device;
pub(crate) mod fixed_ip;
pub(crate) mod floating_ip;
pub(crate) mod gateway;
pub(crate) mod interface;
pub(crate) mod network;
pub(crate) mod port;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod security_group;
pub(crate) mod security_group_rule;
pub(crate) mod service_port;
pub(crate) mod subnet;
pub(crate) mod zone;
