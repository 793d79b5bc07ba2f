//! What one client address may have at a time.

use karez_model::address::client_network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts by client address. Clones share them.
#[derive(Clone)]
pub(crate) struct Addresses {
    most: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of an address's, until it is dropped.
pub(crate) struct Place {
    addresses: Addresses,
    client: IpAddr,
}

impl Addresses {
    /// Each may have `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// One more; none when the address has as many as it may.
    pub(crate) fn enter(&self, client: IpAddr) -> Option<Place> {
        let client = client_network(client);
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { addresses: self.clone(), client })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_and_others_have_theirs() {
        let addresses = Addresses::new(2);
        let enter = |text: &str| addresses.enter(text.parse().expect("an address"));
        let mut held = vec![enter("192.0.2.1").expect("one"), enter("::ffff:192.0.2.1").expect("two")];
        assert!(enter("192.0.2.1").is_none());
        held.push(enter("192.0.2.2").expect("another"));
        held.extend([enter("2001:db8::1").expect("one"), enter("2001:db8::2").expect("two")]);
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        held.remove(0);
        assert!(enter("192.0.2.1").is_some());
        drop(held);
        assert!(addresses.counts().is_empty(), "forgotten");
    }
}
