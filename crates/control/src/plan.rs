//! The plan of a router: everything that its node must run, read from the resources.
//!
//! All VPN services of the router are in it. The reference agent keeps one service a router, and the
//! later overwrites the earlier.

mod gateway;
mod tunnel;

pub(crate) use tunnel::obstacle;

use crate::Failure;
use karez_engine::{RouterId, RouterPlan, ServicePlan};
use karez_model::{Kind, Object};
use karez_store::{Error, Query, Stored, Tx};
use std::sync::Arc;

/// The plan of a router that is placed; none when the router is gone.
pub(crate) fn of_router(
    tx: &mut Tx<'_>,
    id: RouterId,
    generation: i64,
    revision: i64,
) -> Result<Option<RouterPlan>, Failure> {
    let Some(router) = tx.get(Kind::Router, &id.to_string())? else { return Ok(None) };
    let gateway = gateway::of_router(tx, &router)?;
    let services = tx.list(&Query::all(Kind::VpnService).with("router_id", router.id()))?;
    let mut plans = Vec::with_capacity(services.len());
    let mut tunnels = Vec::new();
    for service in &services {
        plans.push(ServicePlan { id: parsed(service, "id")?, is_up: service.flag("admin_state_up") });
        let connections = Query::all(Kind::IpsecSiteConnection).with("vpnservice_id", service.id());
        for connection in tx.list(&connections)? {
            tunnels.extend(tunnel::of_connection(tx, &router, service, &connection)?);
        }
    }
    // The order of creation may differ between two reads of objects that were created at once.
    plans.sort_by_key(|service| service.id);
    tunnels.sort_by_key(|tunnel| tunnel.id);
    Ok(Some(RouterPlan { id, generation, revision, gateway, services: plans, tunnels }))
}

/// An attribute that was checked when it came in. That it cannot be read is a bug.
fn parsed<T: std::str::FromStr>(object: &Object, name: &str) -> Result<T, Failure> {
    let text = object.text(name);
    text.parse().map_err(|_| bug(object, name))
}

fn bug(object: &Object, name: &str) -> Failure {
    Error::Bug(format!("{} of the {} {} cannot be read", name, object.resource().member, object.id())).into()
}

/// An object that a foreign key vouches for; none when it was deleted since the referring row was
/// read, which is as if the row had been read later.
fn referred(tx: &mut Tx<'_>, kind: Kind, id: &str) -> Result<Option<Arc<Stored>>, Failure> {
    Ok(tx.get(kind, id)?)
}
