//! What can go wrong on the way to a scene, and in whose hands it is.

use std::io;
use std::path::Path;
use std::time::Duration;

/// Why a scene is not as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks something: root, a package. The sentence says what to do.
    #[error("{0}")]
    Machine(String),
    /// Another process has a scene of this name.
    #[error("another process has the scene {name}: end it, or wait until it has ended")]
    Taken {
        /// The scene's name.
        name: String,
    },
    /// The kernel's network refused.
    #[error(transparent)]
    Net(#[from] karez_net::Error),
    /// A file or a process could not be dealt with.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A process ended that should have run on.
    #[error("{what} has ended; its last words:\n{words}")]
    Ended {
        /// Which.
        what: String,
        /// The end of its log.
        words: String,
    },
    /// The service did not answer.
    #[error("{request}: {reason}")]
    Unanswered {
        /// Method and path.
        request: String,
        /// What the client saw.
        reason: String,
    },
    /// The service refused.
    #[error("{request}: {status} {answer}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status of HTTP.
        status: u16,
        /// The answer's body.
        answer: String,
    },
    /// Something that should have come about did not in time.
    #[error("waited {} s in vain for {what}{}", .bound.as_secs_f32(), seen(.last))]
    InVain {
        /// What was waited for.
        what: String,
        /// How long.
        bound: Duration,
        /// What was there instead, when it is known.
        last: String,
    },
    /// A program or the service said something that it should not have.
    #[error("{0}")]
    Unexpected(String),
    /// The user has asked this process to end.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err`: this operation failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: this operation on this file failed.
    pub(crate) fn file(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{what} {}", path.display()))
    }
}

fn seen(last: &str) -> String {
    if last.is_empty() { String::new() } else { format!("; it is: {last}") }
}
