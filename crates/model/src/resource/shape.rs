//! Converters for attributes that are structures: each takes what the caller sent and returns
//! the form in which it is stored, or says what is wrong.

use crate::address;
use serde_json::{Map, Value as Json, json};
use std::net::IpAddr;

/// A range of addresses, both ends included, both of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
}

impl Pool {
    /// Reads the stored form of allocation pools.
    #[must_use]
    pub fn from_stored(pools: &Json) -> Vec<Self> {
        let address = |pool: &Json, key: &str| pool.get(key)?.as_str()?.parse().ok();
        let pool = |json| Some(Self { start: address(json, "start")?, end: address(json, "end")? });
        pools.as_array().into_iter().flatten().filter_map(pool).collect()
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn to_stored(&self) -> Json {
        json!({"start": self.start.to_string(), "end": self.end.to_string()})
    }
}

/// One route: where to, and by which next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The range that it leads to.
    pub destination: ipnet::IpNet,
    /// The address that it goes through.
    pub nexthop: IpAddr,
}

impl Route {
    /// Reads the stored form of routes.
    #[must_use]
    pub fn from_stored(routes: &Json) -> Vec<Self> {
        let text = |route: &Json, key: &str| route.get(key)?.as_str().map(str::to_owned);
        let route = |json| {
            Some(Self {
                destination: text(json, "destination")?.parse().ok()?,
                nexthop: text(json, "nexthop")?.parse().ok()?,
            })
        };
        routes.as_array().into_iter().flatten().filter_map(route).collect()
    }
}

pub(super) fn pools(given: &Json) -> Result<Json, String> {
    entries(given, &["start", "end"], |entry| {
        let start = ip(entry, "start")?;
        let end = ip(entry, "end")?;
        if start.is_ipv4() != end.is_ipv4() || start > end {
            return Err(format!("the pool {start} to {end} does not go upwards within one IP version"));
        }
        Ok(Pool { start, end }.to_stored())
    })
}

pub(super) fn host_routes(given: &Json) -> Result<Json, String> {
    entries(given, &["destination", "nexthop"], |entry| {
        let destination = address::cidr(text(entry, "destination")?)?;
        let nexthop = ip(entry, "nexthop")?;
        if destination.addr().is_ipv4() != nexthop.is_ipv4() {
            return Err(format!(
                "the route to {destination} has a next hop of the other IP version, {nexthop}"
            ));
        }
        Ok(json!({"destination": destination.to_string(), "nexthop": nexthop.to_string()}))
    })
}

pub(super) fn routes(given: &Json) -> Result<Json, String> {
    if given.is_null() { Ok(json!([])) } else { host_routes(given) }
}

pub(super) fn fixed_ips(given: &Json) -> Result<Json, String> {
    entries(given, &["subnet_id", "ip_address"], |entry| {
        let mut out = Map::new();
        if entry.get("subnet_id").is_some_and(|id| !id.is_null()) {
            out.insert("subnet_id".into(), json!(address::uuid(text(entry, "subnet_id")?)?));
        }
        if entry.get("ip_address").is_some_and(|ip| !ip.is_null()) {
            out.insert("ip_address".into(), json!(ip(entry, "ip_address")?.to_string()));
        }
        if out.is_empty() {
            return Err("each entry needs a subnet_id, an ip_address or both".into());
        }
        Ok(Json::Object(out))
    })
}

pub(super) fn address_pairs(given: &Json) -> Result<Json, String> {
    entries(given, &["ip_address", "mac_address"], |entry| {
        let range = text(entry, "ip_address")?;
        let range = match range.parse::<IpAddr>() {
            Ok(ip) => ip.to_string(),
            Err(_) => address::cidr(range)?.to_string(),
        };
        let mut out = json!({"ip_address": range});
        if entry.get("mac_address").is_some_and(|mac| !mac.is_null()) {
            out["mac_address"] = json!(address::mac(text(entry, "mac_address")?)?);
        }
        Ok(out)
    })
}

/// `{}` and null both mean that there is no gateway.
pub(super) fn external_gateway(given: &Json) -> Result<Json, String> {
    let Some(gateway) = given.as_object() else {
        return Err(
            "it must be an object with network_id, enable_snat and external_fixed_ips, or null".into()
        );
    };
    if gateway.is_empty() {
        return Ok(Json::Null);
    }
    only(gateway, &["network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"])?;
    let mut out = Map::new();
    out.insert("network_id".into(), json!(address::uuid(text(gateway, "network_id")?)?));
    if let Some(snat) = gateway.get("enable_snat") {
        let snat = crate::parse::boolean(snat).ok_or("enable_snat must be true or false")?;
        out.insert("enable_snat".into(), json!(snat));
    }
    if let Some(ips) = gateway.get("external_fixed_ips").filter(|ips| !ips.is_null()) {
        out.insert("external_fixed_ips".into(), fixed_ips(ips)?);
    }
    Ok(Json::Object(out))
}

/// A protocol by name or number, always kept as text.
pub(super) fn protocol(given: &Json) -> Result<Json, String> {
    match given {
        Json::String(name) if name.chars().count() <= 255 => Ok(json!(name.to_ascii_lowercase())),
        Json::Number(number) => Ok(json!(number.to_string())),
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Err("it must be a protocol's name or number".into())
        }
    }
}

/// Metainfo is a text on the wire; clients also send objects, which Neutron keeps as text.
pub(super) fn metainfo(given: &Json) -> Result<Json, String> {
    let text = match given {
        Json::String(text) => text.clone(),
        Json::Object(_) | Json::Array(_) => given.to_string(),
        Json::Null | Json::Bool(_) | Json::Number(_) => return Err("it must be a text".into()),
    };
    match text.chars().count() {
        ..=4096 => Ok(json!(text)),
        length => Err(format!("it has {length} characters as a text; at most 4096 are allowed")),
    }
}

fn entries(
    given: &Json,
    keys: &[&str],
    convert: impl Fn(&Map<String, Json>) -> Result<Json, String>,
) -> Result<Json, String> {
    let Some(list) = given.as_array() else {
        return Err(format!("it must be a list of objects with {}", keys.join(" and ")));
    };
    if list.len() > crate::parse::MAX_LIST {
        return Err(format!("it has {} entries, {} are allowed", list.len(), crate::parse::MAX_LIST));
    }
    let mut out = Vec::with_capacity(list.len());
    for entry in list {
        let Some(object) = entry.as_object() else {
            return Err(format!("each entry must be an object with {}", keys.join(" and ")));
        };
        only(object, keys)?;
        let entry = convert(object)?;
        if out.contains(&entry) {
            return Err(format!("{entry} is given twice"));
        }
        out.push(entry);
    }
    Ok(Json::Array(out))
}

fn only(object: &Map<String, Json>, keys: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!(
            "the key '{}' is not known; allowed are {}",
            crate::parse::clip(key),
            keys.join(", ")
        )),
        None => Ok(()),
    }
}

fn text<'a>(object: &'a Map<String, Json>, key: &str) -> Result<&'a str, String> {
    object.get(key).and_then(Json::as_str).ok_or_else(|| format!("{key} must be given as a text"))
}

fn ip(object: &Map<String, Json>, key: &str) -> Result<IpAddr, String> {
    address::ip(text(object, key)?)
}
