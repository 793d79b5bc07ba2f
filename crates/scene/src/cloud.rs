//! A whole cloud: `karez up` with its own state, and a namespace that is its machine.

use crate::client::Client;
use crate::internet::Segment;
use crate::process::Process;
use crate::{Capture, Error, Ground, Site, wait};
use karez_net::{LinkSettings, Netlink};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The bridge of a node that leads to the internet.
const EXTERNAL_BRIDGE: &str = "br-ex";

/// For the service to say where it listens.
const START: Duration = Duration::from_secs(60);

/// For the service to end when it is asked to.
const STOP: Duration = Duration::from_secs(20);

/// A cloud. The service is ended when it is dropped; with the ground everything else goes too.
#[derive(Debug)]
pub struct Cloud {
    ground: Ground,
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    segment: Segment,
    node: Netlink,
    port: String,
    process: Process,
    client: Client,
    external: Option<String>,
}

impl Cloud {
    /// Makes the node, joins it to this segment of the internet, and starts this binary's `karez up` with an agent
    /// for the node. Returns when the API answers. The name is one to twelve lower case letters and digits.
    ///
    /// # Errors
    ///
    /// Those of the kernel; [`Error::Ended`] with the log when the service does not start.
    pub fn start(name: &str, segment: &Segment, binary: &Path) -> Result<Self, Error> {
        let agent = ["--agent", "on", "--external-bridge", EXTERNAL_BRIDGE].map(str::to_owned);
        let namespace = segment.ground().namespace_name(name);
        let agent = agent.into_iter().chain(["--namespace".to_owned(), namespace]).collect();
        Self::start_with(name, segment, binary, agent)
    }

    /// As [`Cloud::start`], without an agent: nothing that the API holds is made real.
    ///
    /// # Errors
    ///
    /// As [`Cloud::start`].
    pub fn start_without_agent(name: &str, segment: &Segment, binary: &Path) -> Result<Self, Error> {
        let agent = ["--agent", "off"].map(str::to_owned).to_vec();
        Self::start_with(name, segment, binary, agent)
    }

    fn start_with(name: &str, segment: &Segment, binary: &Path, agent: Vec<String>) -> Result<Self, Error> {
        let ground = segment.ground().clone();
        let node = ground.namespace(name)?;
        ground.wait_for(node.ensure_bridge(EXTERNAL_BRIDGE, &LinkSettings::up()))?;
        let port = segment.join(name, &node, "to-internet", LinkSettings::up().bridge(EXTERNAL_BRIDGE))?;

        let state = ground.directory().join(name);
        let arguments =
            [vec!["up".to_owned(), "--state-dir".to_owned(), state.display().to_string()], agent].concat();
        let mut process = run(&ground, name, binary, &arguments, "127.0.0.1:0")?;
        let base = listening(&mut process, &ground.directory().join(format!("{name}.out")), 0)?;
        let client = Client::log_in(&base, &state, ground.runtime())?;
        Ok(Self {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments,
            segment: segment.clone(),
            node,
            port,
            process,
            client,
            external: None,
            ground,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client of its API, as the administrator.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its state directory; `openrc` is in there.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        self.ground.directory().join(&self.name)
    }

    /// The log of its service.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.ground.directory().join(format!("{}.log", self.name))
    }

    /// The process id of its service.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The namespace that is its machine.
    #[must_use]
    pub fn node(&self) -> &Netlink {
        &self.node
    }

    /// A router with these addresses on the internet, and nothing behind it yet.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn site(&mut self, addresses: &[IpAddr]) -> Result<Site, Error> {
        let external = match &self.external {
            Some(external) => external.clone(),
            None => {
                self.external.insert(crate::site::external(&self.client, self.segment.prefixes())?).clone()
            }
        };
        Site::make(&self.ground, &self.node, &self.client, &external, addresses)
    }

    /// Records from now on everything that passes between this cloud and the internet.
    ///
    /// # Errors
    ///
    /// When `tcpdump` does not start.
    pub fn capture(&self) -> Result<Capture, Error> {
        Capture::begin(&self.ground, self.segment.netlink().namespace(), &self.port)
    }

    /// Takes the cloud off the internet, or joins it again: no packet passes meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn set_joined(&self, is_joined: bool) -> Result<(), Error> {
        if !is_joined {
            self.ground.wait_for(self.node.remove_link("to-internet"))?;
            return Ok(());
        }
        let settings = LinkSettings::up().bridge(EXTERNAL_BRIDGE);
        self.segment.join(&self.name, &self.node, "to-internet", settings).map(drop)
    }

    /// Ends the service without a chance to tidy up (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks the service to end, and waits until it has. Tunnels go on.
    pub fn stop(&mut self) {
        self.process.stop(STOP);
    }

    /// Starts the service again after [`Cloud::kill`] or [`Cloud::stop`], with the same state and address.
    ///
    /// # Errors
    ///
    /// As [`Cloud::start`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        let out = self.ground.directory().join(format!("{}.out", self.name));
        let said_before = std::fs::metadata(&out).map_err(Error::file("look at", &out))?.len();
        let address = self.client.base().trim_start_matches("http://").to_owned();
        self.process = run(&self.ground, &self.name, &self.binary, &self.arguments, &address)?;
        listening(&mut self.process, &out, said_before).map(drop)
    }

    /// Leaves the service running when this value is dropped.
    pub fn keep(&mut self) {
        self.process.keep();
    }
}

fn run(
    ground: &Ground,
    name: &str,
    binary: &Path,
    arguments: &[String],
    listen: &str,
) -> Result<Process, Error> {
    let listen = ["--listen", listen].map(str::to_owned);
    ground.start(name, binary, &[arguments, &listen].concat())
}

/// Waits for the line that says where it listens, past what was said before.
pub(crate) fn listening(process: &mut Process, out: &Path, said_before: u64) -> Result<String, Error> {
    wait::until("karez to say where it listens", START, || {
        process.check()?;
        let printed = std::fs::read_to_string(out).map_err(Error::file("read", out))?;
        let new = printed.get(usize::try_from(said_before).unwrap_or(usize::MAX)..).unwrap_or_default();
        // A whole line: the port may not have been written to its end.
        let mut lines = new.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let base = lines.find_map(|line| line.strip_prefix("Karez listens on "));
        Ok(base.map(|base| base.trim().trim_end_matches('/').to_owned()).ok_or_else(String::new))
    })
}
