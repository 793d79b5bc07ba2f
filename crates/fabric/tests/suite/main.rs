//! The fabric over real sockets on loopback.

mod bed;
mod enrolment;
mod sessions;
mod silence;
