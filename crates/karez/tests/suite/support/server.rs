//! The real `karez` binary as a child process: a state directory, a database and a port of its own.

use anyhow::{Context, bail};
use karez_testing::{Cluster, Database, StoreKind, wait};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    store: StoreKind,
    api: String,
    settings: String,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    folder: Option<PathBuf>,
}

impl Launch {
    /// A server on this store that believes its callers.
    pub fn new(store: StoreKind) -> Self {
        Self {
            store,
            api: String::new(),
            settings: String::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            folder: None,
        }
    }

    /// With further keys of `[api]`, in TOML.
    pub fn api(mut self, toml: &str) -> Self {
        self.api.push_str(toml);
        self.api.push('\n');
        self
    }

    /// With further tables in the configuration file, in TOML.
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self
    }

    /// With an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Under another program, which must replace itself by the server: its arguments come last.
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With the SQLite file in this folder instead of the state directory.
    pub fn database_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Starts the server and waits until it says where it listens.
    pub fn start(&self) -> anyhow::Result<Server> {
        let state = tempfile::Builder::new().prefix("karez-test-").tempdir()?;
        let database = Database::create(self.store, self.folder.as_deref().unwrap_or(state.path()))?;
        self.start_with(state, database)
    }

    /// Like [`Launch::start`], with a database on this cluster.
    pub fn start_on(&self, cluster: Arc<Cluster>) -> anyhow::Result<Server> {
        let state = tempfile::Builder::new().prefix("karez-test-").tempdir()?;
        self.start_with(state, Database::on(cluster)?)
    }

    fn start_with(&self, state: TempDir, database: Database) -> anyhow::Result<Server> {
        let configuration = state.path().join("karez.toml");
        fs::write(&configuration, self.configuration(state.path(), &database))?;
        let client =
            reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let (process, base) = self.run(state.path())?;
        Ok(Server { launch: self.clone(), process, base, client, database, state })
    }

    fn configuration(&self, state: &Path, database: &Database) -> String {
        let key = state.join("secret.key");
        format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n{}[store]\nurl = \"{}\"\n[secrets]\nkey_file = \"{}\"\n[identity]\nmode = \"none\"\n{}",
            self.api,
            database.url(),
            key.display(),
            self.settings,
        )
    }

    fn run(&self, state: &Path) -> anyhow::Result<(Child, String)> {
        let log = fs::OpenOptions::new().create(true).append(true).open(state.join("log"))?;
        let binary = env!("CARGO_BIN_EXE_karez").to_owned();
        let mut words = self.wrapper.iter().chain([&binary]);
        let mut process = Command::new(words.next().unwrap_or(&binary))
            .args(words)
            .arg("server")
            .arg("--config")
            .arg(state.join("karez.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start karez")?;
        match listening(&mut process, &state.join("stdout")) {
            Some(base) => Ok((process, base)),
            None => {
                // It may have ended by itself; what matters is that it is gone.
                let _ = process.kill();
                let status = process.wait()?;
                bail!("karez did not start ({status}):\n{}", fs::read_to_string(state.join("log"))?)
            }
        }
    }
}

/// The address in the line that announces it; nothing when the process ends without that line.
/// What it prints is also appended to the file `kept`.
fn listening(process: &mut Child, kept: &Path) -> Option<String> {
    let output = BufReader::new(process.stdout.take()?);
    let mut kept = fs::OpenOptions::new().create(true).append(true).open(kept).ok()?;
    let (announce, announced) = mpsc::channel();
    // The thread reads on until the process ends, so that the pipe never fills up.
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = writeln!(kept, "{line}");
            if let Some(base) = line.strip_prefix("Karez listens on ") {
                let _ = announce.send(base.trim().trim_end_matches('/').to_owned());
            }
        }
    });
    announced.recv_timeout(Duration::from_secs(60)).ok()
}

/// A running server, killed on drop.
pub struct Server {
    launch: Launch,
    process: Child,
    base: String,
    client: reqwest::blocking::Client,
    database: Database,
    state: TempDir,
}

impl Server {
    /// Its URL, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// An HTTP client that keeps connections to it.
    pub fn client(&self) -> &reqwest::blocking::Client {
        &self.client
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.state.path().to_owned()
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.state.path().join("karez.toml")
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How many sockets it holds, connections among them.
    pub fn sockets(&self) -> anyhow::Result<usize> {
        let links = fs::read_dir(format!("/proc/{}/fd", self.process.id()))?;
        let targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
    }

    /// What it has logged so far.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.state.path().join("log"))?)
    }

    /// Ends it without a chance to tidy up (SIGKILL).
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.ask_to_end()?;
        self.ended()
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        wait::until("the end of karez", Duration::from_secs(60), || Ok(self.process.try_wait()?))
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        let pid = self.process.id().to_string();
        anyhow::ensure!(
            Command::new("kill").args(["-TERM", &pid]).status()?.success(),
            "cannot signal {pid}"
        );
        Ok(())
    }

    /// Starts it again after [`Server::kill`] or [`Server::stop`], with the same state; the port may
    /// be another one.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        (self.process, self.base) = self.launch.run(self.state.path())?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
