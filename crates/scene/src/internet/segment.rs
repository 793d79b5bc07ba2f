//! A stretch of the internet: everything that is on one bridge.

use crate::host::Place;
use crate::{Error, Ground, Host};
use ipnet::IpNet;
use karez_net::{LinkSettings, Netlink, VethEnd, ensure_veth};
use std::net::IpAddr;

/// A network, and the router in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The network, without host bits.
    pub network: IpNet,
    /// The router's address in it.
    pub gateway: IpAddr,
}

/// A bridge with networks, that nodes are joined to.
#[derive(Clone, Debug)]
pub struct Segment {
    ground: Ground,
    netlink: Netlink,
    bridge: String,
    prefixes: Vec<Prefix>,
}

impl Segment {
    /// Makes the bridge, with the gateways' addresses.
    pub(super) fn build(
        ground: &Ground,
        netlink: &Netlink,
        bridge: &str,
        prefixes: &[Prefix],
    ) -> Result<Self, Error> {
        let address = |prefix: &Prefix| IpNet::new(prefix.gateway, prefix.network.prefix_len());
        let addresses = prefixes.iter().filter_map(|prefix| address(prefix).ok()).collect();
        ground.wait_for(async {
            netlink.ensure_bridge(bridge, &LinkSettings::up()).await?;
            netlink.ensure_addresses(bridge, &addresses).await
        })?;
        Ok(Self {
            ground: ground.clone(),
            netlink: netlink.clone(),
            bridge: bridge.to_owned(),
            prefixes: prefixes.to_vec(),
        })
    }

    /// Its networks.
    #[must_use]
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// A host on it, with these addresses out of its networks. The label tells the hosts of the scene apart.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for an address that is of none of the networks; those of the kernel.
    pub fn host(&self, label: &str, addresses: &[IpAddr]) -> Result<Host, Error> {
        let mut place = Place {
            bridge: self.bridge.clone(),
            tap: format!("to-{label}"),
            mac: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            mtu: None,
        };
        for address in addresses {
            let prefix = self.prefixes.iter().find(|prefix| prefix.network.contains(address));
            let foreign = || Error::Unexpected(format!("{address} is of no network here"));
            let prefix = prefix.ok_or_else(foreign)?;
            place.addresses.extend(IpNet::new(*address, prefix.network.prefix_len()));
            place.gateways.push(prefix.gateway);
        }
        Host::attach(&self.ground, &self.netlink, label, &place)
    }

    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Where its bridge is.
    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Joins another namespace to it by a pair of links, and returns the name of the end at the bridge.
    pub(crate) fn join(
        &self,
        label: &str,
        there: &Netlink,
        name: &str,
        settings: LinkSettings,
    ) -> Result<String, Error> {
        let port = format!("to-{label}");
        let here = VethEnd {
            netlink: &self.netlink,
            name: &port,
            settings: LinkSettings::up().bridge(self.bridge.as_str()),
        };
        self.ground.wait_for(ensure_veth(&here, &VethEnd { netlink: there, name, settings }))?;
        Ok(port)
    }
}
