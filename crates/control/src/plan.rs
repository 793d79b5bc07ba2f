//! The plan of a router: everything that its node must run, read from the resources.
//!
//! All VPN services of the router are in it. The reference agent keeps one service a router, and the
//! later overwrites the earlier.

mod gateway;
mod parts;
mod tunnel;

pub(crate) use tunnel::obstacle;

use crate::Failure;
use karez_engine::{RouterId, RouterPlan, ServicePlan};
use karez_model::Object;
use karez_store::{Error, Tx};
use parts::Parts;

/// The plan of a router that is placed; none when the router is gone.
pub(crate) fn of_router(
    tx: &mut Tx<'_>,
    id: RouterId,
    generation: i64,
    revision: i64,
) -> Result<Option<RouterPlan>, Failure> {
    let Some(parts) = Parts::of_router(tx, &id.to_string())? else { return Ok(None) };
    let gateway = gateway::of_router(&parts)?;
    let mut services = Vec::with_capacity(parts.services.len());
    for service in parts.services.values() {
        services.push(ServicePlan { id: parsed(service, "id")?, is_up: service.flag("admin_state_up") });
    }
    let mut tunnels = Vec::with_capacity(parts.connections.len());
    for connection in &parts.connections {
        tunnels.extend(tunnel::of_connection(&parts, connection)?);
    }
    // The order of creation may differ between two reads of objects that were created at once.
    tunnels.sort_by_key(|tunnel| tunnel.id);
    Ok(Some(RouterPlan { id, generation, revision, gateway, services, tunnels }))
}

/// An attribute that was checked when it came in. That it cannot be read is a bug.
fn parsed<T: std::str::FromStr>(object: &Object, name: &str) -> Result<T, Failure> {
    let text = object.text(name);
    text.parse().map_err(|_| bug(object, name))
}

fn bug(object: &Object, name: &str) -> Failure {
    Error::Bug(format!("{} of the {} {} cannot be read", name, object.resource().member, object.id())).into()
}
