//! The store itself: which database, and how use cases run on it.

#![allow(clippy::disallowed_methods, reason = "this is where time enters the store")]

use crate::cache::Cache;
use crate::lanes::Lane;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::tx::{Connection, Shared};
use crate::workers::Workers;
use crate::{Error, Keyring, Tx, migrate};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

/// Where the data lies and what opens its secrets.
#[derive(Clone)]
pub struct Options {
    place: Place,
    keyring: Keyring,
}

#[derive(Clone)]
enum Place {
    Sqlite(PathBuf),
    Postgres(Zeroizing<String>),
}

impl Options {
    /// A SQLite file, made when it is not there.
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>, keyring: Keyring) -> Self {
        Self { place: Place::Sqlite(path.into()), keyring }
    }

    /// A PostgreSQL database, by its `postgresql://` URL.
    #[must_use]
    pub fn postgres(url: &str, keyring: Keyring) -> Self {
        Self { place: Place::Postgres(Zeroizing::new(url.to_owned())), keyring }
    }
}

/// What a measured call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Store::read`].
    Read,
    /// [`Store::write`].
    Write,
}

/// Told how long each call took, waiting included.
pub type Observer = Box<dyn Fn(Operation, Duration) + Send + Sync>;

/// A store that is open. Clones share it.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    shared: Arc<Shared>,
    observer: Arc<OnceLock<Observer>>,
    doorbell: watch::Sender<u64>,
    lane: Lane,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// What a backend runs: the use case with its answer put aside.
pub(crate) type Job = Box<dyn FnMut(&mut dyn Connection) -> Verdict + Send>;

/// How often a transaction that lost a race is run before it is given up.
pub(crate) const ATTEMPTS: usize = 8;

/// What is to become of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    Rollback,
    /// Roll back and run again.
    Again,
}

/// Whether a use case needs a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// A use case that waits for a thread, and whoever waits for it.
pub(crate) struct Queued {
    pub job: Job,
    pub mode: Mode,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Queued {
    /// Has a thread run the job, and waits for that.
    pub(crate) async fn run(workers: &Workers<Self>, lane: Lane, mode: Mode, job: Job) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        let gone = || Error::Unavailable("the threads of the database have stopped".into());
        workers.put(lane, Self { job, mode, done }).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Whether who asked for it has gone.
    pub(crate) fn is_given_up(&self) -> bool {
        self.done.is_closed()
    }

    pub(crate) fn answer(self, done: Result<(), Error>) {
        let _ = self.done.send(done);
    }
}

/// A use case that panics must not take its thread with it.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Bug("a use case panicked".into())))
}

impl Options {
    /// Why the database is away, when that is what keeps the store from being opened and may pass by itself. A file is never
    /// away. Blocks for some seconds at most.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        match &self.place {
            Place::Sqlite(_) => None,
            Place::Postgres(url) => crate::postgres::away(url),
        }
    }
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached or was made by a newer Karez.
    pub fn open(options: Options) -> Result<Self, Error> {
        let shared = Arc::new(Shared { keyring: options.keyring, cache: Cache::new() });
        let doorbell = watch::Sender::new(0);
        let backend = match options.place {
            Place::Sqlite(path) => {
                Backend::Sqlite(Arc::new(Sqlite::open(&path, |db| migrate::run(db, now()))?))
            }
            Place::Postgres(url) => {
                let rung = doorbell.clone();
                let migrate = |db: &mut dyn Connection| migrate::run(db, now());
                Backend::Postgres(Arc::new(Postgres::open(url, migrate, move || ring(&rung))?))
            }
        };
        Ok(Self { backend, shared, observer: Arc::default(), doorbell, lane: Lane::Brief })
    }

    /// The same store, whose use cases wait in this lane. A store that was opened has those of requests.
    #[must_use]
    pub fn on(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// Refuses to go on without the keys of the secrets that there are.
    ///
    /// # Errors
    /// [`Error::Sealed`] names the key file that is missing or another installation's.
    pub async fn check_key(&self) -> Result<(), Error> {
        match self.read(|tx| tx.any_secret()).await? {
            Some(sealed) => self.shared.keyring.check(&sealed),
            None => Ok(()),
        }
    }

    /// Has each call from now on reported. Only the first observer counts.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// Changes after each commit in which [`Tx::ring`] was called, directly or by a bump: at once for
    /// those of this process, and within a moment for those of other servers on one PostgreSQL. A
    /// ring of another server may be lost, so whoever waits also looks by himself from time to time.
    #[must_use]
    pub fn doorbell(&self) -> watch::Receiver<u64> {
        self.doorbell.subscribe()
    }

    /// The keys that secrets are sealed with.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// The name of the database, for metrics and messages.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => "sqlite",
            Backend::Postgres(_) => "postgresql",
        }
    }

    /// Runs a use case that only reads. Each of its statements sees what is committed by then.
    ///
    /// # Errors
    /// Those of the use case; [`Error::Unavailable`] when the database is away.
    pub async fn read<T, E, F>(&self, use_case: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let started = Instant::now();
        let (job, answer, _) = self.prepare(use_case, false);
        let done = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(self.lane, job).await,
            Backend::Postgres(postgres) => postgres.read(self.lane, job).await,
        };
        let result = settle(done, &answer);
        self.report(Operation::Read, started);
        result
    }

    /// Runs a use case in one transaction, which is durable when this returns `Ok`, and undone
    /// when the use case fails.
    ///
    /// # Errors
    /// Those of the use case; [`Error::Unavailable`] when the database is away.
    pub async fn write<T, E, F>(&self, use_case: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let started = Instant::now();
        let (job, answer, has_rung) = self.prepare(use_case, true);
        let done = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(self.lane, job).await,
            Backend::Postgres(postgres) => postgres.write(self.lane, job).await,
        };
        let result = settle(done, &answer);
        if result.is_ok() && has_rung.load(Ordering::Acquire) {
            ring(&self.doorbell);
            if let Backend::Postgres(postgres) = &self.backend {
                postgres.ring();
            }
        }
        self.report(Operation::Write, started);
        result
    }

    fn prepare<T, E, F>(&self, mut use_case: F, is_write: bool) -> (Job, Answer<T, E>, Arc<AtomicBool>)
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let answer: Answer<T, E> = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let has_rung = Arc::new(AtomicBool::new(false));
        let bell = Arc::clone(&has_rung);
        let shared = Arc::clone(&self.shared);
        let job = move |connection: &mut dyn Connection| {
            let mut tx = transaction(connection, &shared, is_write);
            let result = use_case(&mut tx);
            bell.store(tx.has_rung, Ordering::Release);
            let verdict = match (&result, tx.is_stale) {
                (Ok(_), _) => Verdict::Commit,
                (Err(_), true) => Verdict::Again,
                (Err(_), false) => Verdict::Rollback,
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            verdict
        };
        (Box::new(job), answer, has_rung)
    }

    fn report(&self, operation: Operation, started: Instant) {
        if let Some(observer) = self.observer.get() {
            observer(operation, started.elapsed());
        }
    }
}

fn ring(doorbell: &watch::Sender<u64>) {
    doorbell.send_modify(|rings| *rings = rings.wrapping_add(1));
}

type Answer<T, E> = Arc<Mutex<Option<Result<T, E>>>>;

fn transaction<'a>(connection: &'a mut dyn Connection, shared: &'a Arc<Shared>, is_write: bool) -> Tx<'a> {
    Tx { connection, shared, is_write, now: now(), is_stale: false, has_rung: false }
}

fn settle<T, E: From<Error>>(done: Result<(), Error>, answer: &Answer<T, E>) -> Result<T, E> {
    done?;
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    answer.unwrap_or_else(|| Err(Error::Bug("a use case left no answer".into()).into()))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
