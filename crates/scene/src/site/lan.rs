//! A network behind a router.

use crate::client::{Client, Kind, id};
use crate::host::Place;
use crate::{Error, Ground, Host};
use ipnet::IpNet;
use karez_net::Netlink;
use serde_json::{Value as Json, json};
use std::net::IpAddr;

/// Characters of an id that the name of a link has room for.
const SHORT: usize = 11;

/// A network with one subnet.
#[derive(Clone, Debug)]
pub struct Lan {
    ground: Ground,
    node: Netlink,
    client: Client,
    network: String,
    subnet: String,
    cidr: IpNet,
    gateway: IpAddr,
    mtu: Option<u32>,
}

impl Lan {
    pub(super) fn new(
        ground: &Ground,
        node: &Netlink,
        client: &Client,
        network: &Json,
        subnet: &Json,
    ) -> Result<Self, Error> {
        Ok(Self {
            ground: ground.clone(),
            node: node.clone(),
            client: client.clone(),
            network: id(network)?,
            subnet: id(subnet)?,
            cidr: text(subnet, "cidr")?.parse().map_err(|_| odd("cidr"))?,
            gateway: text(subnet, "gateway_ip")?.parse().map_err(|_| odd("gateway_ip"))?,
            mtu: network["mtu"].as_u64().and_then(|mtu| u32::try_from(mtu).ok()),
        })
    }

    /// The network's id.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The subnet's id.
    #[must_use]
    pub fn subnet(&self) -> &str {
        &self.subnet
    }

    /// The subnet's addresses.
    #[must_use]
    pub fn cidr(&self) -> IpNet {
        self.cidr
    }

    /// The router's address.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// The name of its bridge on the node, which an agent makes when a router has an interface on it.
    #[must_use]
    pub fn bridge(&self) -> String {
        format!("kbr-{}", short(&self.network))
    }

    /// A host with this address, by a port that is made through the API. The label tells the hosts of the scene apart.
    ///
    /// # Errors
    ///
    /// Those of the API and of the kernel.
    pub fn host(&self, label: &str, address: IpAddr) -> Result<Host, Error> {
        let fixed = json!([{"subnet_id": self.subnet, "ip_address": address}]);
        let port = json!({"network_id": self.network, "name": label, "fixed_ips": fixed});
        let port = self.client.create(Kind::Port, port)?;
        let place = Place {
            bridge: self.bridge(),
            tap: format!("tap{}", short(&id(&port)?)),
            mac: Some(text(&port, "mac_address")?.parse().map_err(|_| odd("mac_address"))?),
            addresses: vec![IpNet::new(address, self.cidr.prefix_len()).map_err(|_| odd("cidr"))?],
            gateways: vec![self.gateway],
            mtu: self.mtu,
        };
        Host::attach(&self.ground, &self.node, label, &place)
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn text<'a>(object: &'a Json, name: &str) -> Result<&'a str, Error> {
    object[name].as_str().ok_or_else(|| odd(name))
}

fn odd(name: &str) -> Error {
    Error::Unexpected(format!("the service answered with an object without a good {name}"))
}
