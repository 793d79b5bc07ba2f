//! What is asked of the API.

use anyhow::Result;
use karez_scene::{Client, Kind, id};
use serde_json::{Value, json};

/// An IKE and an IPsec policy as one takes them today: IKEv2, AES-256, SHA-256, group 14.
pub struct Policies {
    ike: String,
    ipsec: String,
}

impl Policies {
    pub fn create(client: &Client) -> Result<Self> {
        let strong = json!({"encryption_algorithm": "aes-256", "auth_algorithm": "sha256", "pfs": "group14"});
        let mut ike = strong.clone();
        ike["ike_version"] = json!("v2");
        Ok(Self {
            ike: id(&client.create(Kind::IkePolicy, ike)?)?,
            ipsec: id(&client.create(Kind::IpsecPolicy, strong)?)?,
        })
    }

    /// A connection of this service to the one network behind this peer.
    pub fn connection(&self, service: &str, peer: &str, network: &str, key: &str) -> Value {
        json!({
            "vpnservice_id": service,
            "ikepolicy_id": self.ike,
            "ipsecpolicy_id": self.ipsec,
            "peer_address": peer,
            "peer_id": peer,
            "peer_cidrs": [network],
            "psk": key,
        })
    }
}

/// The same, but the peer has to begin.
pub fn response_only(mut connection: Value) -> Value {
    connection["initiator"] = json!("response-only");
    connection
}
