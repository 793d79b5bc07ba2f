//! charon's control interface (VICI): messages, and a connection to say them over.
//!
//! We speak it ourselves rather than through a library: a connection has to notice at once that the daemon has died,
//! and must not lose its place in the byte stream when something else becomes ready while a packet is half read.
//! Keys are wiped from the buffers that they passed through.

mod message;
mod packet;
mod session;

pub(crate) use message::Message;
pub(crate) use session::{Notice, Session, listen};

use std::io;
use thiserror::Error;

/// Why the daemon could not be asked, or did not do as asked.
#[derive(Debug, Error)]
pub(crate) enum ViciError {
    /// The connection is broken: the daemon has most likely died.
    #[error("the connection to charon broke: {0}")]
    Io(#[from] io::Error),
    /// The daemon said something that is not VICI, or not what was asked for.
    #[error("charon said something unexpected: {0}")]
    Protocol(&'static str),
    /// The daemon did not answer in time.
    #[error("charon has not answered to {command} for {seconds} seconds{}", if *is_idle { ", and does nothing" } else { "" })]
    Late {
        /// What it was asked.
        command: &'static str,
        /// How long we waited.
        seconds: u64,
        /// Whether its process has not run at all for the last of them.
        is_idle: bool,
    },
    /// The daemon refused.
    #[error("charon refused {command}: {why}")]
    Refused {
        /// What it was asked.
        command: &'static str,
        /// What it said.
        why: String,
    },
}
