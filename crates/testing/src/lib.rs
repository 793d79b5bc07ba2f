//! What tests of several crates share, and nothing of the domain: databases of their own on both
//! stores, and waiting for a condition.
//!
//! ```ignore
//! let database = Database::create(StoreKind::Postgresql, folder.path())?;
//! let store = Store::open(Options::postgres(&database.url(), keyring))?;
//! ```

mod database;
mod postgresql;
pub mod wait;

pub use database::{Database, StoreKind};
pub use postgresql::Cluster;
