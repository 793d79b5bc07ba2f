//! Security groups.

use super::{default_group, security_group_rule};
use crate::Failure;
use crate::context::Context;
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::{Value as Json, json};

pub(crate) fn before_create(context: &mut Context<'_, '_>, group: &mut Object) -> Result<(), Failure> {
    check_name(group)?;
    default_group::of_project(context, group.project_id())?;
    group.set("security_group_rules", json!([]));
    group.set("tags", json!([]));
    Ok(())
}

/// A new group lets everything out.
pub(crate) fn after_create(context: &mut Context<'_, '_>, mut group: Object) -> Result<Object, Failure> {
    let rules = security_group_rule::all_egress(&group);
    group.set("security_group_rules", Json::Array(rules.iter().map(security_group_rule::shown).collect()));
    let group = context.tx.update(group)?;
    for rule in rules {
        context.tx.insert(rule)?;
    }
    Ok(group)
}

pub(crate) fn before_update(old: &Object, new: &Object) -> Result<(), Failure> {
    if old.text("name") == new.text("name") {
        return Ok(());
    }
    if old.text("name") == default_group::NAME {
        let message = format!("The group {} is the default one of its project and keeps its name", old.id());
        return Err(Failure::fault(Reason::SecurityGroupCannotUpdateDefault, message));
    }
    check_name(new)
}

/// Rules of other groups that let this one's members in go with it.
pub(crate) fn before_delete(context: &mut Context<'_, '_>, group: &Object) -> Result<(), Failure> {
    if group.text("name") == default_group::NAME {
        let message = format!("The group {} is the default one of its project and stays", group.id());
        return Err(Failure::fault(Reason::SecurityGroupCannotRemoveDefault, message));
    }
    let id = [Datum::from(group.id())];
    let users = context.column(
        "SELECT port_id FROM port_security_groups WHERE security_group_id = $1 ORDER BY port_id LIMIT 5",
        &id,
    )?;
    if !users.is_empty() {
        return Err(Failure::fault(
            Reason::SecurityGroupInUse,
            format!("The security group {} is used by the port(s) {}", group.id(), users.join(", ")),
        ));
    }
    let others = context.column(
        "SELECT DISTINCT security_group_id FROM security_group_rules
         WHERE remote_group_id = $1 AND security_group_id <> $1 ORDER BY security_group_id",
        &id,
    )?;
    for other in others {
        list_in_group(context, &other, |rules| rules.retain(|rule| rule["remote_group_id"] != *group.id()))?;
    }
    context.tx.execute("DELETE FROM security_group_rules WHERE remote_group_id = $1", &id)?;
    Ok(())
}

/// Changes the rules that a group shows.
pub(super) fn list_in_group(
    context: &mut Context<'_, '_>,
    group_id: &str,
    change: impl FnOnce(&mut Vec<Json>),
) -> Result<(), Failure> {
    let Some(stored) = context.tx.lock(Kind::SecurityGroup, group_id)? else { return Ok(()) };
    let mut group = stored.object.clone();
    let mut rules = group.json("security_group_rules").as_array().cloned().unwrap_or_default();
    change(&mut rules);
    group.set("security_group_rules", Json::Array(rules));
    context.tx.update(group)?;
    Ok(())
}

fn check_name(group: &Object) -> Result<(), Failure> {
    if group.text("name").eq_ignore_ascii_case(default_group::NAME) {
        let message = "The name 'default' is that of the group that every project has already";
        return Err(Failure::fault(Reason::SecurityGroupDefaultAlreadyExists, message));
    }
    Ok(())
}
