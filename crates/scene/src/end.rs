//! One end of a tunnel, whole: a cloud with a router, a network behind it, a host on it, and a VPN service.

use crate::{Cloud, Connection, Error, Host, Lan, Peer, Segment, Site, Wish};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// For an agent to make a router.
const ROUTER: Duration = Duration::from_secs(30);

/// Where an end is to be.
#[derive(Clone, Debug)]
pub struct Address<'a> {
    /// The cloud's name; its host is called by it too.
    pub cloud: &'a str,
    /// The router's address on the internet.
    pub outer: IpAddr,
    /// The network behind the router.
    pub subnet: IpNet,
    /// The host's address in it.
    pub host: IpAddr,
}

/// One end of a tunnel.
#[derive(Debug)]
pub struct End {
    /// The host.
    pub host: Host,
    /// The network.
    pub lan: Lan,
    /// The router.
    pub site: Site,
    /// The id of the VPN service, which is for this network alone.
    pub service: String,
    /// The cloud.
    pub cloud: Cloud,
}

impl End {
    /// Starts the cloud and makes everything in it, and waits until the host reaches its router.
    ///
    /// # Errors
    ///
    /// Those of the kernel and of the API; [`Error::InVain`] when the agent does not make the router.
    pub fn build(segment: &Segment, binary: &Path, address: &Address<'_>) -> Result<Self, Error> {
        let cloud = Cloud::start(address.cloud, segment, binary)?;
        Self::in_cloud(cloud, address)
    }

    /// As [`End::build`], in a cloud that runs.
    ///
    /// # Errors
    ///
    /// As [`End::build`].
    pub fn in_cloud(mut cloud: Cloud, address: &Address<'_>) -> Result<Self, Error> {
        let site = cloud.site(&[address.outer])?;
        let lan = site.lan(address.subnet)?;
        let host = lan.host(&format!("{}-host", address.cloud), address.host)?;
        let service = site.service(Some(&lan))?;
        host.reaches(lan.gateway(), ROUTER)?;
        Ok(Self { host, lan, site, service, cloud })
    }

    /// This end, as the other one sees it.
    #[must_use]
    pub fn as_peer(&self) -> Peer {
        Peer::at(&self.site, &[&self.lan])
    }

    /// A connection from here to this peer.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn connect(&self, peer: &Peer, key: &str, wish: &Wish) -> Result<Connection, Error> {
        Connection::create(self.cloud.client(), &self.service, peer, key, wish)
    }
}
