//! Addresses of ports: those that a port has, and those that are asked for.

use serde_json::{Value as Json, json};
use std::net::IpAddr;

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FixedIp {
    pub subnet_id: String,
    pub ip: IpAddr,
}

impl FixedIp {
    /// Reads the stored form of a port's addresses, or of a gateway's.
    pub(crate) fn from_stored(ips: &Json) -> Vec<Self> {
        let read = |ip: &Json| {
            Some(Self { subnet_id: text(ip, "subnet_id")?, ip: text(ip, "ip_address")?.parse().ok()? })
        };
        ips.as_array().into_iter().flatten().filter_map(read).collect()
    }

    /// The form in which addresses are stored and shown.
    pub(crate) fn to_stored(ips: &[Self]) -> Json {
        let write = |ip: &Self| json!({"subnet_id": ip.subnet_id, "ip_address": ip.ip.to_string()});
        Json::Array(ips.iter().map(write).collect())
    }
}

/// What is asked for: an address, any address of a subnet, or an address that must be of a subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub subnet_id: Option<String>,
    pub ip: Option<IpAddr>,
}

impl Wish {
    /// Reads what a caller has asked for, once its types are checked.
    pub(crate) fn from_asked(ips: &Json) -> Vec<Self> {
        let read = |ip: &Json| Self {
            subnet_id: text(ip, "subnet_id"),
            ip: text(ip, "ip_address").and_then(|ip| ip.parse().ok()),
        };
        ips.as_array().into_iter().flatten().map(read).collect()
    }
}

fn text(ip: &Json, key: &str) -> Option<String> {
    Some(ip.get(key)?.as_str()?.to_owned())
}
