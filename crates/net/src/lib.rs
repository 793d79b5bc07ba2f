//! The network of a Linux machine: namespaces, links, addresses, routes, and one nftables table per namespace.
//!
//! It knows nothing of VPN. Every operation compares what is wanted with what is there, closes the difference, touches
//! nothing else, and says whether it had to; doing it twice is harmless. Nothing but `nft` is executed.

mod address;
mod announce;
mod batch;
pub mod conntrack;
mod errno;
mod error;
mod events;
pub mod lane;
mod link;
mod namespace;
mod netlink;
mod nfnetlink;
pub mod nft;
pub mod policy;
mod process;
pub mod raw;
mod route;
mod rule;

pub use error::Error;
pub use events::{Changed, Events};
pub use link::{LOOPBACK, Link, LinkKind, LinkSettings, Mac, MacError, VethEnd, ensure_veth};
pub use namespace::Namespace;
pub use netlink::Netlink;
pub use process::SpawnOptions;
pub use route::{Forward, MAIN_TABLE, ObservedRoute, PROTOCOL, Route};
pub use rule::RoutingRule;
