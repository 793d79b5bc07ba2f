//! Two clouds by `karez up`, each with any number of branches.

use crate::chaos::branch::Branch;
use anyhow::Result;
use karez_scene::{Cloud, Ground, Internet, Segment, Site, needs};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// For a tunnel or a router to come up.
pub const UP: Duration = Duration::from_secs(30);

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_karez"))
}

/// An internet to stand on.
pub fn internet(name: &str) -> Result<(Ground, Internet)> {
    needs::check()?;
    let ground = Ground::claim(name)?;
    let internet = Internet::build(&ground)?;
    Ok((ground, internet))
}

/// A cloud on the far side, and its branches.
pub struct Far(pub Cloud);

impl Far {
    pub fn start(segment: &Segment) -> Result<Self> {
        Ok(Self(Cloud::start("far", segment, binary())?))
    }

    pub fn branch(&mut self, number: u8) -> Result<Branch> {
        Branch::build(self.0.site(&[address(150, number)])?, 20, number)
    }
}

pub struct Clouds {
    pub near: Cloud,
    pub far: Far,
    pub ground: Ground,
}

impl Clouds {
    pub fn build(name: &str) -> Result<Self> {
        let (ground, internet) = internet(name)?;
        let near = Cloud::start("near", internet.segment(), binary())?;
        Ok(Self { near, far: Far::start(internet.segment())?, ground })
    }

    pub fn near_site(&mut self, number: u8) -> Result<Site> {
        Ok(self.near.site(&[address(100, number)])?)
    }

    pub fn near_branch(&mut self, number: u8) -> Result<Branch> {
        Branch::build(self.near_site(number)?, 10, number)
    }
}

pub fn address(base: u8, number: u8) -> IpAddr {
    [200, 200, 128, base + number].into()
}
