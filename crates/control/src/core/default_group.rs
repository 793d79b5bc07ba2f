//! The security group `default` that every project has, made when it is first needed.

use super::security_group_rule;
use crate::context::Context;
use crate::{Control, Failure, quota};
use karez_model::{Caller, Kind, Object};
use karez_store::{Datum, Tx};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use uuid::Uuid;

/// No other group can have this name.
pub(crate) const NAME: &str = "default";

impl Control {
    /// Makes the default security group of the caller's project when there is none.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn ensure_default_group(&self, caller: &Arc<Caller>) -> Result<(), Failure> {
        let Some(project) = caller.project_id().map(str::to_owned) else { return Ok(()) };
        let wanted = project.clone();
        if self.store.read(move |tx| find(tx, &wanted)).await?.is_some() {
            return Ok(());
        }
        self.writing(caller, move |context| of_project(context, &project).map(drop)).await
    }
}

/// The id of a project's default group. Two requests must not make two of them, so the project is
/// held while one is made.
pub(crate) fn of_project(context: &mut Context<'_, '_>, project: &str) -> Result<String, Failure> {
    if let Some(id) = find(context.tx, project)? {
        return Ok(id);
    }
    quota::hold(context.tx, project)?;
    match find(context.tx, project)? {
        Some(id) => Ok(id),
        None => make(context, project),
    }
}

fn find(tx: &mut Tx<'_>, project: &str) -> Result<Option<String>, Failure> {
    let sql =
        "SELECT id FROM security_groups WHERE project_id = $1 AND name = $2 ORDER BY created_at, id LIMIT 1";
    let row = tx.query_opt(sql, &[Datum::from(project), Datum::from(NAME)])?;
    Ok(row.map(|row| row.text(0).map(str::to_owned)).transpose()?)
}

/// Everything may go out, and members of the group may come in.
fn make(context: &mut Context<'_, '_>, project: &str) -> Result<String, Failure> {
    let mut group = Object::empty(Kind::SecurityGroup);
    group.set("id", Uuid::new_v4().to_string());
    group.set("name", NAME);
    group.set("project_id", project);
    group.set("description", "Default security group");
    group.set("stateful", true);
    group.set("tags", json!([]));
    let mut rules = security_group_rule::all_egress(&group);
    rules.extend(security_group_rule::ingress_from(&group, group.id()));
    group.set("security_group_rules", Json::Array(rules.iter().map(security_group_rule::shown).collect()));
    let group = context.tx.insert(group)?;
    for rule in rules {
        context.tx.insert(rule)?;
    }
    Ok(group.id().to_owned())
}
