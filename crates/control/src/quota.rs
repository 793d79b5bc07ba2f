//! Quotas of projects. A limit holds under concurrent creates: while something with a limit is
//! counted and created, the project's row in `quota_locks` is held.

use crate::context::Context;
use crate::{Control, Failure};
use karez_model::parse::{Created, clip};
use karez_model::{Caller, Fault, Kind, Reason};
use karez_store::{Datum, Tx};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Limits by quota name; -1 is no limit.
pub type Quotas = BTreeMap<&'static str, i64>;

/// A limit and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// The limit; -1 is none.
    pub limit: i64,
    /// How many there are.
    pub used: i64,
}

/// Names that Neutron's clients send and that stand for resources which do not exist here.
const OTHERS: &[(&str, i64)] = &[("subnetpool", -1), ("rbac_policy", 10)];

/// Refuses when the new objects would exceed a quota of their project.
pub(crate) fn check(context: &mut Context<'_, '_>, kind: Kind, requests: &[Created]) -> Result<(), Failure> {
    let mut by_project: BTreeMap<&str, i64> = BTreeMap::new();
    for created in requests {
        *by_project.entry(created.object.project_id()).or_default() += 1;
    }
    by_project.into_iter().try_for_each(|(project, more)| check_one(context, kind, project, more))
}

/// Refuses when so many more objects would exceed the project's quota.
pub(crate) fn check_one(
    context: &mut Context<'_, '_>,
    kind: Kind,
    project: &str,
    more: i64,
) -> Result<(), Failure> {
    let Some((name, default)) = kind.resource().quota else { return Ok(()) };
    let default = context.settings.quotas.get(name).copied().unwrap_or(default);
    let is_limited = |limit: &Option<i64>| limit.unwrap_or(default) >= 0;
    if project.is_empty() || !is_limited(&own_limit(context.tx, project, name)?) {
        return Ok(());
    }
    hold(context.tx, project)?;
    // Asked again: it may have been changed while we waited.
    let limit = own_limit(context.tx, project, name)?;
    if !is_limited(&limit) {
        return Ok(());
    }
    let limit = limit.unwrap_or(default);
    let used = context.tx.count(kind, project)?;
    if used + more <= limit {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::OverQuota,
        format!(
            "Quota exceeded for {name}: the limit is {limit}, {used} are in use and {more} more were asked for"
        ),
    ))
}

fn own_limit(tx: &mut Tx<'_>, project: &str, name: &str) -> Result<Option<i64>, Failure> {
    let sql = "SELECT quota_limit FROM quotas WHERE project_id = $1 AND resource = $2";
    let row = tx.query_opt(sql, &[Datum::from(project), Datum::from(name)])?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

pub(crate) fn hold(tx: &mut Tx<'_>, project: &str) -> Result<(), Failure> {
    let sql = "SELECT project_id FROM quota_locks WHERE project_id = $1";
    let project = [Datum::from(project)];
    if tx.query_for_update(sql, &project)?.is_empty() {
        tx.execute("INSERT INTO quota_locks (project_id) VALUES ($1) ON CONFLICT DO NOTHING", &project)?;
        tx.query_for_update(sql, &project)?;
    }
    Ok(())
}

impl Control {
    /// The default limits of this deployment.
    #[must_use]
    pub fn default_quotas(&self) -> Quotas {
        let of_kinds = Kind::ALL.iter().filter_map(|kind| kind.resource().quota);
        let all = of_kinds.chain(OTHERS.iter().copied());
        all.map(|(name, default)| (name, self.settings.quotas.get(name).copied().unwrap_or(default)))
            .collect()
    }

    /// The limits of a project.
    ///
    /// # Errors
    /// [`Reason::PolicyNotAuthorized`] for those who may not see them.
    pub async fn quotas(&self, caller: &Arc<Caller>, project: &str) -> Result<Quotas, Failure> {
        self.check_project(caller, "get_quota", project)?;
        let mut quotas = self.default_quotas();
        let project = project.to_owned();
        self.reading(caller, move |context| {
            let sql = "SELECT resource, quota_limit FROM quotas WHERE project_id = $1";
            for row in context.tx.query(sql, &[Datum::from(project.as_str())])? {
                if let Some(limit) = quotas.get_mut(row.text(0)?) {
                    *limit = row.int(1)?;
                }
            }
            Ok(quotas.clone())
        })
        .await
    }

    /// The limits of a project and what is used of them.
    ///
    /// # Errors
    /// [`Reason::PolicyNotAuthorized`] for those who may not see them.
    pub async fn quota_details(
        &self,
        caller: &Arc<Caller>,
        project: &str,
    ) -> Result<BTreeMap<&'static str, QuotaUse>, Failure> {
        let quotas = self.quotas(caller, project).await?;
        let project = project.to_owned();
        self.reading(caller, move |context| {
            let mut details = BTreeMap::new();
            for (name, limit) in &quotas {
                let kind = Kind::ALL
                    .iter()
                    .find(|kind| kind.resource().quota.is_some_and(|(quota, _)| quota == *name));
                let used = kind.map_or(Ok(0), |kind| context.tx.count(*kind, &project))?;
                details.insert(*name, QuotaUse { limit: *limit, used });
            }
            Ok(details)
        })
        .await
    }

    /// The projects that have limits of their own, with all their limits.
    ///
    /// # Errors
    /// [`Reason::PolicyNotAuthorized`] for those who may not list them.
    pub async fn all_quotas(&self, caller: &Arc<Caller>) -> Result<BTreeMap<String, Quotas>, Failure> {
        self.check(caller, "get_quotas").map_err(|_| crate::context::not_authorized("get_quota"))?;
        let defaults = self.default_quotas();
        self.reading(caller, move |context| {
            let mut all: BTreeMap<String, Quotas> = BTreeMap::new();
            for row in context.tx.query("SELECT project_id, resource, quota_limit FROM quotas", &[])? {
                let quotas = all.entry(row.text(0)?.to_owned()).or_insert_with(|| defaults.clone());
                if let Some(limit) = quotas.get_mut(row.text(1)?) {
                    *limit = row.int(2)?;
                }
            }
            Ok(all)
        })
        .await
    }

    /// Sets limits of a project and returns all of them.
    ///
    /// # Errors
    /// [`Reason::PolicyNotAuthorized`], or [`Reason::HTTPBadRequest`] for names and limits that
    /// are not known.
    pub async fn set_quotas(
        &self,
        caller: &Arc<Caller>,
        project: &str,
        body: &Map<String, Json>,
    ) -> Result<Quotas, Failure> {
        self.check_project(caller, "update_quota", project)?;
        let known = self.default_quotas();
        let mut limits = Vec::with_capacity(body.len());
        for (name, json) in body {
            if matches!(name.as_str(), "force" | "check_limit" | "tenant_id" | "project_id") {
                continue;
            }
            let Some((name, _)) = known.get_key_value(name.as_str()) else {
                let names: Vec<&str> = known.keys().copied().collect();
                let message =
                    format!("Unrecognized attribute(s) '{}'; known are {}", clip(name), names.join(", "));
                return Err(Fault::bad_request(message).into());
            };
            limits.push((*name, limit(name, json)?));
        }
        let id = project.to_owned();
        self.writing(caller, move |context| {
            hold(context.tx, &id)?;
            let sql = "INSERT INTO quotas (project_id, resource, quota_limit) VALUES ($1, $2, $3)
                ON CONFLICT (project_id, resource) DO UPDATE SET quota_limit = excluded.quota_limit";
            for (name, limit) in &limits {
                context
                    .tx
                    .execute(sql, &[Datum::from(id.as_str()), Datum::from(*name), Datum::from(*limit)])?;
            }
            Ok(())
        })
        .await?;
        self.quotas(caller, project).await
    }

    /// Puts a project back to the default limits.
    ///
    /// # Errors
    /// [`Reason::PolicyNotAuthorized`].
    pub async fn reset_quotas(&self, caller: &Arc<Caller>, project: &str) -> Result<(), Failure> {
        self.check_project(caller, "delete_quota", project)?;
        let id = project.to_owned();
        self.writing(caller, move |context| {
            context.tx.execute("DELETE FROM quotas WHERE project_id = $1", &[Datum::from(id.as_str())])?;
            Ok(())
        })
        .await
    }

    fn check_project(&self, caller: &Caller, rule: &str, project: &str) -> Result<(), Failure> {
        let target = karez_model::policy::Target::of_project(project);
        if self.policy.allows(rule, caller, target) {
            Ok(())
        } else {
            Err(crate::context::not_authorized(rule))
        }
    }
}

fn limit(name: &str, json: &Json) -> Result<i64, Failure> {
    let number = json.as_i64().or_else(|| json.as_str().and_then(|text| text.parse().ok()));
    match number {
        Some(limit) if (-1..=i64::from(i32::MAX)).contains(&limit) => Ok(limit),
        Some(_) | None => Err(Fault::bad_request(format!(
            "{name} is {}; it must be a whole number from -1, which is no limit, to {}",
            clip(&json.to_string()),
            i32::MAX
        ))
        .into()),
    }
}
