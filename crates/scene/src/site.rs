//! One end of a VPN: a router with an address on the internet, and the networks behind it.

mod lan;
mod traces;

use crate::client::{Client, Kind, id};
use crate::internet::Prefix;
use crate::{Error, Ground};
use ipnet::IpNet;
use karez_net::Netlink;
use serde_json::{Value as Json, json};
use std::net::IpAddr;

pub use lan::Lan;

/// A router that was made through the API.
#[derive(Clone, Debug)]
pub struct Site {
    ground: Ground,
    node: Netlink,
    client: Client,
    router: String,
    addresses: Vec<IpAddr>,
}

/// Makes the network that stands for the internet in a cloud, and returns its id.
pub(crate) fn external(client: &Client, prefixes: &[Prefix]) -> Result<String, Error> {
    let network = id(&client.create(Kind::Network, json!({"name": "internet", "router:external": true}))?)?;
    for prefix in prefixes {
        let subnet = json!({
            "network_id": network,
            "ip_version": version(prefix.network),
            "cidr": prefix.network,
            "gateway_ip": prefix.gateway,
            "enable_dhcp": false,
        });
        client.create(Kind::Subnet, subnet)?;
    }
    Ok(network)
}

impl Site {
    pub(crate) fn make(
        ground: &Ground,
        node: &Netlink,
        client: &Client,
        external: &str,
        addresses: &[IpAddr],
    ) -> Result<Self, Error> {
        let fixed: Vec<Json> = addresses.iter().map(|address| json!({"ip_address": address})).collect();
        let gateway = json!({"network_id": external, "external_fixed_ips": fixed});
        let router =
            client.create(Kind::Router, json!({"name": "router", "external_gateway_info": gateway}))?;
        let router = id(&router)?;
        ground.expect_router(&router)?;
        Ok(Self {
            ground: ground.clone(),
            node: node.clone(),
            client: client.clone(),
            router,
            addresses: addresses.to_vec(),
        })
    }

    /// The router's id.
    #[must_use]
    pub fn router(&self) -> &str {
        &self.router
    }

    /// The name of the namespace that an agent makes for the router.
    #[must_use]
    pub fn namespace_name(&self) -> String {
        format!("karez-{}", self.router)
    }

    /// The router's addresses on the internet.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// A client of the cloud's API.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A network behind the router with this one subnet; the router has its first address.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn lan(&self, subnet: IpNet) -> Result<Lan, Error> {
        let network = self.client.create(Kind::Network, json!({"name": subnet.to_string()}))?;
        let attributes = json!({
            "network_id": id(&network)?,
            "ip_version": version(subnet),
            "cidr": subnet,
            "name": subnet.to_string(),
            "enable_dhcp": false,
        });
        let made = self.client.create(Kind::Subnet, attributes)?;
        self.client.add_interface(&self.router, &id(&made)?)?;
        Lan::new(&self.ground, &self.node, &self.client, &network, &made)
    }

    /// A VPN service of the router: for this network alone, or for endpoint groups when there is none. Its id.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn service(&self, lan: Option<&Lan>) -> Result<String, Error> {
        let mut attributes = json!({"name": "vpn", "router_id": self.router});
        if let Some(lan) = lan {
            attributes["subnet_id"] = json!(lan.subnet());
        }
        id(&self.client.create(Kind::Service, attributes)?)
    }
}

const fn version(network: IpNet) -> u8 {
    match network {
        IpNet::V4(_) => 4,
        IpNet::V6(_) => 6,
    }
}
