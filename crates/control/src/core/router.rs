//! Routers, their gateways and extra routes.

use super::{device, gateway, route, service_port, zone};
use crate::context::{Context, not_authorized};
use crate::vpn::{guard, service};
use crate::{Control, Failure};
use karez_model::object::Changes;
use karez_model::parse;
use karez_model::resource::Route;
use karez_model::{Caller, Kind, Object, Reason, Value};
use karez_store::Datum;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

pub(crate) fn before_create(context: &mut Context<'_, '_>, router: &mut Object) -> Result<(), Failure> {
    check_single(router)?;
    check_flavor(context, router)?;
    zone::settle(context, router)?;
    gateway::open(context, "create", router)?;
    check_routes(context, router)?;
    router.set("status", "ACTIVE");
    router.set("tags", json!([]));
    Ok(())
}

pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    changes: &Changes,
) -> Result<(), Failure> {
    if ["distributed", "ha"].iter().any(|name| old.get(name) != new.get(name)) {
        guard::gateway(context, old)?;
    }
    check_single(new)?;
    if changes.get(old.resource(), "external_gateway_info").is_some() {
        gateway::change(context, old, new)?;
    }
    if old.json("routes") != new.json("routes") {
        check_routes(context, new)?;
    }
    Ok(())
}

pub(crate) fn after_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: Object,
) -> Result<Object, Failure> {
    let is_other = |name: &str| old.get(name) != new.get(name);
    if is_other("external_gateway_info") {
        service::gateway_changed(context, &new)?;
    } else if is_other("routes") || is_other("admin_state_up") {
        context.tx.bump_router(new.id())?;
    }
    Ok(new)
}

pub(crate) fn before_delete(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    guard::gateway(context, router)?;
    let sql = "SELECT id FROM ports WHERE device_id = $1 AND device_owner = $2 ORDER BY id LIMIT 5";
    let interfaces =
        context.column(sql, &[Datum::from(router.id()), Datum::from(device::ROUTER_INTERFACE)])?;
    if !interfaces.is_empty() {
        return Err(Failure::fault(
            Reason::RouterInUse,
            format!(
                "The router {} still has the interface(s) {}; remove them first",
                router.id(),
                interfaces.join(", ")
            ),
        ));
    }
    service_port::remove(context, device::ROUTER_GATEWAY, router.id())?;
    context.tx.bump_router(router.id())?;
    Ok(())
}

impl Control {
    /// Adds routes to those of a router, all or none. A route that it has is not added again.
    ///
    /// # Errors
    /// [`Reason::RouterNotFound`], policy, [`Reason::HTTPBadRequest`] for what is no list of
    /// routes, [`Reason::InvalidRoutes`] for a next hop that cannot be reached.
    pub async fn add_extra_routes(
        &self,
        caller: &Arc<Caller>,
        router_id: &str,
        routes: Json,
    ) -> Result<Object, Failure> {
        let added = read_routes(routes)?;
        let id = router_id.to_owned();
        self.writing(caller, move |context| {
            let old = changeable(context, &id)?;
            let mut routes = old.json("routes").as_array().cloned().unwrap_or_default();
            routes.extend(added.iter().filter(|route| !routes.contains(route)).cloned().collect::<Vec<_>>());
            if routes.len() > parse::MAX_LIST {
                let message =
                    format!("A router can have {} routes, and would get {}", parse::MAX_LIST, routes.len());
                return Err(Failure::fault(Reason::BadRequest, message));
            }
            let connected = route::connected(context, &id)?;
            route::check(&connected, &Route::from_stored(&Json::Array(added.clone())))?;
            set_routes(context, &old, routes)
        })
        .await
    }

    /// Removes routes from those of a router. Routes that it does not have are passed over.
    ///
    /// # Errors
    /// [`Reason::RouterNotFound`], policy, [`Reason::HTTPBadRequest`] for what is no list of
    /// routes.
    pub async fn remove_extra_routes(
        &self,
        caller: &Arc<Caller>,
        router_id: &str,
        routes: Json,
    ) -> Result<Object, Failure> {
        let removed = read_routes(routes)?;
        let id = router_id.to_owned();
        self.writing(caller, move |context| {
            let old = changeable(context, &id)?;
            let mut routes = old.json("routes").as_array().cloned().unwrap_or_default();
            routes.retain(|route| !removed.contains(route));
            set_routes(context, &old, routes)
        })
        .await
    }
}

/// A router that the caller may change, held until the transaction ends.
pub(super) fn changeable(context: &mut Context<'_, '_>, id: &str) -> Result<Object, Failure> {
    let router = context.visible_locked(Kind::Router, id)?;
    if context.allows("update_router", &router)? {
        return Ok(router.object.clone());
    }
    Err(not_authorized("update_router"))
}

fn read_routes(routes: Json) -> Result<Vec<Json>, Failure> {
    let updated = parse::update(Kind::Router, &Map::from_iter([("routes".to_owned(), routes)]))?;
    match updated.changes.get(Kind::Router.resource(), "routes") {
        Some(Value::Json(Json::Array(routes))) => Ok(routes.clone()),
        Some(_) | None => Ok(Vec::new()),
    }
}

fn set_routes(context: &mut Context<'_, '_>, old: &Object, routes: Vec<Json>) -> Result<Object, Failure> {
    let mut new = old.clone();
    new.set("routes", Json::Array(routes));
    if new == *old {
        return Ok(new);
    }
    let new = context.tx.update(new)?;
    after_update(context, old, new)
}

fn check_routes(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let routes = Route::from_stored(router.json("routes"));
    if routes.is_empty() {
        return Ok(());
    }
    route::check(&route::connected(context, router.id())?, &routes)
}

fn check_single(router: &Object) -> Result<(), Failure> {
    let Some(name) = ["distributed", "ha"].into_iter().find(|name| router.flag(name)) else { return Ok(()) };
    let message = format!("{name} is true; routers here run on one node at a time, so it must be false");
    Err(Failure::fault(Reason::BadRequest, message))
}

/// There are flavors of VPN services only.
fn check_flavor(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let Some(id) = router.opt_text("flavor_id") else { return Ok(()) };
    let flavor = context.visible(Kind::Flavor, id)?;
    let message = format!("The flavor {id} is for {}, not for routers", flavor.text("service_type"));
    Err(Failure::fault(Reason::InvalidServiceType, message))
}
