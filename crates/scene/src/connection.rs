//! A connection: one end of a tunnel, made through the API.

mod status;
mod wish;

use crate::client::{Client, Kind, id};
use crate::{Error, Lan, Site, wait};
use ipnet::IpNet;
use serde_json::{Value as Json, json};
use std::time::Duration;

pub use status::Status;
pub use wish::Wish;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address or host name.
    pub address: String,
    /// Who it says that it is.
    pub id: String,
    /// The networks behind it.
    pub cidrs: Vec<IpNet>,
}

impl Peer {
    /// The first address of this site, and these networks behind it.
    #[must_use]
    pub fn at(site: &Site, lans: &[&Lan]) -> Self {
        let address = site.addresses().first().map(ToString::to_string).unwrap_or_default();
        Self { id: address.clone(), address, cidrs: lans.iter().map(|lan| lan.cidr()).collect() }
    }
}

/// A connection with the policies that were made for it.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    id: String,
    ike_policy: String,
    ipsec_policy: String,
    groups: Vec<String>,
}

impl Connection {
    /// From the one subnet of this service to the peer's networks.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn create(
        client: &Client,
        service: &str,
        peer: &Peer,
        key: &str,
        wish: &Wish,
    ) -> Result<Self, Error> {
        Self::make(client, service, peer, key, wish, json!({"peer_cidrs": peer.cidrs}), Vec::new())
    }

    /// From these networks to the peer's, each with each, by endpoint groups. The service must have no subnet.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn create_between(
        client: &Client,
        service: &str,
        lans: &[&Lan],
        peer: &Peer,
        key: &str,
        wish: &Wish,
    ) -> Result<Self, Error> {
        let group = |kind: &str, endpoints: Json| {
            let group = json!({"name": kind, "type": kind, "endpoints": endpoints});
            id(&client.create(Kind::EndpointGroup, group)?)
        };
        let subnets: Vec<&str> = lans.iter().map(|lan| lan.subnet()).collect();
        let (local, remote) = (group("subnet", json!(subnets))?, group("cidr", json!(peer.cidrs))?);
        let selectors = json!({"local_ep_group_id": local, "peer_ep_group_id": remote});
        Self::make(client, service, peer, key, wish, selectors, vec![local, remote])
    }

    fn make(
        client: &Client,
        service: &str,
        peer: &Peer,
        key: &str,
        wish: &Wish,
        selectors: Json,
        groups: Vec<String>,
    ) -> Result<Self, Error> {
        let ike_policy = id(&client.create(Kind::IkePolicy, wish.ike_policy())?)?;
        let ipsec_policy = id(&client.create(Kind::IpsecPolicy, wish.ipsec_policy())?)?;
        let mut attributes = json!({
            "name": format!("to-{}", peer.address),
            "vpnservice_id": service,
            "ikepolicy_id": ike_policy,
            "ipsecpolicy_id": ipsec_policy,
            "peer_address": peer.address,
            "peer_id": peer.id,
            "psk": key,
        });
        wish::merge(&mut attributes, &selectors);
        wish::merge(&mut attributes, &wish.connection());
        let id = id(&client.create(Kind::Connection, attributes)?)?;
        Ok(Self { client: client.clone(), id, ike_policy, ipsec_policy, groups })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its IKE policy's id.
    #[must_use]
    pub fn ike_policy(&self) -> &str {
        &self.ike_policy
    }

    /// Its IPsec policy's id.
    #[must_use]
    pub fn ipsec_policy(&self) -> &str {
        &self.ipsec_policy
    }

    /// As Neutron shows it.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn show(&self) -> Result<Json, Error> {
        self.client.show(Kind::Connection, &self.id)
    }

    /// All that is known of its state.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn status(&self) -> Result<Status, Error> {
        self.client.connection_status(&self.id).map(Status)
    }

    /// Changes attributes.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn edit(&self, attributes: Json) -> Result<(), Error> {
        self.client.update(Kind::Connection, &self.id, attributes).map(drop)
    }

    /// Waits until its status, in Neutron's sense, is this one.
    ///
    /// # Errors
    ///
    /// [`Error::InVain`] with the status and the reason that it has instead.
    pub fn becomes(&self, status: &str, bound: Duration) -> Result<(), Error> {
        wait::until(&format!("connection {} to be {status}", self.id), bound, || {
            let shown = self.show()?;
            let is = shown["status"].as_str().unwrap_or_default();
            let why = || format!("{is} {} {}", shown["status_reason"], shown["status_detail"]);
            Ok(if is == status { Ok(()) } else { Err(why()) })
        })
    }

    /// Deletes it with the policies and groups that were made for it.
    ///
    /// # Errors
    ///
    /// Those of the API.
    pub fn delete(self) -> Result<(), Error> {
        self.client.delete(Kind::Connection, &self.id)?;
        self.client.delete(Kind::IkePolicy, &self.ike_policy)?;
        self.client.delete(Kind::IpsecPolicy, &self.ipsec_policy)?;
        self.groups.iter().try_for_each(|group| self.client.delete(Kind::EndpointGroup, group))
    }
}

/// A key that nobody knows.
///
/// # Errors
///
/// When the system has no randomness.
pub fn random_key() -> Result<String, Error> {
    use std::io::Read;
    let mut bytes = [0; 24];
    let file = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    file.map_err(Error::io("read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
