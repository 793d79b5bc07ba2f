//! Flavors, service profiles and the provider behind them.

use crate::context::{Context, not_found};
use crate::{Control, Failure};
use karez_model::{Caller, Fault, Kind, Object, Reason};
use karez_store::Datum;
use serde_json::Value as Json;
use std::sync::Arc;

/// The name of the one provider of VPN.
pub const PROVIDER: &str = "karez";

/// The only type of service here.
const SERVICE_TYPE: &str = "VPN";

/// Whether a service profile of this driver can be served. The reference's drivers count, so that
/// flavors which an operator brings along keep working.
#[must_use]
pub fn is_provider_driver(driver: &str) -> bool {
    matches!(
        driver,
        PROVIDER
            | "neutron_vpnaas.services.vpn.service_drivers.ipsec.IPsecVPNDriver"
            | "neutron_vpnaas.services.vpn.service_drivers.ovn_ipsec.IPsecOvnVPNDriver"
    )
}

pub(crate) fn before_create_flavor(flavor: &mut Object) -> Result<(), Failure> {
    let service_type = flavor.text("service_type");
    if service_type != SERVICE_TYPE {
        let given = karez_model::parse::clip(service_type);
        let message =
            format!("service_type is '{given}'; the only type that has a provider here is {SERVICE_TYPE}");
        return Err(Failure::fault(Reason::InvalidServiceType, message));
    }
    flavor.set("service_profiles", Json::Array(Vec::new()));
    Ok(())
}

pub(crate) fn before_create_profile(profile: &mut Object) -> Result<(), Failure> {
    let has_metainfo = profile.json("metainfo").as_str().is_some_and(|text| !text.is_empty());
    if profile.text("driver").is_empty() && !has_metainfo {
        return Err(Failure::fault(Reason::ServiceProfileEmpty, "driver or metainfo is required"));
    }
    Ok(())
}

/// Checks the flavor that a VPN service asks for.
pub(crate) fn check_choice(context: &mut Context<'_, '_>, id: &str) -> Result<(), Failure> {
    let Some(flavor) = context.tx.get(Kind::Flavor, id)? else { return Err(not_found(Kind::Flavor, id)) };
    if flavor.text("service_type") != SERVICE_TYPE {
        return Err(Failure::fault(
            Reason::InvalidServiceType,
            format!("The flavor {id} is of the type {}, not {SERVICE_TYPE}", flavor.text("service_type")),
        ));
    }
    if !flavor.flag("enabled") {
        return Err(Failure::fault(Reason::FlavorDisabled, format!("The flavor {id} is disabled")));
    }
    let no_provider = || {
        let message = format!("No provider of this deployment can serve the flavor {id}");
        Failure::fault(Reason::NoProviderFoundForFlavor, message)
    };
    let first = flavor.texts("service_profiles").next().ok_or_else(no_provider)?;
    let profile = context.existing(Kind::ServiceProfile, first)?;
    if !profile.flag("enabled") {
        let message = format!("The service profile {first} of the flavor {id} is disabled");
        return Err(Failure::fault(Reason::ServiceProfileDisabled, message));
    }
    if is_provider_driver(profile.text("driver")) { Ok(()) } else { Err(no_provider()) }
}

/// Flavors that are chosen and profiles that are bound keep their nature.
pub(crate) fn before_update(context: &mut Context<'_, '_>, old: &Object) -> Result<(), Failure> {
    if old.kind() == Kind::ServiceProfile { check_unbound(context, old) } else { Ok(()) }
}

pub(crate) fn before_delete(context: &mut Context<'_, '_>, object: &Object) -> Result<(), Failure> {
    if object.kind() == Kind::ServiceProfile {
        return check_unbound(context, object);
    }
    let id = [Datum::from(object.id())];
    let sql = "SELECT id FROM vpnservices WHERE flavor_id = $1 ORDER BY id LIMIT 5";
    context.refuse_if_found(sql, &id, Reason::FlavorInUse, |users| {
        format!("The flavor {} is used by the VPN service(s) {users}", object.id())
    })?;
    context.tx.execute("DELETE FROM flavor_service_profiles WHERE flavor_id = $1", &id)?;
    Ok(())
}

fn check_unbound(context: &mut Context<'_, '_>, profile: &Object) -> Result<(), Failure> {
    let sql = "SELECT flavor_id FROM flavor_service_profiles WHERE service_profile_id = $1 ORDER BY flavor_id LIMIT 5";
    context.refuse_if_found(sql, &[Datum::from(profile.id())], Reason::ServiceProfileInUse, |flavors| {
        format!("The service profile {} is bound to the flavor(s) {flavors}", profile.id())
    })
}

impl Control {
    /// Binds a service profile to a flavor.
    ///
    /// # Errors
    /// "Not found" of either, or [`Reason::FlavorServiceProfileBindingExists`].
    pub async fn bind_profile(
        &self,
        caller: &Arc<Caller>,
        flavor: &str,
        profile: &str,
    ) -> Result<(), Failure> {
        self.check(caller, "update_flavor")?;
        let (flavor, profile) = (flavor.to_owned(), profile.to_owned());
        self.writing(caller, move |context| {
            let bound = context.visible_locked(Kind::Flavor, &flavor)?;
            context.visible_locked(Kind::ServiceProfile, &profile)?;
            if bound.texts("service_profiles").any(|id| id == profile) {
                let message = format!("The flavor {flavor} already has the service profile {profile}");
                return Err(Failure::fault(Reason::FlavorServiceProfileBindingExists, message));
            }
            let sql = "INSERT INTO flavor_service_profiles (flavor_id, service_profile_id) VALUES ($1, $2)";
            context.tx.execute(sql, &[Datum::from(flavor.as_str()), Datum::from(profile.as_str())])?;
            let mut changed = bound.object.clone();
            let mut profiles: Vec<Json> = bound.texts("service_profiles").map(Json::from).collect();
            profiles.push(Json::from(profile.as_str()));
            changed.set("service_profiles", Json::Array(profiles));
            context.tx.update(changed)?;
            Ok(())
        })
        .await
    }

    /// Takes a service profile from a flavor.
    ///
    /// # Errors
    /// "Not found" of the flavor, or [`Reason::FlavorServiceProfileBindingNotFound`].
    pub async fn unbind_profile(
        &self,
        caller: &Arc<Caller>,
        flavor: &str,
        profile: &str,
    ) -> Result<(), Failure> {
        self.check(caller, "update_flavor")?;
        let (flavor, profile) = (flavor.to_owned(), profile.to_owned());
        self.writing(caller, move |context| {
            let bound = context.visible_locked(Kind::Flavor, &flavor)?;
            let sql = "DELETE FROM flavor_service_profiles WHERE flavor_id = $1 AND service_profile_id = $2";
            if context.tx.execute(sql, &[Datum::from(flavor.as_str()), Datum::from(profile.as_str())])? == 0 {
                let message = format!("The flavor {flavor} does not have the service profile {profile}");
                return Err(Failure::fault(Reason::FlavorServiceProfileBindingNotFound, message));
            }
            let mut changed = bound.object.clone();
            let left = bound.texts("service_profiles").filter(|id| *id != profile).map(Json::from).collect();
            changed.set("service_profiles", Json::Array(left));
            context.tx.update(changed)?;
            Ok(())
        })
        .await
    }

    /// The providers that would serve a flavor, first choice first: names and drivers.
    ///
    /// # Errors
    /// As a VPN service that chooses the flavor would get.
    pub async fn next_providers(
        &self,
        caller: &Arc<Caller>,
        flavor: &str,
    ) -> Result<(&'static str, String), Failure> {
        let flavor = flavor.to_owned();
        self.reading(caller, move |context| {
            check_choice(context, &flavor)?;
            let chosen = context.existing(Kind::Flavor, &flavor)?;
            let Some(first) = chosen.texts("service_profiles").next().map(str::to_owned) else {
                return Err(Fault::bad_request(format!("The flavor {flavor} has no service profile")).into());
            };
            let profile = context.existing(Kind::ServiceProfile, &first)?;
            Ok((PROVIDER, profile.text("driver").to_owned()))
        })
        .await
    }
}
