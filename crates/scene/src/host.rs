//! A host on a network of a cloud: a namespace with one link.

use crate::{Capture, Error, Ground, Pinger, Pings, wait};
use ipnet::IpNet;
use karez_net::{LinkSettings, Mac, Namespace, Netlink, Route, VethEnd, ensure_veth};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The host's link.
const LINK: &str = "eth0";

/// What a host needs to be on a network.
pub(crate) struct Place {
    pub(crate) bridge: String,
    /// The name of the link's end at the bridge.
    pub(crate) tap: String,
    pub(crate) mac: Option<Mac>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) mtu: Option<u32>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    ground: Ground,
    netlink: Netlink,
    addresses: Vec<IpAddr>,
}

impl Host {
    /// Makes the namespace, joins it to the bridge that is `there`, and gives it its addresses.
    pub(crate) fn attach(
        ground: &Ground,
        there: &Netlink,
        label: &str,
        place: &Place,
    ) -> Result<Self, Error> {
        let netlink = ground.namespace(label)?;
        let settings = LinkSettings { mtu: place.mtu, ..LinkSettings::up() };
        let outside = settings.clone().bridge(place.bridge.as_str());
        let inside = LinkSettings { mac: place.mac, ..settings };
        ground.wait_for(async {
            // The agent's bridge of a network may not be there yet.
            let is_made = there.ensure_bridge(&place.bridge, &LinkSettings::up()).await?;
            let ends = (
                VethEnd { netlink: there, name: &place.tap, settings: outside },
                VethEnd { netlink: &netlink, name: LINK, settings: inside },
            );
            ensure_veth(&ends.0, &ends.1).await?;
            if is_made {
                // Made in the agent's name it is the agent's to remove, and without a port that would be now.
                there.ensure_link(&place.bridge, &LinkSettings::default().alias("karez")).await?;
            }
            netlink.ensure_addresses(LINK, &place.addresses.iter().copied().collect()).await?;
            for gateway in &place.gateways {
                netlink.ensure_route(&Route::default_via(*gateway)).await?;
            }
            Ok::<_, karez_net::Error>(())
        })?;
        let addresses = place.addresses.iter().map(IpNet::addr).collect();
        Ok(Self { ground: ground.clone(), netlink, addresses })
    }

    /// Its addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its namespace's name, as for `ip netns exec`.
    #[must_use]
    pub fn namespace_name(&self) -> &str {
        self.netlink.namespace().name()
    }

    /// Sends this many pings, 20 ms apart, and waits for their answers. For the last one `ping` waits hardly longer than
    /// for the next to be sent; when it alone is missing, it is left out of the account.
    ///
    /// # Errors
    ///
    /// When `ping` does not run; that there is no answer is none.
    pub fn ping(&self, address: IpAddr, count: u32) -> Result<Pings, Error> {
        let (address, count) = (address.to_string(), count.to_string());
        let arguments = ["-n", "-D", "-i", "0.02", "-W", "1", "-c", &count, &address];
        let base = self.ground.fresh_file("ping");
        let mut ping = self.ground.start_in(self.netlink.namespace(), "ping", &arguments, &base)?;
        ping.ended(Duration::from_secs(60))?;
        Ok(Pings::read(&base)?.without_undecided_last())
    }

    /// Waits until a ping to this address is answered.
    ///
    /// # Errors
    ///
    /// [`Error::InVain`].
    pub fn reaches(&self, address: IpAddr, bound: Duration) -> Result<(), Error> {
        wait::until(&format!("an answer from {address}"), bound, || {
            let pings = self.ping(address, 1)?;
            Ok(if pings.received > 0 { Ok(()) } else { Err(pings.summary()) })
        })
    }

    /// Pings until it is stopped, every so often.
    ///
    /// # Errors
    ///
    /// When `ping` does not run.
    pub fn keep_pinging(&self, address: IpAddr, interval: Duration) -> Result<Pinger, Error> {
        let (address, interval) = (address.to_string(), interval.as_secs_f64().to_string());
        let base = self.ground.fresh_file("ping");
        let arguments = ["-n", "-D", "-W", "1", "-i", &interval, &address];
        let ping = self.ground.start_in(self.netlink.namespace(), "ping", &arguments, &base)?;
        Pinger::watch(ping, base)
    }

    /// Records from now on everything that passes over its link.
    ///
    /// # Errors
    ///
    /// When `tcpdump` does not start.
    pub fn capture(&self) -> Result<Capture, Error> {
        Capture::begin(&self.ground, self.netlink.namespace(), LINK)
    }

    /// Takes the host off the network, with its namespace. Its port stays.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn leave(self) -> Result<(), Error> {
        self.ground.wait_for(self.netlink.remove_link(LINK))?;
        Namespace::delete(self.netlink.namespace().name())?;
        Ok(())
    }

    /// Runs a program on the host to its end, and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it does not run, not end in time, or fails.
    pub fn run(&self, program: &str, arguments: &[&str], bound: Duration) -> Result<String, Error> {
        let base = self.ground.fresh_file("run");
        let mut process = self.ground.start_in(self.netlink.namespace(), program, arguments, &base)?;
        process.succeeded(bound)?;
        read(&base.with_extension("out"))
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file("read", path))
}
