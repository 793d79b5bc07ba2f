//! Host names of peers. They are looked up before the transaction, which must not wait for others, and after it is known that
//! the caller may have them looked up.
//!
//! The system's resolver cannot be stopped once it was asked, so a lookup holds its place until it has really ended, and there
//! are only so many places.

use crate::Failure;
use karez_model::object::Changes;
use karez_model::{Object, Reason, Resource, Value};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The addresses of a peer, or why there are none.
pub(crate) type Peer = Result<Vec<IpAddr>, String>;

/// By what stands in `peer_address`.
pub(crate) type Peers = BTreeMap<String, Peer>;

/// How long a lookup may take before the name counts as unknown.
const PATIENCE: Duration = Duration::from_secs(4);

/// Lookups of one project at a time.
const PER_PROJECT: usize = 8;

/// Lookups at a time.
const IN_ALL: usize = 32;

/// Finds the addresses of a name, for as long as that takes.
pub(crate) type Resolver = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Looks names up. Clones share their places.
#[derive(Clone)]
pub(crate) struct Lookups {
    resolver: Arc<Resolver>,
    /// How many each project has under way.
    under_way: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Lookups {
    /// By the system's resolver.
    pub(crate) fn system() -> Self {
        Self::by(|name| Ok((name, 500).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    pub(crate) fn by(resolver: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self { resolver: Arc::new(resolver), under_way: Arc::default() }
    }

    /// The peers of new connections.
    ///
    /// # Errors
    /// [`Reason::ServiceUnavailable`] when too many are looked up already.
    pub(crate) async fn peers(&self, objects: impl Iterator<Item = &Object>) -> Result<Peers, Failure> {
        let mut peers = Peers::new();
        for object in objects {
            if let Some(name) = object.opt_text("peer_address") {
                peers.insert(name.to_owned(), self.peer(object.project_id(), name).await?);
            }
        }
        Ok(peers)
    }

    /// The peer that a change brings, for an object of this project.
    ///
    /// # Errors
    /// As [`Lookups::peers`].
    pub(crate) async fn changed_peer(&self, project: &str, name: &str) -> Result<Peers, Failure> {
        Ok(Peers::from([(name.to_owned(), self.peer(project, name).await?)]))
    }

    async fn peer(&self, project: &str, name: &str) -> Result<Peer, Failure> {
        if let Ok(ip) = name.parse() {
            return Ok(Ok(vec![ip]));
        }
        if let Err(why) = check_name(name) {
            return Ok(Err(why));
        }
        let place = self.place(project).ok_or_else(|| {
            let message = "Too many host names of peers are looked up just now; try again in a moment, or give an address";
            Failure::fault(Reason::ServiceUnavailable, message)
        })?;
        let (resolver, own) = (Arc::clone(&self.resolver), name.to_owned());
        let lookup = tokio::task::spawn_blocking(move || {
            let found = resolver(&own);
            drop(place);
            found
        });
        Ok(match tokio::time::timeout(PATIENCE, lookup).await {
            Ok(Ok(Ok(found))) if found.is_empty() => Err("the name has no address".into()),
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(format!("the lookup failed ({error})")),
            Ok(Err(_)) => Err("the lookup failed".into()),
            Err(_) => Err(format!("the lookup took more than {} s", PATIENCE.as_secs())),
        })
    }

    fn place(&self, project: &str) -> Option<Place> {
        let mut under_way = self.under_way();
        if under_way.values().sum::<usize>() >= IN_ALL {
            return None;
        }
        let own = under_way.entry(project.to_owned()).or_default();
        if *own >= PER_PROJECT {
            return None;
        }
        *own += 1;
        Some(Place { lookups: self.clone(), project: project.to_owned() })
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One lookup of a project, until it has ended.
struct Place {
    lookups: Lookups,
    project: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.lookups.under_way();
        if let Some(own) = under_way.get_mut(&self.project) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.project);
            }
        }
    }
}

/// The peer's name or address that a change brings.
pub(crate) fn new_peer<'a>(resource: &Resource, changes: &'a Changes) -> Option<&'a str> {
    match changes.get(resource, "peer_address") {
        Some(Value::Text(name)) => Some(name),
        _ => None,
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
