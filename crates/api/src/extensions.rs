//! The extensions: what a client asks before it uses something. Only what is done is listed.

use crate::answer::Answer;
use crate::dispatch::Session;
use crate::error::{Result, no_such_url};
use crate::request::Request;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

/// Alias, name, description, time of the last change of its definition.
const EXTENSIONS: &[(&str, &str, &str, &str)] = &[
    ("vpnaas", "VPN service", "Extension for VPN service", "2013-05-29T10:00:00-00:00"),
    (
        "vpn-endpoint-groups",
        "VPN Endpoint Groups",
        "VPN endpoint groups support",
        "2015-08-04T10:00:00-00:00",
    ),
    (
        "vpn-flavors",
        "VPN Service Flavor Extension",
        "Flavor support for vpnservices",
        "2017-04-19T00:00:00-00:00",
    ),
    (
        "vpn-aes-ctr",
        "VPN support for AES CTR mode",
        "AES-CTR for IKE and IPsec policies",
        "2024-01-09T09:00:00-00:00",
    ),
    (
        "vpn-aes-ccm-gcm",
        "VPN support for AES CCM, GCM modes",
        "AES-CCM and AES-GCM for IKE and IPsec policies",
        "2023-10-24T11:00:00-00:00",
    ),
    (
        "vpn-agent-scheduler",
        "VPN Agent Scheduler",
        "Which agent runs a router's VPN",
        "2016-08-15T10:00:00-00:00",
    ),
    (
        "vpn-connection-status",
        "VPN Connection Status",
        "Why a connection is in its status, and everything that is known about its tunnel",
        "2026-01-01T00:00:00-00:00",
    ),
    (
        "service-type",
        "Neutron Service Type Management",
        "Lists service providers",
        "2013-01-20T00:00:00-00:00",
    ),
    ("flavors", "Neutron Service Flavors", "Flavors of services", "2015-09-17T10:00:00-00:00"),
    (
        "router",
        "Neutron L3 Router",
        "Routers, their interfaces and gateways, floating IPs",
        "2012-07-20T10:00:00-00:00",
    ),
    ("external-net", "Neutron external network", "External networks", "2013-01-14T10:00:00-00:00"),
    (
        "ext-gw-mode",
        "Neutron L3 Configurable external gateway mode",
        "SNAT of a gateway can be chosen",
        "2013-03-28T10:00:00-00:00",
    ),
    ("extraroute", "Neutron Extra Route", "Extra routes of routers", "2013-02-01T10:00:00-00:00"),
    (
        "extraroute-atomic",
        "Atomically add/remove extra routes",
        "Adds and removes extra routes",
        "2019-07-10T00:00:00+00:00",
    ),
    ("project-id", "project_id field enabled", "project_id beside tenant_id", "2016-09-09T09:09:09-09:09"),
    ("pagination", "Pagination support", "Lists in pages", "2016-06-12T00:00:00-00:00"),
    ("sorting", "Sorting support", "Sorted lists", "2016-06-12T00:00:00-00:00"),
    ("quotas", "Quota management support", "Quotas of projects", "2012-07-29T10:00:00-00:00"),
    (
        "quota_details",
        "Quota details management support",
        "Quotas with their use",
        "2017-02-10T10:00:00-00:00",
    ),
    ("agent", "agent", "Agents", "2013-02-03T10:00:00-00:00"),
    ("availability_zone", "Availability Zone", "Availability zones", "2015-01-01T10:00:00-00:00"),
    ("router_availability_zone", "Router Availability Zone", "Zones of routers", "2015-01-01T10:00:00-00:00"),
    (
        "network_availability_zone",
        "Network Availability Zone",
        "Zones of networks",
        "2015-01-01T10:00:00-00:00",
    ),
    ("security-group", "security-group", "Security groups", "2012-10-05T10:00:00-00:00"),
    ("port-security", "Port Security", "Ports without security groups", "2012-07-23T10:00:00-00:00"),
    ("net-mtu", "Network MTU", "MTU of networks", "2015-03-25T10:00:00-00:00"),
    ("provider", "Provider Network", "How networks are made", "2012-09-07T10:00:00-00:00"),
    ("binding", "Port Binding", "Where ports are", "2014-02-03T10:00:00-00:00"),
    (
        "allowed-address-pairs",
        "Allowed Address Pairs",
        "Other addresses of ports",
        "2013-07-23T10:00:00-00:00",
    ),
    (
        "subnet_allocation",
        "Subnet Allocation",
        "Subnets with addresses of choice",
        "2015-03-30T10:00:00-00:00",
    ),
    ("subnet-service-types", "Subnet service types", "Device owners of subnets", "2016-03-15T18:00:00-00:00"),
    ("standard-attr-description", "standard-attr-description", "Descriptions", "2016-02-10T10:00:00-00:00"),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "Times of creation and change",
        "2016-09-12T10:00:00-00:00",
    ),
    ("standard-attr-revisions", "Resource revision numbers", "Revision numbers", "2016-04-11T10:00:00-00:00"),
    (
        "standard-attr-tag",
        "Tag support for resources with standard attribute",
        "Tags",
        "2017-01-01T00:00:00-00:00",
    ),
    (
        "stateful-security-group",
        "Stateful security group",
        "Security groups without state",
        "2019-11-26T09:00:00-00:00",
    ),
    (
        "empty-string-filtering",
        "Empty String Filtering Extension",
        "Filters on empty values",
        "2018-05-01T10:00:00-00:00",
    ),
];

pub(crate) fn all(session: &Session<'_>, request: &Request) -> Result<Answer> {
    check(session, request)?;
    let list: Vec<Json> = EXTENSIONS.iter().map(shown).collect();
    Ok(Answer::ok(&json!({"extensions": list})))
}

/// An alias that is not known is answered in a shape of its own, as the reference does.
pub(crate) fn one(session: &Session<'_>, request: &Request, alias: &str) -> Result<Answer> {
    check(session, request)?;
    match EXTENSIONS.iter().find(|(known, ..)| *known == alias) {
        Some(extension) => Ok(Answer::ok(&json!({"extension": shown(extension)}))),
        None => {
            let alias = karez_model::parse::clip(alias);
            let message = format!("Extension with alias {alias} does not exist");
            let body = json!({"message": message, "code": "404 Not Found", "title": "Not Found"});
            Ok(Answer::json(StatusCode::NOT_FOUND, &body))
        }
    }
}

fn check(session: &Session<'_>, request: &Request) -> Result<()> {
    if request.method != Method::GET {
        return Err(no_such_url());
    }
    session.control.check(&session.caller, "get_extension")
}

fn shown((alias, name, description, updated): &(&str, &str, &str, &str)) -> Json {
    json!({"alias": alias, "name": name, "description": description, "updated": updated, "links": []})
}
