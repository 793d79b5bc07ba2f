//! A PostgreSQL cluster of our own: on loopback, in a temporary directory, gone soon after its last user.
//!
//! `initdb` runs once; its result is kept under the target directory and copied for each cluster. All tests of a target
//! directory share a cluster, but for those that need one for themselves. `KAREZ_TEST_POSTGRES_URL` names an existing
//! server to be used instead.

mod installation;
mod shared;

use anyhow::{Context, bail};
use installation::{Installation, answers_or_ends, log, on_free_port};
use shared::Seat;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// Ends the cluster when its standard input closes, so that the cluster also ends when this process is killed. A
/// background command has no standard input but the one it is given, hence the detour.
const KEEPER: &str = r#"exec 3<&0
    "$@" & cluster=$!
    { read -r _ <&3; kill -QUIT $cluster; } 2>/dev/null &
    wait $cluster"#;

/// A server to create databases on.
pub struct Cluster {
    /// Where its superuser reaches the database `postgres`.
    pub url: String,
    whose: Whose,
}

enum Whose {
    /// This value's alone.
    Own(Own),
    /// That of all tests, with our right to use it.
    Shared { _seat: Seat },
    /// A server that we were told to use.
    Foreign,
}

/// The part of a cluster that is ours to end.
struct Own {
    /// The shell that runs [`KEEPER`]. Nothing while it is stopped.
    keeper: Mutex<Option<Child>>,
    installation: Installation,
    port: u16,
    directory: TempDir,
}

impl Cluster {
    /// The cluster that all tests share, started when it does not run yet. It is used until this process ends.
    ///
    /// # Errors
    /// Names the Debian package when PostgreSQL is not installed.
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        static SHARED: Mutex<Option<Arc<Cluster>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = &*shared {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(match std::env::var("KAREZ_TEST_POSTGRES_URL") {
            Ok(url) => Self { url, whose: Whose::Foreign },
            Err(_) => {
                let seat = shared::join()?;
                Self { url: url(seat.port), whose: Whose::Shared { _seat: seat } }
            }
        });
        *shared = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// A cluster for one test alone, which may stop it.
    ///
    /// # Errors
    /// Names the Debian package when PostgreSQL is not installed.
    pub fn start() -> anyhow::Result<Self> {
        let installation = Installation::find()?;
        let directory = tempfile::Builder::new().prefix("karez-postgresql-").tempdir()?;
        installation.prepare(directory.path())?;
        let (port, keeper) =
            on_free_port(directory.path(), |port| keep(&installation, directory.path(), port))?;
        let own = Own { keeper: Mutex::new(Some(keeper)), installation, port, directory };
        Ok(Self { url: url(port), whose: Whose::Own(own) })
    }

    /// Ends the server at once, as a crash would.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.own()?.stop();
        Ok(())
    }

    /// Starts the server again after [`Cluster::stop`], on the same port and with the same data.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let own = self.own()?;
        let keeper = keep(&own.installation, own.directory.path(), own.port)?;
        let keeper = keeper
            .with_context(|| format!("PostgreSQL did not start again:\n{}", log(own.directory.path())))?;
        *own.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(())
    }

    /// The directory that everything of the server is in: its data and its log.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn directory(&self) -> anyhow::Result<&Path> {
        Ok(self.own()?.directory.path())
    }

    /// Whether nothing but tests is on it, and nothing of it lasts.
    pub(crate) fn is_made_for_tests(&self) -> bool {
        !matches!(self.whose, Whose::Foreign)
    }

    fn own(&self) -> anyhow::Result<&Own> {
        match &self.whose {
            Whose::Own(own) => Ok(own),
            Whose::Shared { .. } => bail!("this PostgreSQL is used by other tests, too"),
            Whose::Foreign => bail!("this PostgreSQL is somebody else's"),
        }
    }
}

impl Own {
    fn stop(&self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(keeper.stdin.take());
            // Failing to wait for a child that is ours leaves nothing to be done.
            let _ = keeper.wait();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server under a shell that waits for our end; nothing when it ends instead of answering.
fn keep(installation: &Installation, directory: &Path, port: u16) -> anyhow::Result<Option<Child>> {
    let mut keeper = installation.start(&["/bin/sh", "-c", KEEPER, "sh"], directory, port, Stdio::piped())?;
    Ok(answers_or_ends(&mut keeper, directory, port)?.then_some(keeper))
}

fn url(port: u16) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/postgres")
}
