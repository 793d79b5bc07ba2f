//! What is not create, read, update or delete: router interfaces and routes, service profiles of
//! flavors, routers of agents, and small lists that are the same for all.

use crate::answer::Answer;
use crate::dispatch::Session;
use crate::error::{Result, wrong_verb};
use crate::request::Request;
use crate::resources::stored_list;
use crate::target::RouterAction;
use http::{Method, StatusCode};
use karez_control::{Failure, Interface, InterfaceOf, PROVIDER};
use karez_model::resource::Family;
use karez_model::{Fault, Kind, Reason, address};
use serde_json::{Map, Value as Json, json};

/// The one zone there is unless agents name others.
const ZONE: &str = "nova";

pub(crate) async fn router_action(
    session: &Session<'_>,
    request: &Request,
    id: &str,
    action: RouterAction,
) -> Result<Answer> {
    if request.method != Method::PUT {
        return Err(wrong_verb(&request.method));
    }
    let (control, caller) = (session.control, &session.caller);
    match action {
        RouterAction::AddInterface => {
            let of = interface_of(&request.object(Family::Extension)?)?;
            Ok(Answer::ok(&interface(&control.add_router_interface(caller, id, of).await?)))
        }
        RouterAction::RemoveInterface => {
            let of = interface_of(&request.object(Family::Extension)?)?;
            Ok(Answer::ok(&interface(&control.remove_router_interface(caller, id, of).await?)))
        }
        RouterAction::AddRoutes | RouterAction::RemoveRoutes => {
            let body = request.updated(Kind::Router.resource())?;
            let routes = body.get("routes").cloned().unwrap_or_default();
            let router = match action {
                RouterAction::AddRoutes => control.add_extra_routes(caller, id, routes).await?,
                _ => control.remove_extra_routes(caller, id, routes).await?,
            };
            let shown = session.view(&[]).written(&router, &Vec::new());
            Ok(Answer::ok(&json!({"router": shown})))
        }
    }
}

fn interface_of(body: &Map<String, Json>) -> Result<InterfaceOf> {
    if let Some(key) = body.keys().find(|key| !matches!(key.as_str(), "subnet_id" | "port_id")) {
        let key = karez_model::parse::clip(key);
        return Err(Fault::bad_request(format!("'{key}' is not known; give subnet_id or port_id")).into());
    }
    let id = |name: &str| match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => match address::uuid(text) {
            Ok(id) => Ok(Some(id)),
            Err(why) => Err(Failure::from(Fault::bad_request(format!("{name}: {why}")))),
        },
        Some(_) => Err(Failure::from(Fault::bad_request(format!("{name} must be a UUID")))),
    };
    match (id("subnet_id")?, id("port_id")?) {
        (Some(subnet), None) => Ok(InterfaceOf::Subnet(subnet)),
        (None, Some(port)) => Ok(InterfaceOf::Port(port)),
        (Some(subnet), Some(port)) => Ok(InterfaceOf::Both { subnet, port }),
        (None, None) => Err(Failure::fault(Reason::BadRequest, "Either subnet_id or port_id is required")),
    }
}

fn interface(interface: &Interface) -> Json {
    json!({
        "id": interface.router_id,
        "tenant_id": interface.project_id,
        "project_id": interface.project_id,
        "port_id": interface.port_id,
        "network_id": interface.network_id,
        "subnet_id": interface.subnet_id,
        "subnet_ids": interface.subnet_ids,
        "tags": [],
    })
}

pub(crate) async fn flavor_profiles(
    session: &Session<'_>,
    request: &Request,
    flavor: &str,
) -> Result<Answer> {
    if request.method != Method::POST {
        return Err(wrong_verb(&request.method));
    }
    let body = request.updated(Kind::ServiceProfile.resource())?;
    let Some(profile) = body.get("id").and_then(Json::as_str) else {
        return Err(Fault::bad_request("service_profile.id is required and must be a UUID").into());
    };
    session.control.bind_profile(&session.caller, flavor, profile).await?;
    Ok(Answer::json(StatusCode::CREATED, &json!({"service_profile": {"id": profile}})))
}

pub(crate) async fn flavor_profile(
    session: &Session<'_>,
    request: &Request,
    flavor: &str,
    profile: &str,
) -> Result<Answer> {
    if request.method != Method::DELETE {
        return Err(wrong_verb(&request.method));
    }
    request.no_body()?;
    session.control.unbind_profile(&session.caller, flavor, profile).await?;
    Ok(Answer::empty())
}

pub(crate) async fn next_providers(session: &Session<'_>, request: &Request, flavor: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    session.control.show(&session.caller, Kind::Flavor, flavor).await?;
    let (provider, driver) = session.control.next_providers(&session.caller, flavor).await?;
    Ok(Answer::ok(&json!({"next_providers": [{"provider": provider, "driver": driver}]})))
}

pub(crate) async fn agent_routers(session: &Session<'_>, request: &Request, agent: &str) -> Result<Answer> {
    match request.method {
        Method::GET => {
            let routers = session.control.agent_routers(&session.caller, agent).await?;
            Ok(stored_list(session, request, "routers", &routers))
        }
        Method::POST => {
            let body = request.object(Family::Extension)?;
            let Some(router) = body.get("router_id").and_then(Json::as_str) else {
                return Err(Fault::bad_request("router_id is required and must be a UUID").into());
            };
            session.control.place_router(&session.caller, agent, router).await?;
            Ok(Answer::json(StatusCode::CREATED, &Json::Null))
        }
        _ => Err(wrong_verb(&request.method)),
    }
}

pub(crate) async fn agent_router(
    session: &Session<'_>,
    request: &Request,
    agent: &str,
    router: &str,
) -> Result<Answer> {
    if request.method != Method::DELETE {
        return Err(wrong_verb(&request.method));
    }
    request.no_body()?;
    session.control.displace_router(&session.caller, agent, router).await?;
    Ok(Answer::empty())
}

pub(crate) async fn router_agents(session: &Session<'_>, request: &Request, router: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    let agents = session.control.router_agents(&session.caller, router).await?;
    Ok(stored_list(session, request, "agents", &agents))
}

pub(crate) fn providers(session: &Session<'_>, request: &Request) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    session.control.check(&session.caller, "get_service_provider")?;
    Ok(Answer::ok(
        &json!({"service_providers": [{"service_type": "VPN", "name": PROVIDER, "default": true}]}),
    ))
}

pub(crate) async fn zones(session: &Session<'_>, request: &Request) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    let mut names = session.control.agent_zones().await?;
    if !names.iter().any(|name| name == ZONE) {
        names.insert(0, ZONE.to_owned());
    }
    let zone =
        |name: &String, resource: &str| json!({"name": name, "resource": resource, "state": "available"});
    let zones: Vec<Json> =
        names.iter().flat_map(|name| [zone(name, "network"), zone(name, "router")]).collect();
    let is_wanted = |zone: &Json| {
        ["name", "resource", "state"].iter().all(|key| {
            let mut values = request.values(key).peekable();
            values.peek().is_none() || values.any(|value| zone[*key] == value)
        })
    };
    let zones: Vec<Json> = zones.into_iter().filter(is_wanted).collect();
    Ok(Answer::ok(&json!({"availability_zones": zones})))
}
