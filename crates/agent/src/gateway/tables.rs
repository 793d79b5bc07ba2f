//! The tables of rules in the namespaces of routers, and what has to be remembered of them.

use super::forwarding::Forwarding;
use super::rules::{TABLE, counter, note};
use karez_engine::{ConnectionId, RouterId};
use karez_net::nft::{self, Pairs, Table};
use karez_net::{Error, Namespace, conntrack};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// All routers' tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    known: Mutex<BTreeMap<RouterId, Known>>,
}

/// What was put into a namespace last.
#[derive(Clone, Debug, Default)]
struct Known {
    table: Option<Table>,
    /// What earlier tables have dropped: counters begin anew with each.
    dropped: BTreeMap<ConnectionId, u64>,
}

impl Tables {
    /// Makes a namespace have this table, or none. Returns whether something had to be done.
    pub(super) async fn ensure(
        &self,
        namespace: &Namespace,
        router: RouterId,
        table: Option<Table>,
        selected: Pairs,
    ) -> Result<bool, Error> {
        let Some(table) = table else { return self.remove(namespace, router).await };
        let mut known = self.known(router);
        if known.table.as_ref().is_some_and(|before| *before != table) {
            known.dropped = self.dropped(namespace, router).await?;
        }
        let has_changed = table.ensure(namespace).await?;
        if has_changed && !selected.is_empty() {
            // Their translation was decided on before they were exempt from it.
            conntrack::forget_translated(namespace, selected).await?;
        }
        known.table = Some(table);
        self.lock().insert(router, known);
        Ok(has_changed)
    }

    /// Removes the table.
    pub(super) async fn remove(&self, namespace: &Namespace, router: RouterId) -> Result<bool, Error> {
        let has_changed = nft::remove(namespace, TABLE).await?;
        self.forget(router);
        Ok(has_changed)
    }

    /// Forgets a router whose namespace is gone.
    pub(super) fn forget(&self, router: RouterId) {
        self.lock().remove(&router);
    }

    /// How many packets were dropped for each connection because they would have gone or have come in clear, since the
    /// agent was started or the rules were put up, whichever was later.
    pub(super) async fn dropped(
        &self,
        namespace: &Namespace,
        router: RouterId,
    ) -> Result<BTreeMap<ConnectionId, u64>, Error> {
        let earlier = self.known(router).dropped;
        if !nft::exists(namespace, TABLE).await? {
            return Ok(earlier);
        }
        let mut dropped = BTreeMap::new();
        for (name, count) in nft::counters(namespace, TABLE).await? {
            if let Some(connection) = connection(&name) {
                let before = earlier.get(&connection).copied().unwrap_or_default();
                dropped.insert(connection, before + count.packets);
            }
        }
        Ok(dropped)
    }

    /// What the table says was off before.
    pub(super) async fn switched_on(&self, namespace: &Namespace) -> Result<BTreeSet<Forwarding>, Error> {
        if !nft::exists(namespace, TABLE).await? {
            return Ok(BTreeSet::new());
        }
        let counters = nft::counters(namespace, TABLE).await?;
        Ok(Forwarding::ALL.into_iter().filter(|version| counters.contains_key(&note(*version))).collect())
    }

    fn known(&self, router: RouterId) -> Known {
        self.lock().get(&router).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RouterId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connection(name: &str) -> Option<ConnectionId> {
    let (_, id) = name.split_once('-')?;
    let id = id.parse().ok()?;
    (counter(id) == name).then_some(id)
}
