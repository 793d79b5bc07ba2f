//! What a URL below `/v2.0/` is about.

use karez_model::{Kind, Resource};
use percent_encoding::percent_decode_str;

/// A thing that a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/v2.0/` itself.
    Root,
    /// A collection.
    Collection(Kind),
    /// One object.
    Item(Kind, String),
    /// Everything that is known about a connection.
    ConnectionStatus(String),
    /// The tags of an object.
    Tags(Kind, String),
    /// One tag of an object.
    Tag(Kind, String, String),
    /// `add_router_interface` and the like.
    RouterAction(String, RouterAction),
    /// The service profiles of a flavor.
    FlavorProfiles(String),
    /// One service profile of a flavor.
    FlavorProfile(String, String),
    /// The providers that serve a flavor.
    NextProviders(String),
    /// The VPN routers of an agent.
    AgentRouters(String),
    /// One VPN router of an agent.
    AgentRouter(String, String),
    /// The VPN agents of a router.
    RouterAgents(String),
    /// The quotas of all projects that have some of their own.
    Quotas,
    /// The quota of a project.
    Quota(String),
    /// The default quota.
    DefaultQuota(String),
    /// A quota with its use.
    QuotaDetails(String),
    /// The caller's own project: `tenant` or `project`.
    OwnProject(&'static str),
    /// The extensions.
    Extensions,
    /// One extension.
    Extension(String),
    /// The service providers.
    Providers,
    /// The availability zones.
    Zones,
    /// A collection that is always empty.
    Nothing(&'static str),
}

/// What can be done to a router beside changing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouterAction {
    AddInterface,
    RemoveInterface,
    AddRoutes,
    RemoveRoutes,
}

/// Collections that clients look at and that this server does not have.
const NOTHING: [(&str, &str); 3] = [
    ("subnetpools", "subnetpools"),
    ("address-scopes", "address_scopes"),
    ("rbac-policies", "rbac_policies"),
];

impl Target {
    /// Reads the path below `/v2.0`. A trailing slash, a `.json` suffix, VPN collections without
    /// their prefix and underscores instead of hyphens are taken as Neutron takes them.
    pub(crate) fn read(path: &str) -> Option<Self> {
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".json").unwrap_or(path);
        let decoded = path.split('/').map(|part| percent_decode_str(part).decode_utf8().map(Into::into));
        let parts: Vec<String> = decoded.collect::<Result<_, _>>().ok()?;
        if parts.iter().any(|part| part.contains('\0')) {
            return None;
        }
        let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if parts[0] == "vpn" {
            parts.remove(0);
            return match resource(parts.first()?) {
                Some(found) if found.path.starts_with("vpn/") => Self::of_resource(found, &parts[1..]),
                Some(_) | None => None,
            };
        }
        match parts.as_slice() {
            [""] => Some(Self::Root),
            ["quotas"] => Some(Self::Quotas),
            ["quotas", "tenant"] => Some(Self::OwnProject("tenant")),
            ["quotas", "project"] => Some(Self::OwnProject("project")),
            ["quotas", project] => Some(Self::Quota((*project).into())),
            ["quotas", project, "default"] => Some(Self::DefaultQuota((*project).into())),
            ["quotas", project, "details"] => Some(Self::QuotaDetails((*project).into())),
            ["extensions"] => Some(Self::Extensions),
            ["extensions", alias] => Some(Self::Extension((*alias).into())),
            ["service-providers"] => Some(Self::Providers),
            ["availability_zones"] => Some(Self::Zones),
            [name, rest @ ..] => match NOTHING.iter().find(|(path, _)| path == name) {
                Some((_, collection)) if rest.is_empty() => Some(Self::Nothing(collection)),
                Some(_) => None,
                None => Self::of_resource(resource(name)?, rest),
            },
            [] => None,
        }
    }

    fn of_resource(resource: &'static Resource, rest: &[&str]) -> Option<Self> {
        let kind = resource.kind;
        Some(match (kind, rest) {
            (_, []) => Self::Collection(kind),
            (_, [id]) => Self::Item(kind, (*id).into()),
            (_, [id, "tags"]) if resource.is_taggable() => Self::Tags(kind, (*id).into()),
            (_, [id, "tags", tag]) if resource.is_taggable() => Self::Tag(kind, (*id).into(), (*tag).into()),
            (Kind::IpsecSiteConnection, [id, "status"]) => Self::ConnectionStatus((*id).into()),
            (Kind::Router, [id, "add_router_interface"]) => {
                Self::RouterAction((*id).into(), RouterAction::AddInterface)
            }
            (Kind::Router, [id, "remove_router_interface"]) => {
                Self::RouterAction((*id).into(), RouterAction::RemoveInterface)
            }
            (Kind::Router, [id, "add_extraroutes"]) => {
                Self::RouterAction((*id).into(), RouterAction::AddRoutes)
            }
            (Kind::Router, [id, "remove_extraroutes"]) => {
                Self::RouterAction((*id).into(), RouterAction::RemoveRoutes)
            }
            (Kind::Router, [id, "vpn-agents"]) => Self::RouterAgents((*id).into()),
            (Kind::Agent, [id, "vpn-routers"]) => Self::AgentRouters((*id).into()),
            (Kind::Agent, [id, "vpn-routers", router]) => Self::AgentRouter((*id).into(), (*router).into()),
            (Kind::Flavor, [id, "service_profiles"]) => Self::FlavorProfiles((*id).into()),
            (Kind::Flavor, [id, "service_profiles", profile]) => {
                Self::FlavorProfile((*id).into(), (*profile).into())
            }
            (Kind::Flavor, [id, "next_providers"]) => Self::NextProviders((*id).into()),
            _ => return None,
        })
    }

    /// The URL with names in place of ids: there are few of them, so metrics can be kept by it.
    pub(crate) fn route(&self) -> String {
        let below = |kind: &Kind, rest: &str| format!("/v2.0/{}{rest}", kind.resource().path);
        match self {
            Self::Root => "/v2.0/".into(),
            Self::Collection(kind) => below(kind, ""),
            Self::Item(kind, _) => below(kind, "/{id}"),
            Self::ConnectionStatus(_) => below(&Kind::IpsecSiteConnection, "/{id}/status"),
            Self::Tags(kind, _) => below(kind, "/{id}/tags"),
            Self::Tag(kind, ..) => below(kind, "/{id}/tags/{tag}"),
            Self::RouterAction(_, action) => format!("/v2.0/routers/{{id}}/{}", action.name()),
            Self::FlavorProfiles(_) => "/v2.0/flavors/{id}/service_profiles".into(),
            Self::FlavorProfile(..) => "/v2.0/flavors/{id}/service_profiles/{profile_id}".into(),
            Self::NextProviders(_) => "/v2.0/flavors/{id}/next_providers".into(),
            Self::AgentRouters(_) => "/v2.0/agents/{id}/vpn-routers".into(),
            Self::AgentRouter(..) => "/v2.0/agents/{id}/vpn-routers/{router_id}".into(),
            Self::RouterAgents(_) => "/v2.0/routers/{id}/vpn-agents".into(),
            Self::Quotas => "/v2.0/quotas".into(),
            Self::Quota(_) => "/v2.0/quotas/{project_id}".into(),
            Self::DefaultQuota(_) => "/v2.0/quotas/{project_id}/default".into(),
            Self::QuotaDetails(_) => "/v2.0/quotas/{project_id}/details".into(),
            Self::OwnProject(name) => format!("/v2.0/quotas/{name}"),
            Self::Extensions => "/v2.0/extensions".into(),
            Self::Extension(_) => "/v2.0/extensions/{alias}".into(),
            Self::Providers => "/v2.0/service-providers".into(),
            Self::Zones => "/v2.0/availability_zones".into(),
            Self::Nothing(name) => format!("/v2.0/{}", name.replace('_', "-")),
        }
    }
}

impl RouterAction {
    fn name(self) -> &'static str {
        match self {
            Self::AddInterface => "add_router_interface",
            Self::RemoveInterface => "remove_router_interface",
            Self::AddRoutes => "add_extraroutes",
            Self::RemoveRoutes => "remove_extraroutes",
        }
    }
}

/// The resource of a collection's name in a URL, with hyphens or underscores.
fn resource(name: &str) -> Option<&'static Resource> {
    let name = name.replace('-', "_");
    Resource::by_collection(&name)
}

#[cfg(test)]
mod tests;
