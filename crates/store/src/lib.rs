//! Where Karez keeps things: one SQL text over SQLite (embedded, the default) and PostgreSQL.
//!
//! A use case is a closure over a [`Tx`]. [`Store::read`] runs it against what is committed,
//! [`Store::write`] in one transaction that is durable when the call returns. The closure may run
//! more than once (a lost race, a lost connection), so it must not have effects of its own.
//!
//! Secrets are sealed on the way in and opened on the way out; see [`seal`].

mod cache;
mod datum;
mod desired;
mod error;
mod lanes;
mod list;
mod migrate;
mod objects;
mod postgres;
mod query;
pub mod seal;
mod sealed;
mod sqlite;
mod store;
mod tx;
mod workers;

pub use cache::Stored;
pub use datum::{Datum, Row};
pub use error::Error;
pub use lanes::Lane;
pub use list::{Extent, Stamps};
pub use objects::Reseal;
pub use query::{Direction, Extra, Filter, Page, Query, Sight};
pub use seal::Keyring;
pub use store::{Observer, Operation, Options, Store};
pub use tx::Tx;
