//! Which security groups a port has.

use crate::Failure;
use crate::context::Context;
use crate::core::{default_group, device};
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::json;

/// Settles the groups of a new port: those given, or the default one of its project.
pub(super) fn settle_new(
    context: &mut Context<'_, '_>,
    is_given: bool,
    port: &mut Object,
) -> Result<(), Failure> {
    if is_given {
        settle_given(context, port)?;
    } else {
        let is_apart = !port.flag("port_security_enabled") || device::is_reserved(port.text("device_owner"));
        let groups = if is_apart {
            json!([])
        } else {
            json!([default_group::of_project(context, port.project_id())?])
        };
        port.set("security_groups", groups);
    }
    check(port)
}

/// Checks the groups of a changed port.
pub(super) fn check_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
) -> Result<(), Failure> {
    if old.get("security_groups") != new.get("security_groups") {
        settle_given(context, new)?;
    }
    check(new)
}

/// Null is an empty list.
fn settle_given(context: &mut Context<'_, '_>, port: &mut Object) -> Result<(), Failure> {
    let groups: Vec<String> = port.texts("security_groups").map(str::to_owned).collect();
    for group in &groups {
        context.visible(Kind::SecurityGroup, group)?;
    }
    port.set("security_groups", json!(groups));
    Ok(())
}

fn check(port: &Object) -> Result<(), Failure> {
    if port.flag("port_security_enabled") {
        return Ok(());
    }
    let is_empty = |name: &str| port.json(name).as_array().is_none_or(Vec::is_empty);
    if !is_empty("security_groups") {
        let message = "security_groups need port_security_enabled; give an empty list without it";
        return Err(Failure::fault(Reason::BadRequest, message));
    }
    if !is_empty("allowed_address_pairs") {
        let message = "allowed_address_pairs need port_security_enabled: without it every address is allowed";
        return Err(Failure::fault(Reason::Conflict, message));
    }
    Ok(())
}

/// Enters the groups of a port that has none yet, so that they cannot be deleted under it.
pub(super) fn record(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    let sql = "INSERT INTO port_security_groups (port_id, security_group_id) VALUES ($1, $2)";
    for group in port.texts("security_groups") {
        context.tx.execute(sql, &[Datum::from(port.id()), Datum::from(group)])?;
    }
    Ok(())
}

/// Enters the groups of a port in place of those it had.
pub(super) fn replace(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    context.tx.execute("DELETE FROM port_security_groups WHERE port_id = $1", &[Datum::from(port.id())])?;
    record(context, port)
}
