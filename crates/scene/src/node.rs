//! A machine of a cloud in parts: a namespace, and `karez agent` for it.

use crate::process::{self, Process};
use crate::{Error, Ground, Segment, Service, inventory};
use karez_net::{LinkSettings, Netlink};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The bridge of a node that leads to the internet.
const EXTERNAL_BRIDGE: &str = "br-ex";

/// For an agent to end when it is asked to.
const STOP: Duration = Duration::from_secs(20);

/// A machine on the internet. Its agent is ended when this is dropped.
#[derive(Debug)]
pub struct Node {
    ground: Ground,
    segment: Segment,
    netlink: Netlink,
    name: String,
    binary: PathBuf,
    process: Option<Process>,
}

impl Node {
    /// Makes the machine, with a bridge that leads to this segment of the internet, and the configuration of an agent
    /// that will call this service by this host name. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn build(
        name: &str,
        segment: &Segment,
        binary: &Path,
        service: &Service,
        host: &str,
    ) -> Result<Self, Error> {
        let ground = segment.ground().clone();
        let netlink = ground.namespace(name)?;
        ground.wait_for(netlink.ensure_bridge(EXTERNAL_BRIDGE, &LinkSettings::up()))?;
        let node = Self {
            segment: segment.clone(),
            netlink,
            name: name.to_owned(),
            binary: binary.to_owned(),
            process: None,
            ground,
        };
        node.set_joined(true)?;
        let directory = node.directory();
        std::fs::create_dir(&directory).map_err(Error::file("make the directory", &directory))?;
        let configuration = format!(
            "servers = [\"{}\"]\n[agent]\nhost = \"{host}\"\nstate_directory = \"{}\"\nnamespace = \"{}\"\n\
             [agent.gateway]\nexternal_bridge = \"{EXTERNAL_BRIDGE}\"\n",
            service.agents_url(),
            node.state_directory().display(),
            node.netlink.namespace().name(),
        );
        write(&node.configuration(), &configuration)?;
        Ok(node)
    }

    /// Starts the agent, with a token when the node is not enrolled yet.
    ///
    /// # Errors
    ///
    /// When it does not start; that it ends right afterwards shows later.
    pub fn start(&mut self, token: Option<&str>) -> Result<(), Error> {
        let mut arguments =
            vec!["agent".to_owned(), "--config".to_owned(), self.configuration().display().to_string()];
        if let Some(token) = token {
            let file = self.directory().join("token");
            write(&file, token)?;
            arguments.extend(["--token-file".to_owned(), file.display().to_string()]);
        }
        self.process = Some(self.ground.start(&self.name, &self.binary, &arguments)?);
        Ok(())
    }

    /// Ends the agent without a chance to tidy up (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks the agent to end, and waits until it has.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(STOP);
        }
    }

    /// Fails once the agent has ended, with its last words.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`].
    pub fn runs(&mut self) -> Result<(), Error> {
        self.process.as_mut().map_or(Ok(()), Process::check)
    }

    /// The process id of the agent, while it was started and not ended from here.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The agent's configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory().join("agent.toml")
    }

    /// Where the agent keeps what it needs.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        self.directory().join("state")
    }

    /// What the agent logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.ground.directory().join(format!("{}.log", self.name))
    }

    /// The namespace that is the machine.
    #[must_use]
    pub fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Takes the machine off the internet, or joins it again: no packet passes meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn set_joined(&self, is_joined: bool) -> Result<(), Error> {
        if !is_joined {
            self.ground.wait_for(self.netlink.remove_link("to-internet"))?;
            return Ok(());
        }
        let settings = LinkSettings::up().bridge(EXTERNAL_BRIDGE);
        self.segment.join(&self.name, &self.netlink, "to-internet", settings).map(drop)
    }

    /// Everything on the machine that an agent could have made, one line each, in order: links, addresses, routes,
    /// rules, packet filters, files, processes, and namespaces that links lead to.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn inventory(&self) -> Result<Vec<String>, Error> {
        inventory::of(&self.ground, &self.netlink, &self.state_directory())
    }

    fn directory(&self) -> PathBuf {
        self.ground.directory().join(&self.name)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let _ = std::fs::remove_file(path);
    process::append(path)?.write_all(text.as_bytes()).map_err(Error::file("write", path))
}
