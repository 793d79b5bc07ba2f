//! Whole clouds on one machine, for tests and for `karez demo`: real services and agents in network namespaces that
//! are made for it and removed with it, and no way out of the machine.
//!
//! ```no_run
//! # use karez_scene::{Address, End, Error, Ground, Internet, Peer, Wish, random_key};
//! # use std::{path::Path, time::Duration};
//! # fn main() -> Result<(), Error> {
//! let ground = Ground::claim("prose")?;
//! let internet = Internet::build(&ground)?;
//! let address = Address {
//!     cloud: "cloud1",
//!     outer: [200, 200, 128, 100].into(),
//!     subnet: "10.10.10.0/24".parse().unwrap(),
//!     host: [10, 10, 10, 10].into(),
//! };
//! let end = End::build(internet.segment(), Path::new("target/debug/karez"), &address)?;
//!
//! let peer = Peer {
//!     address: "200.200.128.151".into(),
//!     id: "200.200.128.151".into(),
//!     cidrs: vec!["20.20.20.0/24".parse().unwrap()],
//! };
//! let connection = end.connect(&peer, &random_key()?, &Wish::modern())?;
//! connection.becomes("ACTIVE", Duration::from_secs(30))?;
//! assert!(end.host.ping([20, 20, 20, 20].into(), 50)?.all_answered());
//! ground.succeeded();
//! # Ok(())
//! # }
//! ```
//!
//! Everything blocks, and nothing here may be called from inside of an async runtime. It needs root and some Debian
//! packages: see [`needs::check`]. Whatever is made is written down first and removed at the end, also by an error, a
//! panic, and Ctrl-C ([`interrupt::heed`]); what a killed process has left, the next [`Ground::claim`] of the same name
//! removes. When a scene ends without [`Ground::succeeded`], the ends of all logs are shown;
//! with `KAREZ_SCENE_LEAVE` in the environment it is also left as it is, to be looked at.

mod capture;
mod client;
mod clock;
mod cloud;
mod connection;
mod end;
mod error;
mod ground;
mod host;
mod internet;
pub mod interrupt;
mod inventory;
pub mod needs;
mod node;
mod ping;
mod process;
mod service;
mod site;
mod timeline;
pub mod wait;

pub use capture::{Capture, Captured, Packet, PacketKind};
pub use client::{Client, Kind, id};
pub use cloud::Cloud;
pub use connection::{Connection, Peer, Status, Wish, random_key};
pub use end::{Address, End};
pub use error::Error;
pub use ground::{Ground, Kept};
pub use host::Host;
pub use internet::{Internet, Prefix, Segment};
pub use node::Node;
pub use ping::{Lost, Pinger, Pings};
pub use service::Service;
pub use site::{Lan, Site};
pub use timeline::Timeline;
