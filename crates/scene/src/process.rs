//! Processes: started in a session of their own with a log, known by number and start time, ended by number.

use crate::{Error, ground, needs, wait};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process of this machine: its number, and when it was started, as numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks since the machine was started.
    pub(crate) started: u64,
}

impl Identity {
    /// The process that has this number now; none when there is none, or only what is left of one that has ended.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::look_up(pid).filter(|(_, is_alive)| *is_alive).map(|(identity, _)| identity)
    }

    /// With whether it runs; one that has ended keeps its number until its parent has asked how it ended.
    fn look_up(pid: i32) -> Option<(Self, bool)> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything, these included.
        let (_, fields) = line.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?;
        // proc(5): starttime is field 22, the state field 3.
        let started = fields.nth(18)?.parse().ok()?;
        Some((Self { pid, started }, !matches!(state, "Z" | "X")))
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// A process that has just ended needs no signal any more.
    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The numbers of all processes of this machine.
pub(crate) fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Asks processes to end, and ends those that have not after `patience`. Fails when one lives on nevertheless.
pub(crate) fn end(processes: &[Identity], patience: Duration) -> Result<(), Error> {
    for process in processes {
        process.signal(Signal::TERM);
    }
    let gone =
        |bound| wait_without_interruption(bound, || processes.iter().all(|process| !process.is_alive()));
    if gone(patience) {
        return Ok(());
    }
    for process in processes {
        process.signal(Signal::KILL);
    }
    // The kernel needs a moment; there is nothing stronger to be done.
    if gone(Duration::from_secs(5)) {
        return Ok(());
    }
    let alive = processes.iter().filter(|process| process.is_alive()).map(|process| process.pid);
    Err(Error::Machine(format!("these processes cannot be ended: {:?}", alive.collect::<Vec<_>>())))
}

/// On the way out an interruption is no news.
fn wait_without_interruption(bound: Duration, condition: impl Fn() -> bool) -> bool {
    let begun = crate::clock::now();
    while !condition() {
        if begun.elapsed() >= bound {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A child process with its logs. It is ended when it is dropped, unless it is to outlive us.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    identity: Identity,
    what: String,
    log: PathBuf,
    is_kept: bool,
}

impl Process {
    /// Starts a program in a session of its own: a Ctrl-C at the terminal and the end of the terminal pass it by.
    /// What it prints goes to `BASE.out`, what it logs to `BASE.log`; both for its owner's eyes, and both go on where
    /// an earlier one with these names has ended.
    pub(crate) fn start(
        what: &str,
        program: &Path,
        arguments: &[String],
        base: &Path,
    ) -> Result<Self, Error> {
        let log = base.with_extension("log");
        let mut command = Command::new(needs::program("setsid"));
        command.arg(program).args(arguments).env("PATH", needs::path()).stdin(Stdio::null());
        command.stdout(append(&base.with_extension("out"))?).stderr(append(&log)?);
        let child = command.spawn().map_err(Error::io(format!("start {}", program.display())))?;
        Self::adopt(what, child, log)
    }

    /// Takes charge of a child that somebody else has started.
    pub(crate) fn adopt(what: &str, child: Child, log: PathBuf) -> Result<Self, Error> {
        let ended = || Error::Ended { what: what.to_owned(), words: tail(&log, 20) };
        let pid = i32::try_from(child.id()).map_err(|_| ended())?;
        let (identity, _) = Identity::look_up(pid).ok_or_else(ended)?;
        Ok(Self { child, identity, what: what.to_owned(), log, is_kept: false })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails once it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(Error::Ended { what: self.what.clone(), words: tail(&self.log, 20) }),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.identity.signal(signal);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self, bound: Duration) -> Result<(), Error> {
        let what = format!("the end of {}", self.what);
        wait::until(&what, bound, || {
            let ended = self.child.try_wait().map_err(Error::io(format!("wait for {}", self.what)))?;
            Ok(ended.map(drop).ok_or_else(String::new))
        })
    }

    /// Waits until it has ended by itself, and fails unless it says that all went well.
    pub(crate) fn succeeded(&mut self, bound: Duration) -> Result<(), Error> {
        self.ended(bound)?;
        let status = self.child.wait().map_err(Error::io(format!("wait for {}", self.what)))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Ended { what: format!("{} ({status})", self.what), words: tail(&self.log, 20) })
    }

    /// Ends it without a chance to tidy up, with the children that are in its process group.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = Pid::from_raw(self.identity.pid).filter(|_| self.identity.is_alive()) {
            // It is not the leader of a group when it was started without a session; then it dies alone.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and ends it when it has not after `patience`.
    pub(crate) fn stop(&mut self, patience: Duration) {
        self.signal(Signal::TERM);
        let ended = wait_without_interruption(patience, || !self.identity.is_alive());
        if ended {
            let _ = self.child.wait();
        } else {
            self.kill();
        }
    }

    /// Lets it run on when this process ends.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_kept && !ground::is_left_when_failed() {
            self.stop(Duration::from_secs(10));
        }
    }
}

/// A file for its owner's eyes that is written on at its end.
pub(crate) fn append(path: &Path) -> Result<File, Error> {
    let options = File::options().append(true).create(true).mode(0o600).open(path);
    options.map_err(Error::file("write", path))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
