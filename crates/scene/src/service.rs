//! A cloud in parts: `karez server` as a configuration file says, to which agents come over the network.

use crate::cloud::listening;
use crate::process::{self, Process};
use crate::{Client, Error, Ground, Node, Segment, Site, wait};
use reqwest::Method;
use serde_json::Value as Json;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// For the service to end when it is asked to.
const STOP: Duration = Duration::from_secs(20);

/// For a command that only writes something into the database.
const COMMAND: Duration = Duration::from_secs(30);

/// A running `karez server` with SQLite. It is ended when it is dropped.
#[derive(Debug)]
pub struct Service {
    ground: Ground,
    segment: Segment,
    name: String,
    binary: PathBuf,
    address: Ipv4Addr,
    process: Process,
    client: Client,
    external: Option<String>,
}

impl Service {
    /// Starts it, and returns when the API answers. API and agents are listened for on an address of 127.0.0.0/8 that
    /// is this service's alone, so that it can be started again with the same.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] with the log when it does not start.
    pub fn start(name: &str, segment: &Segment, binary: &Path, lease: Duration) -> Result<Self, Error> {
        let ground = segment.ground().clone();
        let directory = ground.directory().join(name);
        std::fs::create_dir(&directory).map_err(Error::file("make the directory", &directory))?;
        let (address, password) = (own_address(), crate::random_key()?);
        let configuration = format!(
            "[api]\nlisten = \"{address}:9696\"\n[store]\nurl = \"sqlite:{}\"\n[secrets]\nkey_file = \"{}\"\n\
             [identity]\nmode = \"embedded\"\n[identity.embedded]\nadmin_password = \"{password}\"\n\
             [agents]\nlisten = \"{address}:9697\"\nnames = [\"{address}\"]\nlease_seconds = {}\n",
            directory.join("karez.db").display(),
            directory.join("secret.key").display(),
            lease.as_secs(),
        );
        write(&directory.join("karez.toml"), &configuration)?;
        // The client's way to the password is the same as with `karez up`.
        write(&directory.join("openrc"), &format!("export OS_PASSWORD='{password}'\n"))?;
        let mut process = run(&ground, name, binary)?;
        let base = listening(&mut process, &ground.directory().join(format!("{name}.out")), 0)?;
        let client = Client::log_in(&base, &directory, ground.runtime())?;
        Ok(Self {
            segment: segment.clone(),
            name: name.to_owned(),
            binary: binary.to_owned(),
            address,
            process,
            client,
            external: None,
            ground,
        })
    }

    /// A client of its API, as the administrator.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its directory: `karez.toml`, `karez.db`, `secret.key`.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.ground.directory().join(&self.name)
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.ground.directory().join(format!("{}.log", self.name))
    }

    /// Where agents connect.
    #[must_use]
    pub fn agents_url(&self) -> String {
        format!("https://{}:9697", self.address)
    }

    /// A token by which the node of this name can be enrolled.
    ///
    /// # Errors
    ///
    /// When `karez token` fails.
    pub fn token(&self, host: &str) -> Result<String, Error> {
        let base = self.ground.fresh_file("token");
        let config = self.directory().join("karez.toml").display().to_string();
        let arguments = ["token", "--config", &config, "--host", host].map(str::to_owned);
        let (out, log) = (base.with_extension("secret"), base.with_extension("log"));
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(process::append(&out)?).stderr(process::append(&log)?);
        let child = command.spawn().map_err(Error::io("start karez token"))?;
        Process::adopt("karez token", child, log)?.succeeded(COMMAND)?;
        let token = std::fs::read_to_string(&out).map_err(Error::file("read", &out))?;
        Ok(token.trim().to_owned())
    }

    /// The agents that the API lists.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn agents(&self) -> Result<Vec<Json>, Error> {
        let answer = self.client.call(Method::GET, "/v2.0/agents", None)?;
        Ok(answer["agents"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until the agent of this host is alive, or is not.
    ///
    /// # Errors
    ///
    /// [`Error::InVain`] with the agents that there are.
    pub fn knows(&self, host: &str, is_alive: bool, bound: Duration) -> Result<(), Error> {
        wait::until(&format!("agent {host} to be alive: {is_alive}"), bound, || {
            let agents = self.agents()?;
            let is_so = agents.iter().any(|agent| agent["host"] == host && agent["alive"] == is_alive);
            Ok(if is_so { Ok(()) } else { Err(format!("{agents:?}")) })
        })
    }

    /// A router with these addresses on the internet, to be made on this node.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn site(&mut self, node: &Node, addresses: &[IpAddr]) -> Result<Site, Error> {
        let external = match &self.external {
            Some(external) => external.clone(),
            None => {
                self.external.insert(crate::site::external(&self.client, self.segment.prefixes())?).clone()
            }
        };
        Site::make(&self.ground, node.netlink(), &self.client, &external, addresses)
    }

    /// Ends it without a chance to tidy up (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.process.stop(STOP);
    }

    /// Starts it again after [`Service::kill`] or [`Service::stop`], with the same state and addresses.
    ///
    /// # Errors
    ///
    /// As [`Service::start`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        let out = self.ground.directory().join(format!("{}.out", self.name));
        let said_before = std::fs::metadata(&out).map_err(Error::file("look at", &out))?.len();
        self.process = run(&self.ground, &self.name, &self.binary)?;
        listening(&mut self.process, &out, said_before).map(drop)
    }
}

fn run(ground: &Ground, name: &str, binary: &Path) -> Result<Process, Error> {
    let config = ground.directory().join(name).join("karez.toml").display().to_string();
    ground.start(name, binary, &["server".to_owned(), "--config".to_owned(), config])
}

/// An address of the loopback that no other service of this machine has: by the process and a number.
fn own_address() -> Ipv4Addr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 64;
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + u8::try_from(number).unwrap_or_default(), high, low.clamp(1, 254))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    process::append(path)?.write_all(text.as_bytes()).map_err(Error::file("write", path))
}
