//! One charon: its directory, its start, its adoption, its end.
//!
//! ```text
//! <state>/<router>/         0700
//!   key                     0600, the key of the digests in names
//!   run/                    what the daemon sees as /run
//!     strongswan.conf       its settings, without secrets
//!     charon.vici           its socket
//!     charon.pid            its own note
//! ```
//!
//! It does not die with the agent. Who listens on the socket in that directory is the router's daemon; the kernel
//! says which process that is, and which network namespace that process is in.

use crate::blueprint::Key;
use crate::process::Process;
use crate::settings::{self, SOCKET};
use crate::support::Algorithms;
use crate::vici::{Message, Notice, Session, ViciError, listen};
use aws_lc_rs::{hmac, rand};
use karez_engine::{Datapath, Place};
use karez_net::{Namespace, SpawnOptions};
use rustix::fs::fstat;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// What we want to be told. The log is the only source for why a negotiation failed.
const EVENTS: [&str; 6] = ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "log"];

/// How long a daemon may take to open its socket.
const START: Duration = Duration::from_secs(20);

/// How long a daemon may take to end when asked: it tells its peers first.
const STOP: Duration = Duration::from_secs(3);

/// A daemon that runs and listens.
pub(crate) struct Daemon {
    /// For what we ask.
    pub(crate) session: Session,
    /// What it tells.
    pub(crate) notices: mpsc::Receiver<Notice>,
    /// What its plugins offer.
    pub(crate) algorithms: Algorithms,
    process: Process,
}

/// Why there is no daemon.
#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    #[error("{what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the daemon could not be started: {0}")]
    Spawn(#[from] karez_net::Error),
    #[error("the daemon has ended right after its start; its packages may be incomplete")]
    Ended,
    #[error("the daemon has not opened its socket within {} seconds", START.as_secs())]
    Silent,
    #[error(transparent)]
    Vici(#[from] ViciError),
    #[error("the daemon's process: {0}")]
    Process(io::Error),
}

/// What a daemon is started with.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The router's directory.
    pub(crate) directory: PathBuf,
    pub(crate) charon: PathBuf,
    pub(crate) datapath: Datapath,
    pub(crate) plugins: Option<Vec<String>>,
}

impl Daemon {
    /// The daemon that runs already in this place, if there is one. One that runs elsewhere, because the namespace was
    /// made anew or the data path was changed, is ended.
    ///
    /// # Errors
    /// When the place is not there.
    pub(crate) async fn adopt(setup: &Setup, place: &Place) -> Result<Option<Self>, DaemonError> {
        let Some(process) = running(setup).await else { return Ok(None) };
        let wanted = fstat(namespace(place)?).map_err(|errno| DaemonError::Process(errno.into()))?;
        let is_here = process.namespace() == Some((wanted.st_dev, wanted.st_ino));
        if !is_here || !has_same_datapath(setup) {
            process.stop(STOP).await;
            return Ok(None);
        }
        match Self::attach(setup, process).await {
            Ok(daemon) => Ok(Some(daemon)),
            Err((process, error)) => {
                tracing::warn!(directory = %setup.directory.display(), %error, "a daemon that does not answer is ended");
                process.stop(STOP).await;
                Ok(None)
            }
        }
    }

    /// Starts a daemon. There must be none.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) async fn start(setup: &Setup, place: &Place) -> Result<Self, DaemonError> {
        let run = prepare(setup)?;
        let namespace = namespace(place)?;
        let charon = setup.charon.clone();
        let directory = run.clone();
        let spawned = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(charon);
            command.env("STRONGSWAN_CONF", "/run/strongswan.conf").current_dir("/");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            namespace.spawn(&mut command, &SpawnOptions::new().bind(directory, "/run").own_process_group())
        });
        let child = spawned.await.map_err(|error| DaemonError::Process(io::Error::other(error)))??;
        let mut process = Process::started(child).map_err(|_| DaemonError::Ended)?;
        let listening = async {
            while dial(&run).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            outcome = timeout(START, listening) => if outcome.is_err() {
                process.stop(STOP).await;
                return Err(DaemonError::Silent);
            },
            () = process.ended() => return Err(DaemonError::Ended),
        }
        match Self::attach(setup, process).await {
            Ok(daemon) => Ok(daemon),
            Err((process, error)) => {
                process.stop(STOP).await;
                Err(error)
            }
        }
    }

    /// Ends it. Peers are told by the daemon, without waiting for their answers.
    pub(crate) async fn stop(self) {
        self.process.stop(STOP).await;
    }

    /// The number of its process.
    pub(crate) fn number(&self) -> i32 {
        self.process.number()
    }

    /// Whether it runs in this place.
    pub(crate) fn is_in(&self, place: &Place) -> Result<bool, DaemonError> {
        let wanted = fstat(namespace(place)?).map_err(|errno| DaemonError::Process(errno.into()))?;
        Ok(self.process.namespace() == Some((wanted.st_dev, wanted.st_ino)))
    }

    async fn attach(setup: &Setup, process: Process) -> Result<Self, (Process, DaemonError)> {
        let run = setup.directory.join("run");
        let attached = async {
            let notices = listen(&run, SOCKET, &EVENTS).await?;
            let mut session = Session::connect(&run, SOCKET).await?;
            let answer = session.request("get-algorithms", &Message::new()).await?;
            Ok::<_, ViciError>((session, notices, Algorithms::read(&answer)))
        };
        match attached.await {
            Ok((session, notices, algorithms)) => Ok(Self { session, notices, algorithms, process }),
            Err(error) => Err((process, error.into())),
        }
    }
}

/// Ends the daemon of a router that is in no plan any more, and removes its files.
///
/// # Errors
/// When files cannot be removed.
pub(crate) async fn erase(setup: &Setup) -> Result<(), DaemonError> {
    if let Some(process) = running(setup).await {
        process.stop(STOP).await;
    }
    match fs::remove_dir_all(&setup.directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &setup.directory, error))
        }
        _ => Ok(()),
    }
}

/// The key of the router's digests: made once, kept with its files.
///
/// # Errors
/// When it can be neither read nor written.
pub(crate) fn digest_key(setup: &Setup) -> Result<Key, DaemonError> {
    make_private(&setup.directory)?;
    let path = setup.directory.join("key");
    let octets = match fs::read(&path) {
        Ok(octets) if octets.len() == 32 => octets,
        _ => {
            let mut octets = vec![0; 32];
            rand::fill(&mut octets)
                .map_err(|_| failed("make the key", &path, io::Error::other("no randomness")))?;
            write(&path, &octets)?;
            octets
        }
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
}

/// The process that listens on the router's socket.
async fn running(setup: &Setup) -> Option<Process> {
    let stream = dial(&setup.directory.join("run")).await.ok()?;
    // The credentials of who has begun to listen. While the connection stands, the number is not given to another.
    let pid = stream.peer_cred().ok()?.pid()?;
    Process::adopted(pid).ok()
}

async fn dial(run: &Path) -> io::Result<UnixStream> {
    use std::os::fd::AsRawFd as _;
    let directory = fs::File::open(run)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd())).await
}

fn namespace(place: &Place) -> Result<Namespace, DaemonError> {
    Ok(match &place.namespace {
        Some(name) => Namespace::open(name)?,
        None => Namespace::current()?,
    })
}

/// Makes the directories and the settings, and removes what a daemon has left that has died.
fn prepare(setup: &Setup) -> Result<PathBuf, DaemonError> {
    let run = setup.directory.join("run");
    make_private(&run)?;
    for name in ["charon.pid", SOCKET] {
        match fs::remove_file(run.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &run.join(name), error));
            }
            _ => {}
        }
    }
    let text = settings::text(setup.datapath, setup.plugins.as_deref());
    write(&run.join("strongswan.conf"), text.as_bytes())?;
    Ok(run)
}

/// A running daemon's data path shows in the settings that it was started with.
fn has_same_datapath(setup: &Setup) -> bool {
    let text = fs::read_to_string(setup.directory.join("run/strongswan.conf")).unwrap_or_default();
    text.contains("kernel-libipsec") == (setup.datapath == Datapath::Userspace)
}

fn make_private(directory: &Path) -> Result<(), DaemonError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| failed("make", directory, error))
}

fn write(path: &Path, octets: &[u8]) -> Result<(), DaemonError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(octets)
    };
    write().map_err(|error| failed("write", path, error))
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> DaemonError {
    DaemonError::File { what, path: path.to_owned(), source }
}
