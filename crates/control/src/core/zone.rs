//! Availability zones: the default one, and those of the nodes.

use crate::Failure;
use crate::context::Context;
use karez_model::parse::clip;
use karez_model::{Object, Reason};
use karez_store::Datum;
use serde_json::json;

/// The zone that always exists. Nodes that name none are in it.
pub(crate) const DEFAULT: &str = "nova";

/// Checks the hints of a new object and says where it is.
pub(crate) fn settle(context: &mut Context<'_, '_>, object: &mut Object) -> Result<(), Failure> {
    for hint in object.texts("availability_zone_hints") {
        let sql = "SELECT id FROM nodes WHERE availability_zone = $1 LIMIT 1";
        if hint != DEFAULT && !context.exists(sql, &[Datum::from(hint)])? {
            return Err(Failure::fault(
                Reason::AvailabilityZoneNotFound,
                format!("There is no availability zone '{}'; '{DEFAULT}' always exists", clip(hint)),
            ));
        }
    }
    object.set("availability_zones", json!([DEFAULT]));
    Ok(())
}
