//! A cloud in parts on the near side (`karez server`, `karez agent`), a whole one on the far side.

use crate::chaos::branch::Branch;
use crate::chaos::stage::{Far, UP, address, binary, internet};
use anyhow::{Context, Result};
use karez_scene::{Ground, Node, Service, wait};
use serde_json::Value as Json;
use std::time::Duration;

/// How long a silent agent counts as alive: the shortest that a configuration takes.
pub const LEASE: Duration = Duration::from_secs(6);

/// The node's host name.
pub const HOST: &str = "node1";

pub struct Parts {
    pub node: Node,
    pub service: Service,
    pub far: Far,
    pub ground: Ground,
}

impl Parts {
    /// Everything runs, and the agent is enrolled and alive.
    pub fn build(name: &str) -> Result<Self> {
        let (ground, internet) = internet(name)?;
        let segment = internet.segment();
        let service = Service::start("server", segment, binary(), LEASE)?;
        let mut node = Node::build("node1", segment, binary(), &service, HOST)?;
        node.start(Some(&service.token(HOST)?))?;
        service.knows(HOST, true, UP)?;
        let far = Far::start(segment)?;
        Ok(Self { node, service, far, ground })
    }

    pub fn near_branch(&mut self, number: u8) -> Result<Branch> {
        let site = self.service.site(&self.node, &[address(100, number)])?;
        Branch::build(site, 10, number)
    }

    /// The session that the agent has now, or had last.
    pub fn session(&self) -> Result<String> {
        let agent = self.listed()?;
        let session = agent["configurations"]["session"].as_str();
        Ok(session.with_context(|| format!("{agent}"))?.to_owned())
    }

    /// The agent's id.
    pub fn agent(&self) -> Result<String> {
        Ok(karez_scene::id(&self.listed()?)?)
    }

    fn listed(&self) -> Result<Json> {
        let agents = self.service.agents()?;
        agents.into_iter().find(|agent| agent["host"] == HOST).context("the agent is not listed")
    }

    /// Waits until the agent has another session than this one.
    pub fn is_back(&self, before: &str) -> Result<()> {
        Ok(wait::until("another session of the agent", UP, || match self.session() {
            Ok(session) if session != before => Ok(Ok(())),
            Ok(_) => Ok(Err("the same session".to_owned())),
            Err(error) => Ok(Err(error.to_string())),
        })?)
    }
}
