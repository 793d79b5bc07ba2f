//! Things go wrong while tunnels run: processes die, links go, databases come back older. The real binary in network
//! namespaces; what is not concerned must not lose a packet, and everything must converge.
//!
//! They need what the tests in `tunnels` need.

mod backup;
mod branch;
mod daemon;
mod enrolment;
mod parts;
mod restarts;
mod routers;
mod scarcity;
mod shutdown;
mod silence;
mod stage;
mod storm;
mod takeover;
