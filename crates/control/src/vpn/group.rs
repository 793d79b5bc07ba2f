//! Endpoint groups.

use super::selectors;
use crate::Failure;
use crate::context::Context;
use karez_model::address;
use karez_model::parse::clip;
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::Value as Json;

pub(crate) fn before_create(context: &mut Context<'_, '_>, group: &mut Object) -> Result<(), Failure> {
    let given = group.json("endpoints").as_array().cloned().unwrap_or_default();
    if given.is_empty() {
        return Err(Failure::fault(
            Reason::MissingEndpointForEndpointGroup,
            format!("endpoints is empty; a group of the type {} needs at least one", group.text("type")),
        ));
    }
    let mut endpoints: Vec<Json> = Vec::with_capacity(given.len());
    for endpoint in &given {
        let endpoint = match group.text("type") {
            "cidr" => cidr(context, endpoint)?,
            "subnet" => subnet(context, endpoint)?,
            _ => text(endpoint)?,
        };
        if endpoints.contains(&endpoint) {
            return Err(invalid(&endpoint, "is given twice; endpoints have to be unique"));
        }
        endpoints.push(endpoint);
    }
    group.set("endpoints", Json::Array(endpoints));
    Ok(())
}

/// Subnets of a group are also kept as rows, so that they cannot be deleted under it.
pub(crate) fn after_create(context: &mut Context<'_, '_>, group: Object) -> Result<Object, Failure> {
    if group.text("type") == "subnet" {
        let sql = "INSERT INTO endpoint_group_subnets (endpoint_group_id, subnet_id) VALUES ($1, $2)";
        for subnet in group.texts("endpoints") {
            context.tx.execute(sql, &[Datum::from(group.id()), Datum::from(subnet)])?;
        }
    }
    Ok(group)
}

pub(crate) fn before_delete(context: &mut Context<'_, '_>, group: &Object) -> Result<(), Failure> {
    let sql = "SELECT id FROM ipsec_site_connections
        WHERE local_ep_group_id = $1 OR peer_ep_group_id = $1 ORDER BY id LIMIT 5";
    context.refuse_if_found(sql, &[Datum::from(group.id())], Reason::EndpointGroupInUse, |users| {
        format!(
            "The endpoint group {} is used by the connection(s) {users}; give them another group or delete them first",
            group.id()
        )
    })
}

fn cidr(context: &Context<'_, '_>, endpoint: &Json) -> Result<Json, Failure> {
    let Some(text) = endpoint.as_str().filter(|text| address::cidr(text).is_ok()) else {
        return Err(invalid(endpoint, "Invalid CIDR: write an address and its prefix length"));
    };
    match selectors::protected(context, text) {
        None => Ok(Json::from(text)),
        Some(why) => Err(invalid(endpoint, &why)),
    }
}

fn subnet(context: &mut Context<'_, '_>, endpoint: &Json) -> Result<Json, Failure> {
    let id = endpoint.as_str().and_then(|text| address::uuid(text).ok());
    let id = id.ok_or_else(|| invalid(endpoint, "Invalid UUID: name subnets by their ids"))?;
    match context.visible(Kind::Subnet, &id) {
        Ok(_) => Ok(Json::from(id)),
        Err(Failure::Fault(_)) => Err(Failure::fault(
            Reason::NonExistingSubnetInEndpointGroup,
            format!("There is no subnet {id} that this project can use"),
        )),
        Err(failure @ Failure::Store(_)) => Err(failure),
    }
}

/// Endpoints of the other types are kept as they come: nothing uses them yet.
fn text(endpoint: &Json) -> Result<Json, Failure> {
    match endpoint {
        Json::String(text) if text.chars().count() <= 255 => Ok(endpoint.clone()),
        Json::Number(number) => Ok(Json::from(number.to_string())),
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Err(invalid(endpoint, "must be a text of at most 255 characters"))
        }
    }
}

fn invalid(endpoint: &Json, why: &str) -> Failure {
    let endpoint = clip(&endpoint.to_string());
    Failure::fault(Reason::InvalidEndpointInEndpointGroup, format!("The endpoint {endpoint}: {why}"))
}
