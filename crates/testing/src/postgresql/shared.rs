//! The one cluster that the tests of a target directory share, whatever process they run in.
//!
//! Whoever needs it first starts it; a link in the target directory leads the others to it. Each process that uses it
//! holds a lock, which the kernel gives up with the process, however that ends. A keeper, which belongs to no test, ends
//! the cluster when for some seconds nobody has held that lock, and removes its directory.
//!
//! Locks are taken in one order: first that of those who start or end a cluster, then that of the users.

use super::installation::{Installation, answers_or_ends, kept, on_free_port, own_uid, run};
use crate::wait;
use anyhow::{Context, ensure};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const KEEPER: &str = include_str!("keeper.sh");

/// The right to use the cluster, until this process ends.
pub(super) struct Seat {
    pub(super) port: u16,
    _user: File,
}

/// Finds the cluster, or starts it.
pub(super) fn join() -> anyhow::Result<Seat> {
    Places::under(&kept()?)?.join()
}

/// Where the users of one cluster meet.
struct Places {
    /// Leads to the directory of the cluster.
    link: PathBuf,
    /// Locked by who starts or ends the cluster.
    turn: PathBuf,
    /// Locked, not exclusively, by each process that uses the cluster.
    users: PathBuf,
    /// Locked by the keeper.
    keeper: PathBuf,
}

impl Places {
    fn under(folder: &Path) -> anyhow::Result<Self> {
        let uid = own_uid()?;
        let place = |what: &str| folder.join(format!("postgresql-shared-{uid}{what}"));
        Ok(Self { link: place(""), turn: place(".turn"), users: place(".users"), keeper: place(".keeper") })
    }

    fn join(&self) -> anyhow::Result<Seat> {
        let turn = open(&self.turn)?;
        turn.lock()?;
        let user = open(&self.users)?;
        user.lock_shared()?;
        self.have_it_kept()?;
        let port = match self.running()? {
            Some(port) => port,
            None => self.start()?,
        };
        Ok(Seat { port, _user: user })
    }

    /// The port of the cluster, when there is one. Its starter may have been killed before it was ready, and somebody
    /// may be stopping it.
    fn running(&self) -> anyhow::Result<Option<u16>> {
        wait::until("the shared PostgreSQL to be ready, or to end", Duration::from_secs(60), || {
            Ok(match Server::behind(&self.link) {
                None => Some(None),
                Some(server) => server.is_ready.then_some(Some(server.port)),
            })
        })
    }

    fn start(&self) -> anyhow::Result<u16> {
        let installation = Installation::find()?;
        // Something is left when the machine ended before the cluster did, or the keeper.
        run(Command::new("sh").args(["-c", KEEPER, "sh", "end"]).arg(&self.link))?;
        let directory = tempfile::Builder::new().prefix("karez-postgresql-").tempdir()?.keep();
        symlink(&directory, &self.link)?;
        installation.prepare(&directory)?;
        let (port, ()) = on_free_port(&directory, |port| {
            // In a session of its own: it outlives this test, and what is sent to this test's group is not for it.
            let mut server = installation.start(&["setsid"], &directory, port, Stdio::null())?;
            Ok(answers_or_ends(&mut server, &directory, port)?.then_some(()))
        })?;
        Ok(port)
    }

    /// Starts a keeper unless there is one. It gets what it locks as its standard files, so it holds nothing of this
    /// test's open.
    fn have_it_kept(&self) -> anyhow::Result<()> {
        let keeper = open(&self.keeper)?;
        match keeper.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut command = Command::new("setsid");
        command.args(["--fork", "sh", "-c", KEEPER, "sh", "keep"]).arg(&self.link).arg(&self.users);
        command.current_dir("/").stdin(open(&self.users)?).stdout(open(&self.turn)?).stderr(keeper);
        ensure!(command.status().context("cannot run setsid")?.success(), "setsid could not start a shell");
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// What a server says of itself in `postmaster.pid`.
struct Server {
    port: u16,
    is_ready: bool,
}

impl Server {
    /// The server that runs in the directory behind this link.
    fn behind(link: &Path) -> Option<Self> {
        let data = fs::read_link(link).ok()?.join("data");
        let words = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let (pid, server) = Self::parse(&words)?;
        let started_with = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        // The number may be somebody else's by now.
        let data = data.as_os_str().as_encoded_bytes();
        started_with.split(|byte| *byte == 0).any(|word| word == data).then_some(server)
    }

    /// Process id, data directory, time, port, directory of the socket, address, shared memory, state.
    fn parse(words: &str) -> Option<(u32, Self)> {
        let lines: Vec<&str> = words.lines().map(str::trim).collect();
        let port = lines.get(3).and_then(|port| port.parse().ok()).unwrap_or_default();
        let is_ready = port != 0 && lines.get(7) == Some(&"ready");
        Some((lines.first()?.parse().ok()?, Self { port, is_ready }))
    }
}

#[cfg(test)]
mod tests;
