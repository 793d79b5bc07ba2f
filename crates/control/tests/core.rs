//! The rules of networks, subnets, ports, routers, floating IPs and security groups, as callers of
//! the use cases meet them. Each test has projects of its own. They run on SQLite, or on the
//! PostgreSQL database that `KAREZ_CONTROL_TEST_POSTGRES_URL` names.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod core {
    pub mod addresses;
    pub mod floating_ips;
    pub mod gateways;
    pub mod ground;
    pub mod interfaces;
    pub mod networks;
    pub mod ports;
    pub mod races;
    pub mod security_groups;
    pub mod subnets;
}
