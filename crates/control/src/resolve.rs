//! Host names of peers. They are looked up before the transaction, which must not wait for others.

use karez_model::object::Changes;
use karez_model::{Object, Resource, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The addresses of a peer, or why there are none.
pub(crate) type Peer = Result<Vec<IpAddr>, String>;

/// By what stands in `peer_address`.
pub(crate) type Peers = BTreeMap<String, Peer>;

/// How long a lookup may take before the name counts as unknown.
const PATIENCE: Duration = Duration::from_secs(4);

/// The peers of new connections.
pub(crate) async fn peers(objects: impl Iterator<Item = &Object>) -> Peers {
    let mut peers = Peers::new();
    for object in objects {
        if let Some(name) = object.opt_text("peer_address") {
            peers.insert(name.to_owned(), peer(name).await);
        }
    }
    peers
}

/// The peer that a change brings.
pub(crate) async fn changed_peer(resource: &Resource, changes: &Changes) -> Peers {
    match changes.get(resource, "peer_address") {
        Some(Value::Text(name)) => Peers::from([(name.clone(), peer(name).await)]),
        _ => Peers::new(),
    }
}

async fn peer(name: &str) -> Peer {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    check_name(name)?;
    match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, 500))).await {
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            if addresses.is_empty() { Err("the name has no address".into()) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(format!("the lookup failed ({error})")),
        Err(_) => Err(format!("the lookup took more than {} s", PATIENCE.as_secs())),
    }
}

/// A host name by RFC 1123, section 2.1. One whose last label is a number is a mistyped address:
/// resolvers read such a thing as octal or as one big number, and would mean another host.
fn check_name(name: &str) -> Result<(), String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("it is not a host name".into());
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(
            "its last part is a number, and it is not an address that can be read in one way only".into()
        );
    }
    // RFC 6761, section 6.4: this name never exists, and asking tells others.
    if last.eq_ignore_ascii_case("invalid") {
        return Err("names under .invalid do not exist".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn mistyped_addresses_are_not_looked_up_as_names() {
        for name in
            ["192.168.001.010", "10.0.0.1/24", "0x7f.1", "127.1", "1.2.3.4.5", "", "-a.example", "a..b"]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn host_names_are_names() {
        for name in ["gw.example.net", "localhost", "vpn-1.example.", "_x.example"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }
}
