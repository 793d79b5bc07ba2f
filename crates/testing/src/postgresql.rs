//! A PostgreSQL cluster of our own: on loopback, in a temporary directory, gone with its last user.
//!
//! `initdb` runs once; its result is kept under the target directory and copied for each cluster.
//! Tests of one process share a cluster. `KAREZ_TEST_POSTGRES_URL` names an existing server to be
//! used instead.

use crate::wait;
use anyhow::{Context, bail, ensure};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tempfile::TempDir;

const MISSING: &str = "PostgreSQL is not installed: these tests need initdb and postgres in /usr/lib/postgresql/*/bin. \
     Install the package `postgresql` (Debian, Ubuntu), or name a server in KAREZ_TEST_POSTGRES_URL.";

/// A server to create databases on.
pub struct Cluster {
    /// Where its superuser reaches the database `postgres`.
    pub url: String,
    own: Option<Own>,
}

/// The part of a cluster that is ours to end.
struct Own {
    /// A shell that ends the cluster when its standard input closes, so that the cluster also ends
    /// when this process is killed. Nothing while it is stopped.
    keeper: Mutex<Option<Child>>,
    programs: PathBuf,
    account: Account,
    port: u16,
    directory: TempDir,
}

impl Cluster {
    /// The cluster of this process, started when it does not run yet.
    ///
    /// # Errors
    /// Names the Debian package when PostgreSQL is not installed.
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = running.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(match std::env::var("KAREZ_TEST_POSTGRES_URL") {
            Ok(url) => Self { url, own: None },
            Err(_) => Self::start()?,
        });
        *running = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// A cluster for one test alone, which may stop it.
    ///
    /// # Errors
    /// Names the Debian package when PostgreSQL is not installed.
    pub fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let account = Account::find()?;
        let template = template(&programs, &account)?;
        let directory = tempfile::Builder::new().prefix("karez-postgresql-").tempdir()?;
        account.give(directory.path())?;
        let data = directory.path().join("data");
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(&data))?;

        // The port is free when we look; somebody else may take it before PostgreSQL does.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if let Some(keeper) = account.keep(&programs, directory.path(), port)? {
                let keeper = Mutex::new(Some(keeper));
                return Ok(Self {
                    url: url(port),
                    own: Some(Own { keeper, programs, account, port, directory }),
                });
            }
        }
        bail!("PostgreSQL did not start:\n{}", log(directory.path()))
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
        let keeper = own.account.keep(&own.programs, own.directory.path(), own.port)?;
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

    fn own(&self) -> anyhow::Result<&Own> {
        self.own.as_ref().context("this PostgreSQL is somebody else's")
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

fn url(port: u16) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/postgres")
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// The directory of PostgreSQL's programs, of the newest version installed.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = match fs::read_dir("/usr/lib/postgresql") {
        Ok(versions) => versions,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(MISSING),
        Err(error) => return Err(error.into()),
    };
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file() && programs.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs).context(MISSING)
}

/// A data directory fresh from `initdb`, made at most once for all processes.
fn template(programs: &Path, account: &Account) -> anyhow::Result<PathBuf> {
    let version =
        programs.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("unknown");
    let kept = kept()?;
    let template = kept.join(format!("postgresql-{version}-{}", account.uid));
    let guard = fs::File::create(kept.join("postgresql.lock"))?;
    guard.lock()?;
    if template.exists() {
        return Ok(template);
    }
    // Not made in place: the account may have no way into the target directory.
    let directory = tempfile::Builder::new().prefix("karez-initdb-").tempdir()?;
    account.give(directory.path())?;
    let data = directory.path().join("data");
    let options = [
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--wal-segsize=1",
    ];
    run(account
        .command(&programs.join("initdb"))
        .current_dir(directory.path())
        .args(options)
        .arg("-D")
        .arg(&data))?;
    let half = template.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    run(Command::new("cp").arg("-a").arg(&data).arg(&half))?;
    fs::rename(&half, &template)?;
    Ok(template)
}

/// Where things are kept from run to run: `tmp` in the target directory that this test was built in.
fn kept() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let kept = target.map_or_else(std::env::temp_dir, Path::to_owned).join("tmp");
    fs::create_dir_all(&kept)?;
    Ok(kept)
}

/// Who runs the cluster: ourselves, or `postgres` when we are root, whom PostgreSQL refuses.
struct Account {
    uid: u32,
    switch: Option<u32>,
}

impl Account {
    fn find() -> anyhow::Result<Self> {
        let own = number("id", &["-u"])?;
        if own != 0 {
            return Ok(Self { uid: own, switch: None });
        }
        let uid = number("id", &["-u", "postgres"])
            .context("root cannot run PostgreSQL and the user `postgres` does not exist")?;
        Ok(Self { uid, switch: Some(number("id", &["-g", "postgres"])?) })
    }

    /// Makes the account the owner of a directory.
    fn give(&self, directory: &Path) -> anyhow::Result<()> {
        if let Some(gid) = self.switch {
            std::os::unix::fs::chown(directory, Some(self.uid), Some(gid))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(gid) = self.switch {
            command.uid(self.uid).gid(gid);
        }
        command
    }

    /// Starts the cluster under a shell that waits for our end, and waits until it answers; nothing
    /// when it ends instead. What is committed survives the end of the cluster; that of the machine
    /// need not be survived, so nothing waits for the disk.
    fn keep(&self, programs: &Path, directory: &Path, port: u16) -> anyhow::Result<Option<Child>> {
        let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log"))?;
        // A background command has no standard input but the one it is given, hence the detour.
        let script = r#"exec 3<&0
            "$@" & cluster=$!
            { read -r _ <&3; kill -QUIT $cluster; } 2>/dev/null &
            wait $cluster"#;
        let settings = [
            format!("port={port}"),
            format!("unix_socket_directories={}", directory.display()),
            "listen_addresses=127.0.0.1".to_owned(),
            "max_connections=200".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
        ];
        let mut command = self.command(Path::new("/bin/sh"));
        command.current_dir(directory).args(["-c", script, "sh"]);
        command.arg(programs.join("postgres")).arg("-D").arg(directory.join("data"));
        for setting in settings {
            command.args(["-c", &setting]);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut keeper = command.spawn().context("cannot start PostgreSQL")?;
        // By the socket in its own directory: at the port, somebody else's may answer.
        let mut own = postgres::Config::new();
        own.host_path(directory).port(port).user("postgres").dbname("postgres");
        let is_ready = wait::until("PostgreSQL", Duration::from_secs(60), || {
            if keeper.try_wait()?.is_some() {
                return Ok(Some(false));
            }
            Ok(own.connect(postgres::NoTls).is_ok().then_some(true))
        })?;
        Ok(is_ready.then_some(keeper))
    }
}

fn number(program: &str, arguments: &[&str]) -> anyhow::Result<u32> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
