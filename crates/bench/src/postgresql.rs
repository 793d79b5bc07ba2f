//! PostgreSQL for a run: a throw-away cluster of our own or one that runs already, and in it
//! databases that are dropped again.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres::{Client, Config, NoTls};

use crate::process;

const START_LIMIT: Duration = Duration::from_secs(30);

pub struct Cluster {
    /// Without the database: `postgresql://user@host:port`.
    base_url: String,
    server: Option<Child>,
}

impl Cluster {
    /// Makes a cluster with the settings that `initdb` gives (so with `fsync` on) and starts it.
    pub fn create(directory: &Path) -> Result<Self> {
        let owner = owner()?;
        let data = directory.join("postgresql");
        fs::create_dir(&data).with_context(|| format!("cannot create {}", data.display()))?;
        if let Some((uid, gid)) = owner {
            chown(&data, Some(uid), Some(gid)).context("cannot give the cluster to postgres")?;
        }
        let log_path = directory.join("postgresql.log");
        let log = File::create(&log_path).context("cannot create PostgreSQL's log")?;
        let as_owner = |program: &str| -> Result<Command> {
            let mut command = Command::new(find_program(program)?);
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command.current_dir("/").arg("-D").arg(&data);
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
            Ok(command)
        };
        // Only what `initdb` itself writes may be lost; it is thrown away with the cluster anyway.
        let made =
            as_owner("initdb")?.args(["-U", "karez", "-A", "trust", "-E", "UTF8", "--no-sync"]).status();
        ensure!(made.context("cannot run initdb")?.success(), "initdb failed: {}", read(&log_path));
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = as_owner("postgres")?
            .args(["-h", "127.0.0.1", "-k", "", "-p", &port.to_string()])
            .spawn()
            .context("cannot start postgres")?;
        let base_url = format!("postgresql://karez:unused@127.0.0.1:{port}");
        let mut cluster = Self { base_url, server: Some(server) };
        cluster.wait_until_it_answers(&log_path)?;
        Ok(cluster)
    }

    /// Uses a cluster that runs already; a database in the URL is not used.
    pub fn existing(url: &str) -> Result<Self> {
        let after_scheme = url.find("://").context("a PostgreSQL URL begins with postgresql://")?;
        let end = url[after_scheme + 3..].find('/').map_or(url.len(), |at| after_scheme + 3 + at);
        let cluster = Self { base_url: url[..end].to_owned(), server: None };
        cluster.connect()?;
        Ok(cluster)
    }

    /// An empty database. It is dropped when the value is.
    pub fn database(&self, name: &str) -> Result<Database<'_>> {
        let name = format!("karez_bench_{}_{name}", std::process::id());
        self.connect()?.batch_execute(&format!("CREATE DATABASE {name}"))?;
        Ok(Database { url: format!("{}/{name}", self.base_url), cluster: self, name })
    }

    /// Processor time of all of PostgreSQL's processes. For a cluster that is not ours: of every
    /// PostgreSQL on this machine, `None` if there is none.
    pub fn cpu_time(&self) -> Result<Option<Duration>> {
        let heads = match &self.server {
            Some(server) => vec![server.id()],
            None => process::heads_of_families("postgres")?,
        };
        let times: Result<Vec<_>> = heads.iter().map(|&head| process::cpu_time_of_family(head)).collect();
        Ok(Some(times?.into_iter().sum()).filter(|_| !heads.is_empty()))
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<()> {
        let since = Instant::now();
        while let Err(error) = self.connect() {
            if let Some(status) = self.server.as_mut().and_then(|child| child.try_wait().ok()?) {
                bail!("postgres ended at once, {status}: {}", read(log));
            }
            if since.elapsed() > START_LIMIT {
                return Err(error.context("postgres does not answer"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn connect(&self) -> Result<Client> {
        let config: Config = format!("{}/postgres", self.base_url).parse()?;
        config.connect(NoTls).context("cannot connect to PostgreSQL")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // SIGINT is PostgreSQL's fast shutdown; its data is thrown away afterwards anyway.
            let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }
}

pub struct Database<'a> {
    pub url: String,
    cluster: &'a Cluster,
    name: String,
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if let Ok(mut client) = self.cluster.connect() {
            let _ = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

/// PostgreSQL refuses to run as root; root hands over to the account that the package made.
fn owner() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").context("cannot read /proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let account = accounts.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut fields = account.context("there is no account postgres")?.split(':').skip(1);
    let mut number = || fields.next()?.parse().ok();
    let ids = number().zip(number());
    Ok(Some(ids.context("the account postgres has no ids")?))
}

/// From the path, else Debian's directory of the newest version.
fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let packaged = versions.into_iter().rev().map(|(_, directory)| directory);
    std::env::split_paths(&path)
        .chain(packaged)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is not installed; give --postgres-url instead"))
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
