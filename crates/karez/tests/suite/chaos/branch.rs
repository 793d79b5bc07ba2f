//! A router with a network, a host and a VPN service; and a tunnel between two of them.

use crate::chaos::stage::UP;
use anyhow::{Result, ensure};
use karez_scene::{Connection, Host, Kind, Lan, Peer, Pinger, Pings, Site, Wish, random_key, wait};
use std::time::Duration;

/// How far apart the pings are that must not be lost.
pub const PACE: Duration = Duration::from_millis(20);

pub struct Branch {
    pub host: Host,
    pub lan: Lan,
    pub site: Site,
    pub service: String,
}

impl Branch {
    /// The network is `10.<side>.<number>.0/24`; the host's name tells it from all others.
    pub fn build(site: Site, side: u8, number: u8) -> Result<Self> {
        let lan = site.lan(format!("10.{side}.{number}.0/24").parse()?)?;
        let host = lan.host(&format!("host-{side}-{number}"), [10, side, number, 10].into())?;
        let service = site.service(Some(&lan))?;
        host.reaches(lan.gateway(), UP)?;
        Ok(Self { host, lan, site, service })
    }

    pub fn as_peer(&self) -> Peer {
        Peer::at(&self.site, &[&self.lan])
    }

    pub fn connect(&self, peer: &Peer, key: &str, wish: &Wish) -> Result<Connection> {
        Ok(Connection::create(self.site.client(), &self.service, peer, key, wish)?)
    }

    /// Pings that go on from here to the host of another branch.
    pub fn keep_pinging(&self, there: &Self) -> Result<Pinger> {
        Ok(self.host.keep_pinging(there.host.addresses()[0], PACE)?)
    }

    /// Deletes everything, in the order in which the API lets it be deleted.
    pub fn delete(self) -> Result<()> {
        let client = self.site.client().clone();
        client.delete(Kind::Service, &self.service)?;
        client.remove_interface(self.site.router(), self.lan.subnet())?;
        client.delete(Kind::Router, self.site.router())?;
        self.host.leave()?;
        Ok(())
    }
}

/// A connection at each end.
pub struct Tunnel {
    pub near: Connection,
    pub far: Connection,
}

impl Tunnel {
    pub fn build(near: &Branch, far: &Branch, wish: &Wish) -> Result<Self> {
        let key = random_key()?;
        let tunnel = Self {
            near: near.connect(&far.as_peer(), &key, wish)?,
            far: far.connect(&near.as_peer(), &key, wish)?,
        };
        tunnel.is_settled(UP)?;
        Ok(tunnel)
    }

    /// As [`Tunnel::build`], where the far end leaves it to the near one to begin. Two that begin at the same moment
    /// come to two pairs of SAs, of which one goes some seconds later; here the SAs are those that stay.
    pub fn one_sided(near: &Branch, far: &Branch) -> Result<Self> {
        let (key, wish) = (random_key()?, Wish::modern());
        let waiting = wish.clone().connection_with(&serde_json::json!({"initiator": "response-only"}));
        let waits = far.connect(&near.as_peer(), &key, &waiting)?;
        says(&waits, Some("waiting_for_peer"), UP)?;
        let tunnel = Self { near: near.connect(&far.as_peer(), &key, &wish)?, far: waits };
        tunnel.is_up(UP)?;
        Ok(tunnel)
    }

    /// Waits until both ends are up and have the same child SA and no other. While there are two, one is about to go, and
    /// what is on its way may go with it.
    fn is_settled(&self, bound: Duration) -> Result<()> {
        self.is_up(bound)?;
        Ok(wait::until("both ends to have one pair of SAs", bound, || {
            let (near, far) = (self.near.status()?, self.far.status()?);
            let is_so = near.spis().len() == 1 && near.mirrors(&far);
            Ok(if is_so { Ok(()) } else { Err(format!("{:?} and {:?}", near.spis(), far.spis())) })
        })?)
    }

    pub fn is_up(&self, bound: Duration) -> Result<()> {
        self.near.becomes("ACTIVE", bound)?;
        self.far.becomes("ACTIVE", bound)?;
        Ok(())
    }

    pub fn delete(self) -> Result<()> {
        self.near.delete()?;
        self.far.delete()?;
        Ok(())
    }
}

/// The SPIs at this end, for comparing them later.
pub fn spis(connection: &Connection) -> Result<Vec<(String, String)>> {
    let status = connection.status()?;
    let owned = |(inbound, outbound): (&str, &str)| (inbound.to_owned(), outbound.to_owned());
    Ok(status.spis().into_iter().map(owned).collect())
}

/// Waits until the connection says this reason, or none.
pub fn says(connection: &Connection, reason: Option<&str>, bound: Duration) -> Result<()> {
    Ok(wait::until(&format!("connection {} to say {reason:?}", connection.id()), bound, || {
        let shown = connection.show()?;
        let is_so = shown["status_reason"].as_str() == reason;
        Ok(if is_so { Ok(()) } else { Err(format!("{} {}", shown["status"], shown["status_reason"])) })
    })?)
}

/// Ends the pings, of which not one may be lost.
pub fn lossless(pinger: Pinger) -> Result<Pings> {
    let pings = pinger.stop()?;
    ensure!(pings.all_answered(), "{}; lost: {:?}", pings.summary(), pings.lost);
    Ok(pings)
}
