//! Clients that send too much, too slowly or nonsense: each is answered with what is wrong or cut
//! off, nobody else notices, and nothing that a client sends is a fault of the server.

#![allow(clippy::disallowed_methods, reason = "slow clients are slow in real time")]

pub mod connections;
pub mod lists;
pub mod mutations;
pub mod nonsense;
pub mod sizes;
