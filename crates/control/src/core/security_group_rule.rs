//! Rules of security groups.

mod protocol;

use super::allocation::parsed;
use super::security_group::list_in_group;
use crate::context::Context;
use crate::{Failure, quota};
use ipnet::IpNet;
use karez_model::{Kind, Object, Reason, Value};
use protocol::Protocol;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

pub(crate) fn before_create(context: &mut Context<'_, '_>, rule: &mut Object) -> Result<(), Failure> {
    let group_id = rule.text("security_group_id");
    if rule.opt_text("remote_group_id").is_some() {
        // Two groups will be held, and so does the removal of a group that others name.
        let group = context.visible(Kind::SecurityGroup, group_id)?;
        quota::hold(context.tx, group.project_id())?;
    }
    let group = context.visible_locked(Kind::SecurityGroup, group_id)?;
    if rule.project_id() != group.project_id() {
        // An administrator's rule in a group of another project is the project's own.
        quota::check_one(context, Kind::SecurityGroupRule, group.project_id(), 1)?;
        rule.set("project_id", group.project_id());
    }
    let protocol = Protocol::of(rule)?;
    if protocol == Protocol::Any {
        rule.set("protocol", Value::Null);
    }
    protocol.check(rule)?;
    check_remote(context, rule)?;
    let twin = group
        .json("security_group_rules")
        .as_array()
        .into_iter()
        .flatten()
        .find(|other| is_same(rule, other));
    match twin {
        None => Ok(()),
        Some(twin) => Err(Failure::fault(
            Reason::SecurityGroupRuleExists,
            format!("The group has the same rule already: {}", twin["id"].as_str().unwrap_or_default()),
        )),
    }
}

pub(crate) fn after_create(context: &mut Context<'_, '_>, rule: Object) -> Result<Object, Failure> {
    list_in_group(context, rule.text("security_group_id"), |rules| rules.push(shown(&rule)))?;
    Ok(rule)
}

pub(crate) fn after_delete(context: &mut Context<'_, '_>, rule: &Object) -> Result<(), Failure> {
    list_in_group(context, rule.text("security_group_id"), |rules| {
        rules.retain(|other| other["id"] != *rule.id())
    })
}

/// Rules that let everything out, one for each IP version.
pub(super) fn all_egress(group: &Object) -> Vec<Object> {
    vec![plain(group, "egress", "IPv4"), plain(group, "egress", "IPv6")]
}

/// Rules that let members of a group in, one for each IP version.
pub(super) fn ingress_from(group: &Object, remote_group: &str) -> Vec<Object> {
    let mut rules = vec![plain(group, "ingress", "IPv4"), plain(group, "ingress", "IPv6")];
    for rule in &mut rules {
        rule.set("remote_group_id", remote_group);
    }
    rules
}

/// A rule as its group shows it.
pub(super) fn shown(rule: &Object) -> Json {
    let mut shown = Map::new();
    for (attribute, value) in rule.iter() {
        shown.insert(attribute.name.to_owned(), value.to_json());
        if let Some(alias) = attribute.alias {
            shown.insert(alias.to_owned(), value.to_json());
        }
    }
    Json::Object(shown)
}

fn plain(group: &Object, direction: &str, ethertype: &str) -> Object {
    let mut rule = Object::empty(Kind::SecurityGroupRule);
    rule.set("id", Uuid::new_v4().to_string());
    rule.set("project_id", group.project_id());
    rule.set("security_group_id", group.id());
    rule.set("direction", direction);
    rule.set("ethertype", ethertype);
    rule.set("description", "");
    rule
}

/// The other side is a range of the rule's IP version, or a group, or anyone.
fn check_remote(context: &mut Context<'_, '_>, rule: &Object) -> Result<(), Failure> {
    let group = rule.opt_text("remote_group_id");
    let prefix = rule.opt_text("remote_ip_prefix");
    if group.is_some() && prefix.is_some() {
        let message = "remote_group_id and remote_ip_prefix are both given; the other side is one of them";
        return Err(Failure::fault(Reason::SecurityGroupRemoteGroupAndRemoteIpPrefix, message));
    }
    if let Some(group) = group {
        context.visible_locked(Kind::SecurityGroup, group)?;
    }
    let Some(prefix) = prefix else { return Ok(()) };
    let net: IpNet = parsed(prefix)?;
    if net.addr().is_ipv6() == is_v6(rule) {
        return Ok(());
    }
    let message = format!("remote_ip_prefix is {prefix} and ethertype is {}", rule.text("ethertype"));
    Err(Failure::fault(Reason::SecurityGroupRuleParameterConflict, message))
}

fn is_v6(rule: &Object) -> bool {
    rule.text("ethertype") == "IPv6"
}

/// Whether another rule of the group says the same in other words, perhaps.
fn is_same(rule: &Object, other: &Json) -> bool {
    let plain = ["direction", "ethertype", "port_range_min", "port_range_max", "remote_group_id"];
    plain.iter().all(|name| rule.get(name).to_json() == other[*name])
        && protocol::number(rule.json("protocol").as_str()) == protocol::number(other["protocol"].as_str())
        && narrowing(rule.opt_text("remote_ip_prefix")) == narrowing(other["remote_ip_prefix"].as_str())
}

/// The range of all addresses is no restriction.
fn narrowing(prefix: Option<&str>) -> Option<&str> {
    prefix.filter(|prefix| !prefix.ends_with("/0"))
}
