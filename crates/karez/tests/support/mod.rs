//! What tests against the real binary share: starting the server on either store, a PostgreSQL
//! cluster of their own, the way to the database behind the server's back, and callers.
//!
//! ```ignore
//! let server = Launch::new(StoreKind::Sqlite).start()?;
//! let networks = Caller::admin("p1").request(&server, Method::GET, "/v2.0/networks").send()?;
//! ```

#![allow(dead_code, reason = "every test binary compiles this module and uses a part of it")]
#![allow(unused_imports, reason = "same")]

pub mod caller;
pub mod database;
pub mod postgresql;
pub mod server;
pub mod wait;

pub use caller::Caller;
pub use database::{Database, StoreKind};
pub use server::{Identity, Launch, Server};
