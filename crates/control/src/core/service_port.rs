//! Ports that the server makes for routers and floating IPs.

use super::allocation::{self, Range, Seeker};
use super::fixed_ip::{FixedIp, Wish};
use super::port;
use crate::Failure;
use crate::context::Context;
use karez_model::{Kind, Object, Value};
use serde_json::json;
use uuid::Uuid;

/// What such a port is for.
pub(crate) struct Service<'a> {
    /// One of [`super::device`].
    pub owner: &'a str,
    /// The router or floating IP.
    pub device_id: &'a str,
    /// Whose port it is; nobody's when empty, so that projects do not see it.
    pub project_id: &'a str,
    pub status: &'a str,
}

/// Makes a port with the addresses that are wished for, or with one of each IP version. The
/// network is held.
pub(crate) fn add(
    context: &mut Context<'_, '_>,
    network_id: &str,
    ranges: &[Range],
    service: &Service<'_>,
    wishes: Option<&[Wish]>,
) -> Result<Object, Failure> {
    let mac_address = port::free_mac(context, network_id)?;
    let seeker = Seeker { network_id, device_owner: service.owner, mac_address: &mac_address, held: &[] };
    let fixed_ips = match wishes {
        Some(wishes) => allocation::as_wished(context, ranges, &seeker, wishes)?,
        None => allocation::one_per_version(context, ranges, &seeker)?,
    };
    let mut object = Object::empty(Kind::Port);
    let attributes: [(&str, Value); 17] = [
        ("id", Uuid::new_v4().to_string().into()),
        ("name", "".into()),
        ("project_id", service.project_id.into()),
        ("network_id", network_id.into()),
        ("mac_address", mac_address.into()),
        ("admin_state_up", true.into()),
        ("status", service.status.into()),
        ("device_id", service.device_id.into()),
        ("device_owner", service.owner.into()),
        ("fixed_ips", FixedIp::to_stored(&fixed_ips).into()),
        ("security_groups", json!([]).into()),
        ("allowed_address_pairs", json!([]).into()),
        ("port_security_enabled", false.into()),
        ("description", "".into()),
        ("binding:vnic_type", "normal".into()),
        ("binding:host_id", "".into()),
        ("tags", json!([]).into()),
    ];
    for (name, value) in attributes {
        object.set(name, value);
    }
    let object = context.tx.insert(object)?;
    allocation::record(context, &object)?;
    Ok(object)
}

/// Removes the ports that serve as this for a router or floating IP, with their addresses.
pub(crate) fn remove(context: &mut Context<'_, '_>, owner: &str, device_id: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM ports WHERE device_id = $1 AND device_owner = $2";
    context.tx.execute(sql, &[device_id.into(), owner.into()])?;
    Ok(())
}
