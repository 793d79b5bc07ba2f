//! What these tests begin with.

use crate::kernel::router::Inside;
use crate::tunnels::stage::{binary, first, second};
use anyhow::{Result, ensure};
use karez_scene::{Connection, End, Ground, Internet, Wish, needs, random_key};
use serde_json::json;
use std::net::IpAddr;

pub use crate::tunnels::stage::{UP, net};

/// Two clouds that could be joined: 10.10.10.0/24 behind 200.200.128.100, and 20.20.20.0/24 behind 200.200.128.151.
pub struct Stage {
    pub one: End,
    pub two: End,
    pub internet: Internet,
    pub ground: Ground,
}

impl Stage {
    pub fn build(name: &str) -> Result<Self> {
        needs::check()?;
        let ground = Ground::claim(name)?;
        let internet = Internet::build(&ground)?;
        let end = |address| End::build(internet.segment(), binary(), &address);
        Ok(Self { one: end(first())?, two: end(second())?, internet, ground })
    }

    /// A connection at each end, with the same key, when both ends say that the tunnel is up. It is the kernel's. The
    /// first cloud begins, so that there is one tunnel and never two for a moment.
    pub fn connected(&self, wish: &Wish) -> Result<(Connection, Connection)> {
        let key = random_key()?;
        let waiting = wish.clone().connection_with(&json!({"initiator": "response-only"}));
        let two = self.two.connect(&self.one.as_peer(), &key, &waiting)?;
        let one = self.one.connect(&self.two.as_peer(), &key, wish)?;
        for (connection, end) in [(&one, &self.one), (&two, &self.two)] {
            connection.becomes("ACTIVE", UP)?;
            let states = end.site.ip(&["xfrm", "state", "list", "nokeys"])?;
            ensure!(
                !states.is_empty(),
                "the kernel of {} has no SA: is this rig/scenario?",
                end.cloud.name()
            );
        }
        Ok((one, two))
    }

    /// The hosts' addresses.
    pub fn hosts(&self) -> (IpAddr, IpAddr) {
        (self.one.host.addresses()[0], self.two.host.addresses()[0])
    }

    /// Both hosts reach each other, without a loss.
    pub fn both_reach(&self, count: u32) -> Result<()> {
        let (here, there) = self.hosts();
        for (host, address) in [(&self.one.host, there), (&self.two.host, here)] {
            let pings = host.ping(address, count)?;
            ensure!(pings.all_answered(), "{address}: {}", pings.summary());
        }
        Ok(())
    }
}
