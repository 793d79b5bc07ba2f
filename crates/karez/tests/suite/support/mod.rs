//! What tests against the real binary share: starting the server on either store, the way to
//! the database behind the server's back, callers, and what a connection needs around it.
//!
//! ```ignore
//! let server = Launch::new(StoreKind::Sqlite).start()?;
//! let networks = Caller::admin("p1").request(&server, Method::GET, "/v2.0/networks").send()?;
//! ```

pub mod caller;
pub mod command;
pub mod dice;
pub mod raw;
pub mod relay;
pub mod server;
pub mod site;
pub mod up;

pub use caller::Caller;
pub use karez_testing::{Cluster, Database, StoreKind, wait};
pub use server::{Launch, Server};
pub use site::Site;
pub use up::Up;
