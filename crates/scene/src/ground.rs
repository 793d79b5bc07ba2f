//! The ground that a scene stands on: a name, a directory, and everything that was made, so that all of it can be
//! removed again: by this process on any way out, and by the next one after this one was killed.

mod kin;
mod place;
mod record;
mod sweep;

use crate::process::{Process, tail};
use crate::{Error, interrupt, needs, process};
use karez_net::{Namespace, Netlink};
use place::{Claim, Place};
use record::Record;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;

pub(crate) use kin::{joined_with, processes_of};
pub use record::Kept;

/// Lines of each log that are shown when a scene has failed.
const TAIL: usize = 40;

/// A scene's ground. Cloning is cheap; with the last clone everything of the scene is removed.
#[derive(Clone, Debug)]
pub struct Ground(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    place: Place,
    record: Record,
    runtime: Runtime,
    has_succeeded: AtomicBool,
    is_kept: AtomicBool,
    /// Held as long as this value lives; the last field, so that it is given up last.
    _claim: Claim,
}

impl Ground {
    /// Takes a name for this process, removes what an earlier scene of this name has left, and begins with an empty
    /// directory under `/run/karez-scene`. One to twenty lower case letters and digits.
    ///
    /// A scene must not be made from inside of an async runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`] without root, [`Error::Taken`] while another process has the name, and those of the system.
    pub fn claim(name: &str) -> Result<Self, Error> {
        Self::claim_in(name, None)
    }

    /// As [`Ground::claim`], with this directory, which must not exist, be empty, or be that of an earlier scene.
    ///
    /// # Errors
    ///
    /// As [`Ground::claim`]; [`Error::Machine`] when the directory holds something else.
    pub fn claim_in(name: &str, directory: Option<&Path>) -> Result<Self, Error> {
        needs::check_root()?;
        let claim = Claim::take(name)?;
        sweep::everything(name)?;
        let place = Place::prepare(name, directory)?;
        let record = Record::create(name, place.directory())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Error::io("start a runtime"))?;
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            place,
            record,
            runtime,
            has_succeeded: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            _claim: claim,
        })))
    }

    /// Removes what an earlier scene of this name has left or kept, and says what that was; nothing when there was
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Ground::claim`].
    pub fn clear(name: &str) -> Result<Option<Kept>, Error> {
        needs::check_root()?;
        let _claim = Claim::take(name)?;
        let kept = record::read(name)?;
        sweep::everything(name)?;
        Ok(kept)
    }

    /// The scene's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.0.place.directory()
    }

    /// The name in `/run/netns` of one of this scene's namespaces.
    #[must_use]
    pub fn namespace_name(&self, label: &str) -> String {
        format!("{}{label}", sweep::prefix(&self.0.name))
    }

    /// Says that the scene went as it should: no logs are shown at its end.
    pub fn succeeded(&self) {
        self.0.has_succeeded.store(true, Ordering::Relaxed);
    }

    /// Leaves everything as it is at the end, until [`Ground::clear`].
    pub fn keep(&self) {
        self.succeeded();
        self.0.is_kept.store(true, Ordering::Relaxed);
    }

    /// Removes everything now, and tells when something could not be removed. What is left of the scene's values is of
    /// no use afterwards.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn close(self) -> Result<(), Error> {
        self.succeeded();
        sweep::everything(&self.0.name)
    }

    /// Makes a namespace of the scene, with the loopback on.
    pub(crate) fn namespace(&self, label: &str) -> Result<Netlink, Error> {
        let namespace = Namespace::create(&self.namespace_name(label))?;
        // A neighbour is found at once, and nothing is said that nobody asked for.
        for setting in ["dad_transmits", "router_solicitations"] {
            // A kernel without IPv6 has no such settings.
            let _ = namespace.set_sysctl(&format!("net/ipv6/conf/default/{setting}"), "0");
        }
        let netlink = self.wait_for(Netlink::open(&namespace))?;
        self.wait_for(netlink.ensure_loopback())?;
        Ok(netlink)
    }

    /// Has the namespace of this router removed with the scene.
    pub(crate) fn expect_router(&self, id: &str) -> Result<(), Error> {
        self.0.record.namespace(&kin::of_router(id))
    }

    /// Starts a program that runs on its own, as [`Process::start`], logging to the scene's directory.
    pub(crate) fn start(&self, what: &str, program: &Path, arguments: &[String]) -> Result<Process, Error> {
        let process = Process::start(what, program, arguments, &self.directory().join(what))?;
        self.0.record.process(process.identity(), what)?;
        Ok(process)
    }

    /// Starts a program inside of a namespace. What it prints goes to `BASE.out`, and what it complains about to
    /// `BASE.log`; both are begun anew.
    pub(crate) fn start_in(
        &self,
        namespace: &Namespace,
        program: &str,
        arguments: &[&str],
        base: &Path,
    ) -> Result<Process, Error> {
        let (out, log) = (base.with_extension("out"), base.with_extension("log"));
        for file in [&out, &log] {
            let _ = std::fs::remove_file(file);
        }
        let mut command = Command::new(needs::program(program));
        command.args(arguments).env("PATH", needs::path()).env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(process::append(&out)?).stderr(process::append(&log)?);
        let options = karez_net::SpawnOptions::new().own_process_group();
        let process = Process::adopt(program, namespace.spawn(&mut command, &options)?, log)?;
        self.0.record.process(process.identity(), program)?;
        Ok(process)
    }

    /// A file for a new recording of this kind, without extension.
    pub(crate) fn fresh_file(&self, kind: &str) -> PathBuf {
        self.directory().join(format!("{kind}-{}", self.0.place.next_number()))
    }

    pub(crate) fn wait_for<T, E: Into<Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        self.0.runtime.block_on(work).map_err(Into::into)
    }

    pub(crate) fn runtime(&self) -> tokio::runtime::Handle {
        self.0.runtime.handle().clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let is_of_interest = !self.has_succeeded.load(Ordering::Relaxed) && interrupt::check().is_ok();
        if is_of_interest {
            show_logs(self.place.directory());
        }
        if self.is_kept.load(Ordering::Relaxed) || (is_of_interest && is_left_when_failed()) {
            return;
        }
        if let Err(error) = sweep::everything(&self.name) {
            tracing::error!(%error, scene = self.name, "not everything could be removed; the next start tries again");
        }
    }
}

/// Whether a developer wants to look around in a scene that has failed: `KAREZ_SCENE_LEAVE` is set. The next scene of the
/// same name removes it.
pub(crate) fn is_left_when_failed() -> bool {
    std::env::var_os("KAREZ_SCENE_LEAVE").is_some()
}

/// The ends of all logs, as they are about to be removed. No keys are in them.
#[allow(clippy::print_stderr, reason = "what a developer needs who looks at a failed test")]
fn show_logs(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut logs: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    for log in logs {
        let words = tail(&log, TAIL);
        if !words.is_empty() {
            eprintln!("--- the end of {}\n{words}", log.display());
        }
    }
}
