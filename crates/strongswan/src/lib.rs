//! The engine that drives strongSwan's charon, by VICI alone: no configuration files but a short list of settings, no
//! text output, no command-line tools.
//!
//! - One daemon for each router, in the router's network namespace, with a directory of its own. It outlives the
//!   agent, and the next agent adopts it with its tunnels untouched.
//! - What the daemon has is compared with the plan by names that carry digests (`blueprint`); only the difference
//!   is loaded, and only what the difference concerns is negotiated anew: first the new, then the old is ended.
//! - A tunnel's **state** is read from the daemon's SAs. Its **reason** may come from the daemon's log, which is the
//!   only place where charon says why (`classify`).
//! - What is begun and when is decided here (`tunnel`); the daemon's own start, close and dead-peer actions are off.

mod births;
mod blueprint;
mod classify;
mod clock;
mod daemon;
mod engine;
mod explain;
mod leftover;
mod observed;
mod options;
mod presence;
mod probe;
mod process;
mod router;
mod settings;
mod suite;
mod support;
mod tunnel;
mod vici;

pub use engine::Strongswan;
pub use options::Options;
