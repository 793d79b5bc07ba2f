//! Programs that run inside a namespace, with a view of the file system of their own where they need one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::runtime::Handle;

use crate::{Error, Namespace};

const NOTHING: Option<&str> = None;

/// How a program is started, besides where.
#[derive(Debug, Clone, Default)]
pub struct SpawnOptions {
    binds: Vec<(PathBuf, PathBuf)>,
    own_process_group: bool,
}

impl SpawnOptions {
    /// A program that shares the file system and the process group of this one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `source` to the program where it expects `target`; both have to exist. The program and its children get
    /// mounts of their own for it, which nobody else sees.
    #[must_use]
    pub fn bind(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.binds.push((source.into(), target.into()));
        self
    }

    /// Puts the program into a process group of its own, so that a signal to the terminal passes it by and a signal to
    /// the group reaches its children too.
    #[must_use]
    pub fn own_process_group(mut self) -> Self {
        self.own_process_group = true;
        self
    }
}

impl Namespace {
    /// Starts a program inside this namespace.
    ///
    /// The thread that starts it ends at once: a program that asks for a signal on the death of its parent
    /// (`PR_SET_PDEATHSIG`) gets it immediately.
    ///
    /// # Errors
    ///
    /// [`Error::System`] naming the program when it is missing or a bind fails; [`Error::Denied`].
    pub fn spawn(&self, command: &mut Command, options: &SpawnOptions) -> Result<Child, Error> {
        let program = command.get_program().to_owned();
        if options.own_process_group {
            std::os::unix::process::CommandExt::process_group(command, 0);
        }
        let child = self.run(|| {
            own_mounts(&options.binds)?;
            command.spawn()
        })?;
        child.map_err(|source| self.not_started(Path::new(&program), source))
    }

    /// As [`Namespace::spawn`], for a program whose end an async task waits for.
    ///
    /// # Errors
    ///
    /// As [`Namespace::spawn`].
    pub fn spawn_async(
        &self,
        command: &mut tokio::process::Command,
        options: &SpawnOptions,
    ) -> Result<tokio::process::Child, Error> {
        let program = command.as_std().get_program().to_owned();
        if options.own_process_group {
            command.process_group(0);
        }
        let runtime = Handle::try_current().map_err(|error| {
            Error::system(self, "start a program outside of a runtime", io::Error::other(error))
        })?;
        let child = self.run(|| {
            let _runtime = runtime.enter();
            own_mounts(&options.binds)?;
            command.spawn()
        })?;
        child.map_err(|source| self.not_started(Path::new(&program), source))
    }

    fn not_started(&self, program: &Path, source: io::Error) -> Error {
        Error::system(self, format!("start {}", program.display()), source)
    }
}

/// Mounts for the calling thread alone. They become followers rather than private: what is unmounted outside, such as
/// a volume, must not be kept alive in here, while nothing done in here is seen outside.
fn own_mounts(binds: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    if binds.is_empty() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_SLAVE | MsFlags::MS_REC, NOTHING)?;
    for (source, target) in binds {
        mount(Some(source), target, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING).map_err(
            |errno| {
                let source = source.display();
                io::Error::new(
                    io::Error::from(errno).kind(),
                    format!("bind {source} to {}: {errno}", target.display()),
                )
            },
        )?;
    }
    Ok(())
}
