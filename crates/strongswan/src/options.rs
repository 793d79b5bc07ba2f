//! What an operator may set.

use karez_engine::{Bounds, Datapath, EngineError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where charon may be, by distribution.
const CHARON: [&str; 4] = [
    "/usr/lib/ipsec/charon",
    "/usr/libexec/ipsec/charon",
    "/usr/lib/strongswan/charon",
    "/usr/libexec/strongswan/charon",
];

/// What the engine is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory below which each router has its own; it is made if need be, readable by root only.
    pub state_directory: PathBuf,
    /// The program; looked for in the usual places when not given.
    pub charon: Option<PathBuf>,
    /// Who encrypts; the kernel is asked when not given.
    pub datapath: Option<Datapath>,
    /// The plugins to load besides those for sockets, kernel and control; a short list when not given.
    pub plugins: Option<Vec<String>>,
    /// What no tunnel may be.
    pub bounds: Bounds,
    /// How long a new tunnel may be pending before it counts as down.
    pub grace: Duration,
    /// How often counters are read.
    pub counters: Duration,
}

impl Options {
    /// The usual, with this state directory.
    #[must_use]
    pub fn new(state_directory: impl Into<PathBuf>) -> Self {
        Self {
            state_directory: state_directory.into(),
            charon: None,
            datapath: None,
            plugins: None,
            bounds: Bounds::default(),
            grace: Duration::from_secs(10),
            counters: Duration::from_secs(10),
        }
    }

    /// The program to start.
    ///
    /// # Errors
    /// [`EngineError::Machine`] when there is none.
    pub fn find_charon(&self) -> Result<PathBuf, EngineError> {
        let given = self.charon.iter().map(PathBuf::as_path);
        let usual = CHARON.iter().map(Path::new).filter(|_| self.charon.is_none());
        let found = given.chain(usual).find(|path| path.is_file());
        found.map(Path::to_owned).ok_or_else(|| {
            EngineError::Machine(
                "charon was not found; install the packages strongswan-charon and libcharon-extra-plugins"
                    .into(),
            )
        })
    }
}
