//! Whose project a new object belongs to, and who may see what.

use crate::Failure;
use crate::context::not_authorized;
use karez_model::parse::Created;
use karez_model::policy::{Policy, Target};
use karez_model::{Caller, Fault, Kind, Reason, Scope};
use karez_store::Sight;

/// Settles the project of a new object: the caller's own, or another one for those who may.
pub(crate) fn settle_project(policy: &Policy, caller: &Caller, created: &mut Created) -> Result<(), Failure> {
    let resource = created.object.resource();
    if !resource.is_owned() {
        return Ok(());
    }
    let given = created.has("project_id").then(|| created.object.project_id().to_owned());
    match (given, caller.project_id()) {
        (Some(given), Some(own)) if given == own => Ok(()),
        (Some(_), _) if matches!(caller.scope, Scope::System | Scope::Domain(_)) => Err(Failure::fault(
            Reason::InvalidScope,
            "A system- or domain-scoped token cannot create objects of projects; take a token that is scoped to a project",
        )),
        (Some(given), _) if !given.is_empty() => {
            if policy.allows("context_can_set_project_id", caller, Target::default()) {
                return Ok(());
            }
            Err(Fault::bad_request(format!(
                "project_id is '{}'; only an administrator may create a {} for a project other than his own",
                karez_model::parse::clip(&given),
                resource.member
            ))
            .into())
        }
        (None, Some(own)) => {
            created.object.set("project_id", own);
            Ok(())
        }
        (Some(_) | None, _) => Err(Fault::bad_request(
            "project_id is required: the token is not scoped to a project, and none was given",
        )
        .into()),
    }
}

/// What the caller may see of a kind, found by asking policy about objects of his own, of another
/// project, and of the public.
pub(crate) fn sight(policy: &Policy, caller: &Caller, kind: Kind) -> Sight {
    let rule = format!("get_{}", kind.resource().member);
    if policy.allows(&rule, caller, Target::default()) {
        return Sight::All;
    }
    if let Some(project) = caller.project_id()
        && policy.allows(&rule, caller, Target::of_project(project))
    {
        return Sight::Project(project.to_owned());
    }
    let public = Target { is_shared: true, is_external: true, ..Target::default() };
    if policy.allows(&rule, caller, public) { Sight::Public } else { Sight::Nothing }
}

/// Whether the caller may set the guarded attributes that he gave.
pub(crate) fn check_guards<'a>(
    policy: &Policy,
    caller: &Caller,
    action: &str,
    member: &str,
    project_id: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    for name in names {
        let rule = format!("{action}_{member}:{name}");
        if !policy.allows(&rule, caller, Target::of_project(project_id)) {
            return Err(not_authorized(&rule));
        }
    }
    Ok(())
}
