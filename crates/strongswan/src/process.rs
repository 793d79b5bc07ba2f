//! The operating system's side of one daemon: is it alive, where does it run, end it. Always by a descriptor of the
//! process, so that a number that was given to another process in the meantime is never signalled.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A process that is, or was, a daemon of ours.
pub(crate) struct Process {
    pid: Pid,
    handle: OwnedFd,
    /// Present when this agent has started it: then it is for us to take its exit status.
    child: Option<Child>,
}

impl Process {
    /// One that we have just started.
    ///
    /// # Errors
    /// When it has already ended.
    pub(crate) fn started(child: Child) -> io::Result<Self> {
        let pid = pid_of(child.id())?;
        Self::open(pid, Some(child))
    }

    /// One that somebody has started before us.
    ///
    /// # Errors
    /// When there is none of that number.
    pub(crate) fn adopted(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process has this number"))?;
        Self::open(pid, None)
    }

    fn open(pid: Pid, child: Option<Child>) -> io::Result<Self> {
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { pid, handle, child })
    }

    /// Its number.
    pub(crate) fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Device and inode of the network namespace that it is in; none once it has ended.
    pub(crate) fn namespace(&self) -> Option<(u64, u64)> {
        let metadata = fs::metadata(format!("/proc/{}/ns/net", self.number())).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// Waits until it has ended. Only starts and stops wait for this, which is milliseconds; while a daemon runs, its
    /// end shows at its connection at once.
    pub(crate) async fn ended(&mut self) {
        while !self.has_ended() {
            sleep(Duration::from_millis(5)).await;
        }
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }

    /// A process descriptor becomes readable with the end of the process.
    fn has_ended(&self) -> bool {
        let mut watched = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Asks it to end, waits for at most `patience`, and ends it by force if need be.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.signal(Signal::TERM);
        if timeout(patience, self.ended()).await.is_err() {
            self.signal(Signal::KILL);
            let _ = timeout(Duration::from_secs(5), self.ended()).await;
        }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already; then there is nothing to do.
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

/// What a process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Activity {
    /// How long it has run on a processor so far, in clock ticks (`proc_pid_stat(5)`).
    ticks: u64,
    /// Whether it would run if it was let, or waits for a disk.
    is_ready: bool,
}

impl Activity {
    /// Of the process of this number; none when there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let (_, ticks) = stat(Path::new(&format!("/proc/{pid}")))?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let mut states = threads.filter_map(|thread| Some(stat(&thread.path())?.0));
        Some(Self { ticks, is_ready: states.any(|state| matches!(state, 'R' | 'D')) })
    }

    /// Whether it has done nothing since, and wants to do nothing.
    pub(crate) fn is_idle_since(self, before: Self) -> bool {
        self.ticks == before.ticks && !self.is_ready
    }
}

/// The state of a process or thread, and how long it has run.
fn stat(directory: &Path) -> Option<(char, u64)> {
    let text = fs::read_to_string(directory.join("stat")).ok()?;
    // The second field, a name in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut ticks = fields.skip(10).map_while(|field| field.parse::<u64>().ok());
    Some((state, ticks.next()? + ticks.next()?))
}

fn pid_of(number: u32) -> io::Result<Pid> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    Pid::from_raw(number).ok_or_else(|| io::Error::other("no process has this number"))
}
