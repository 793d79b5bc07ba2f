//! What most of these tests begin with.

use anyhow::Result;
use karez_scene::{Address, Connection, End, Ground, Internet, Wish, needs, random_key};
use std::path::Path;
use std::time::Duration;

/// For a tunnel to come up.
pub const UP: Duration = Duration::from_secs(30);

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_karez"))
}

/// Two clouds that could be joined: 10.10.10.0/24 behind 200.200.128.100, and 20.20.20.0/24 behind 200.200.128.151.
pub struct TwoClouds {
    pub one: End,
    pub two: End,
    pub ground: Ground,
}

impl TwoClouds {
    pub fn build(name: &str) -> Result<Self> {
        needs::check()?;
        let ground = Ground::claim(name)?;
        let internet = Internet::build(&ground)?;
        Ok(Self {
            one: End::build(internet.segment(), binary(), &first())?,
            two: End::build(internet.segment(), binary(), &second())?,
            ground,
        })
    }

    /// A connection at each end, with the same key.
    pub fn connect(&self, wish: &Wish) -> Result<(Connection, Connection)> {
        let key = random_key()?;
        let one = self.one.connect(&self.two.as_peer(), &key, wish)?;
        let two = self.two.connect(&self.one.as_peer(), &key, wish)?;
        Ok((one, two))
    }

    /// As [`TwoClouds::connect`], and waits until both ends say that the tunnel is up.
    pub fn connected(&self, wish: &Wish) -> Result<(Connection, Connection)> {
        let (one, two) = self.connect(wish)?;
        one.becomes("ACTIVE", UP)?;
        two.becomes("ACTIVE", UP)?;
        Ok((one, two))
    }
}

pub fn first() -> Address<'static> {
    Address {
        cloud: "cloud1",
        outer: [200, 200, 128, 100].into(),
        subnet: net("10.10.10.0/24"),
        host: [10, 10, 10, 10].into(),
    }
}

pub fn second() -> Address<'static> {
    Address {
        cloud: "cloud2",
        outer: [200, 200, 128, 151].into(),
        subnet: net("20.20.20.0/24"),
        host: [20, 20, 20, 20].into(),
    }
}

#[allow(clippy::expect_used, reason = "it is written in the test")]
pub fn net(text: &str) -> ipnet::IpNet {
    text.parse().expect("a network")
}
