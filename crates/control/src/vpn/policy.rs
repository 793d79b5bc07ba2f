//! IKE and IPsec policies.

use crate::Failure;
use crate::context::Context;
use karez_model::{Fault, Kind, Object, Reason};
use karez_store::Datum;

/// Algorithms that an operator may have switched off.
pub(crate) fn check(context: &mut Context<'_, '_>, object: &Object) -> Result<(), Failure> {
    let weak = [("auth_algorithm", "sha1"), ("encryption_algorithm", "3des")];
    let found = weak.iter().find(|(attribute, value)| object.text(attribute) == *value);
    match found.filter(|_| context.settings.refuse_weak_algorithms) {
        Some((attribute, value)) => Err(Fault::bad_request(format!(
            "{attribute} is {value}, which this deployment no longer allows; name another one, for example {}",
            if *attribute == "auth_algorithm" { "sha256" } else { "aes-256" }
        ))
        .into()),
        None => Ok(()),
    }
}

/// A policy that a connection uses stays as it is: not even an empty change is taken.
pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &Object,
) -> Result<(), Failure> {
    check_unused(context, old)?;
    check(context, new)
}

/// Refuses what would concern a policy that connections use.
pub(crate) fn check_unused(context: &mut Context<'_, '_>, policy: &Object) -> Result<(), Failure> {
    let (column, reason) = match policy.kind() {
        Kind::IkePolicy => ("ikepolicy_id", Reason::IKEPolicyInUse),
        _ => ("ipsecpolicy_id", Reason::IPsecPolicyInUse),
    };
    let sql = format!("SELECT id FROM ipsec_site_connections WHERE {column} = $1 ORDER BY id LIMIT 5");
    context.refuse_if_found(&sql, &[Datum::from(policy.id())], reason, |users| {
        format!(
            "The {} {} is used by the connection(s) {users}; create another policy and connection, then delete these",
            policy.resource().member,
            policy.id()
        )
    })
}
