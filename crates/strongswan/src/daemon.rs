//! One charon: its directory, its start, its adoption, its end.
//!
//! ```text
//! <state>/<router>/         0700
//!   key                     0600, the key of the digests in names
//!   place                   0600, the namespace and our addresses in it, for an agent that knows no more of the router
//!   run/                    what the daemon sees as /run
//!     charon.conf           its settings, without secrets
//!     charon.vici           its socket
//!     charon.pid            its own note
//!     charon.log            what it says, and charon.log.old what it said before
//! ```
//!
//! It does not die with the agent. Who listens on the socket in that directory is the router's daemon; the kernel
//! says which process that is, and which network namespace that process is in. One that does not listen yet, since its
//! agent died while it started, is known by having that directory as its `/run`.

use crate::blueprint::Key;
use crate::leftover;
use crate::process::Process;
use crate::settings::{self, LOG, SETTINGS, SOCKET};
use crate::support::Algorithms;
use crate::vici::{Message, Notice, Session, ViciError, listen};
use aws_lc_rs::{hmac, rand};
use karez_engine::{Bounds, Datapath, Place};
use karez_net::{Namespace, SpawnOptions};
use rustix::fs::fstat;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// The environment variable that names the settings.
const CONFIGURED: &str = "STRONGSWAN_CONF";

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What we want to be told. The log is the only source for why a negotiation failed.
const EVENTS: [&str; 6] = ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "log"];

/// How long a daemon may take to open its socket.
const START: Duration = Duration::from_secs(20);

/// How long a daemon may take to end when asked: it tells its peers first.
const STOP: Duration = Duration::from_secs(3);

/// How long a daemon that was found without its socket may take to open it.
const OPENING: Duration = Duration::from_secs(5);

/// How long the end of a process may take to show after that of its connections.
const ENDING: Duration = Duration::from_millis(200);

/// Beyond so many octets the log is begun anew.
const LOG_LIMIT: u64 = 1 << 20;

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
    pub(crate) bounds: Bounds,
}

impl Daemon {
    /// The daemon that runs already in this place, if there is one. One that runs elsewhere, because the namespace was
    /// made anew or the data path was changed, is ended.
    ///
    /// # Errors
    /// When the place is not there, and [`ViciError::Late`] when the daemon does not answer in time; unless it
    /// `is_given_up`, it is left as it is then.
    pub(crate) async fn adopt(
        setup: &Setup,
        place: &Place,
        is_given_up: bool,
    ) -> Result<Option<Self>, DaemonError> {
        let Some(process) = find(setup).await else { return Ok(None) };
        let wanted = fstat(namespace(place)?).map_err(|errno| DaemonError::Process(errno.into()))?;
        let is_here = process.namespace() == Some((wanted.st_dev, wanted.st_ino));
        if !is_here || !has_same_datapath(setup) {
            process.stop(STOP).await;
            return Ok(None);
        }
        match Self::attach(setup, process).await {
            Ok(daemon) => Ok(Some(daemon)),
            // Its tunnels may work all the same.
            Err((_, error @ DaemonError::Vici(ViciError::Late { .. }))) if !is_given_up => Err(error),
            Err((process, error)) => {
                tracing::warn!(directory = %setup.directory.display(), %error, "a daemon that does not answer is ended");
                process.stop(STOP).await;
                Ok(None)
            }
        }
    }

    /// Starts a daemon. There must be none. What an earlier one has left in the kernel between one of our addresses and
    /// any other is removed.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) async fn start(
        setup: &Setup,
        place: &Place,
        ours: &BTreeSet<IpAddr>,
    ) -> Result<Self, DaemonError> {
        let run = prepare(setup)?;
        sweep(place, ours).await?;
        let namespace = namespace(place)?;
        let charon = setup.charon.clone();
        let directory = run.clone();
        let spawned = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(charon);
            // Nothing of ours is for it to know.
            command
                .env_clear()
                .env("PATH", PATH)
                .env(CONFIGURED, format!("/run/{SETTINGS}"))
                .current_dir("/");
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
        match connect(setup).await {
            Ok((session, notices, algorithms)) => Ok(Self { session, notices, algorithms, process }),
            Err(error) => Err((process, error.into())),
        }
    }

    /// Connects to it anew, after it has not answered in time or has closed a connection.
    ///
    /// # Errors
    /// When it does not answer now either.
    pub(crate) async fn attach_again(&mut self, setup: &Setup) -> Result<(), ViciError> {
        (self.session, self.notices, self.algorithms) = connect(setup).await?;
        Ok(())
    }

    /// Whether its process has ended, or ends within a moment.
    pub(crate) async fn has_ended(&mut self) -> bool {
        timeout(ENDING, self.process.ended()).await.is_ok()
    }
}

async fn connect(setup: &Setup) -> Result<(Session, mpsc::Receiver<Notice>, Algorithms), ViciError> {
    let run = setup.directory.join("run");
    let notices = listen(&run, SOCKET, &EVENTS).await?;
    let mut session = Session::connect(&run, SOCKET).await?;
    let answer = session.request("get-algorithms", &Message::new()).await?;
    Ok((session, notices, Algorithms::read(&answer)))
}

/// Begins the log anew when it has become long; the last part of it stays beside.
pub(crate) fn bound_log(setup: &Setup) {
    let log = setup.directory.join("run").join(LOG);
    if fs::metadata(&log).map_or(0, |metadata| metadata.len()) <= LOG_LIMIT {
        return;
    }
    // charon has it open for appending: it goes on where the file ends.
    let cut = fs::copy(&log, log.with_extension("log.old"))
        .and_then(|_| OpenOptions::new().write(true).open(&log)?.set_len(0));
    if let Err(error) = cut {
        tracing::warn!(path = %log.display(), %error, "the log of an IKE daemon cannot be cut");
    }
}

/// Removes what a daemon that was killed has left in the kernel. There must be none now.
///
/// # Errors
/// When the place is not there.
pub(crate) async fn sweep(place: &Place, ours: &BTreeSet<IpAddr>) -> Result<(), DaemonError> {
    let (namespace, ours) = (namespace(place)?, ours.clone());
    let swept = tokio::task::spawn_blocking(move || leftover::remove(&namespace, &ours)).await;
    // Tunnels come up all the same, and the next start tries again.
    if let Err(error) = swept.map_err(io::Error::other).flatten() {
        tracing::warn!(%error, "what an IKE daemon may have left in the kernel cannot be removed");
    }
    Ok(())
}

/// Notes where a daemon may leave something in the kernel, for an agent that knows nothing else of the router.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn remember(setup: &Setup, place: &Place, ours: &BTreeSet<IpAddr>) -> Result<(), DaemonError> {
    make_private(&setup.directory)?;
    let namespace = place.namespace.clone().unwrap_or_default();
    let lines = ours.iter().fold(namespace, |lines, address| format!("{lines}\n{address}"));
    write(&setup.directory.join("place"), lines.as_bytes())
}

fn remembered(setup: &Setup) -> Option<(Place, BTreeSet<IpAddr>)> {
    let text = fs::read_to_string(setup.directory.join("place")).ok()?;
    let (namespace, addresses) = text.split_once('\n')?;
    let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
    Some((Place { namespace }, addresses.lines().filter_map(|line| line.parse().ok()).collect()))
}

/// Ends the daemon of a router that is in no plan any more, and removes its files.
///
/// # Errors
/// When files cannot be removed.
pub(crate) async fn erase(setup: &Setup) -> Result<(), DaemonError> {
    for process in running(setup).await.into_iter().chain(without_socket(setup)) {
        process.stop(STOP).await;
    }
    if let Some((place, ours)) = remembered(setup)
        && let Err(error) = sweep(&place, &ours).await
    {
        // The place may have gone before, and what was in it with it.
        tracing::debug!(%error, "the kernel of a router that is gone is not looked at");
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

/// The router's daemon. One that does not open its socket is ended: nobody can tell it anything.
async fn find(setup: &Setup) -> Option<Process> {
    if let Some(process) = running(setup).await {
        return Some(process);
    }
    let silent = without_socket(setup);
    if silent.is_empty() {
        return None;
    }
    let opening = async {
        loop {
            match running(setup).await {
                Some(process) => return process,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    if let Ok(process) = timeout(OPENING, opening).await {
        return Some(process);
    }
    for process in silent {
        let directory = setup.directory.display();
        tracing::warn!(%directory, process = process.number(), "a daemon without its socket is ended");
        process.stop(STOP).await;
    }
    None
}

/// The processes that have the router's directory as their `/run` and were started as a daemon.
fn without_socket(setup: &Setup) -> Vec<Process> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let Some(wanted) = identity(&setup.directory.join("run")) else { return Vec::new() };
    let is_ours = |pid: i32| {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let environment = || fs::read(proc.join("environ")).unwrap_or_default();
        let is_set = |variable: &[u8]| variable.starts_with(CONFIGURED.as_bytes());
        identity(&proc.join("root/run")) == Some(wanted)
            && environment().split(|octet| *octet == 0).any(is_set)
    };
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // First the descriptor, then the question: the number cannot be another's by then.
    numbers.filter_map(|pid| Process::adopted(pid).ok().filter(|_| is_ours(pid))).collect()
}

async fn dial(run: &Path) -> io::Result<UnixStream> {
    use std::os::fd::AsRawFd as _;
    let directory = fs::File::open(run)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd())).await
}

pub(crate) fn namespace(place: &Place) -> Result<Namespace, DaemonError> {
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
    write(&run.join(SETTINGS), text.as_bytes())?;
    Ok(run)
}

/// A running daemon's data path shows in the settings that it was started with.
fn has_same_datapath(setup: &Setup) -> bool {
    let text = fs::read_to_string(setup.directory.join("run").join(SETTINGS)).unwrap_or_default();
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
