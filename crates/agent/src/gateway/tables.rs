//! The tables of rules in the namespaces of routers, and what has to be remembered of them.

use super::forwarding::Forwarding;
use super::rules::{SELECTED, TABLE, counter, note};
use karez_engine::{ConnectionId, RouterId};
use karez_net::nft::{self, Change, Count, Pairs, Table};
use karez_net::{Error, Namespace, conntrack};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// All routers' tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    known: Mutex<BTreeMap<RouterId, Known>>,
}

/// What was put into a namespace last.
#[derive(Clone, Debug)]
struct Known {
    table: Arc<Table>,
    /// What is exempt from address translation, and may still have connections from before it was.
    unforgotten: Pairs,
}

impl Tables {
    /// Makes a namespace have this table, or none. Returns whether something had to be done.
    pub(super) async fn ensure(
        &self,
        namespace: &Namespace,
        router: RouterId,
        table: Option<Table>,
    ) -> Result<bool, Error> {
        let known = self.known(router);
        let Some(table) = table else {
            let has_changed = self.remove(namespace, router).await?;
            if let Some(known) = known.filter(|_| has_changed) {
                expose(namespace, selected(&known.table)).await;
            }
            return Ok(has_changed);
        };
        let before = known.as_ref().map(|known| &*known.table);
        let change = table.ensure_after(namespace, before).await?;
        if let Some(before) = before.filter(|_| change != Change::None) {
            expose(namespace, selected(before).since(&selected(&table))).await;
        }
        let exempt = match (change, before) {
            (Change::None, Some(_)) => Pairs::default(),
            // Whoever put it there may not have come to it.
            (Change::None, None) => selected(&table),
            (Change::Difference, Some(before)) => selected(&table).since(&selected(before)),
            (Change::Difference | Change::Replacement, _) => selected(&table),
        };
        let earlier = known.iter().flat_map(|known| known.unforgotten.iter());
        let known = Known { table: Arc::new(table), unforgotten: earlier.chain(exempt.iter()).collect() };
        self.lock().insert(router, known.clone());
        if !known.unforgotten.is_empty() {
            // Their translation was decided on before they were exempt from it.
            conntrack::forget_translated(namespace, known.unforgotten).await?;
            self.lock().insert(router, Known { table: known.table, unforgotten: Pairs::default() });
        }
        Ok(change != Change::None)
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

    /// How many packets were dropped for each connection because they would have gone or have come in clear, since its
    /// rules were put up.
    pub(super) async fn dropped(&self, namespace: &Namespace) -> Result<BTreeMap<ConnectionId, u64>, Error> {
        let counters = nft::counters(namespace, TABLE).await?;
        let dropped = |(name, count): (String, Count)| Some((connection(&name)?, count.packets));
        Ok(counters.into_iter().filter_map(dropped).collect())
    }

    /// What the table says was off before.
    pub(super) async fn switched_on(&self, namespace: &Namespace) -> Result<BTreeSet<Forwarding>, Error> {
        let counters = nft::counters(namespace, TABLE).await?;
        Ok(Forwarding::ALL.into_iter().filter(|version| counters.contains_key(&note(*version))).collect())
    }

    fn known(&self, router: RouterId) -> Option<Known> {
        self.lock().get(&router).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RouterId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn selected(table: &Table) -> Pairs {
    table.pairs(SELECTED).cloned().unwrap_or_default()
}

/// Connections between pairs that are no longer exempt are judged anew, as what they were exempt for is gone. What
/// cannot be forgotten now ends with its flow.
async fn expose(namespace: &Namespace, pairs: Pairs) {
    if !pairs.is_empty()
        && let Err(error) = conntrack::forget_exempt(namespace, pairs).await
    {
        tracing::warn!(%error, "flows from before a tunnel was deleted keep their source address");
    }
}

fn connection(name: &str) -> Option<ConnectionId> {
    let (_, id) = name.split_once('-')?;
    let id = id.parse().ok()?;
    (counter(id) == name).then_some(id)
}
