//! What a caller asks a token for, and whether he can have it.

use super::domain;
use super::error::Error;
use super::fields::Fields;
use super::roles;
use super::target::Target;
use karez_store::{Datum, Error as StoreError, Tx};
use serde_json::Value as Json;

/// What a caller asks a token for.
#[derive(Clone, Debug)]
pub(super) enum Requested {
    /// He does not say: his default project, if he has one.
    Default,
    Unscoped,
    Project(ProjectReference),
    Domain {
        is_ours: bool,
    },
    System,
}

#[derive(Clone, Debug)]
pub(super) enum ProjectReference {
    Id(String),
    Name { name: String, is_in_our_domain: bool },
}

/// Reads `auth.scope`.
pub(super) fn parse(auth: &Fields<'_>) -> Result<Requested, Error> {
    const KNOWN: &str = "it must be \"unscoped\" or an object with one of project, domain, system";
    match auth.get("scope") {
        None => return Ok(Requested::Default),
        Some(Json::String(text)) if text == "unscoped" => return Ok(Requested::Unscoped),
        Some(Json::Object(_)) => {}
        Some(_) => return Err(auth.wrong("scope", KNOWN)),
    }
    let scope = auth.object("scope")?;
    let mut names = scope.names();
    match (names.next(), names.next()) {
        (Some("unscoped"), None) => Ok(Requested::Unscoped),
        (Some("project"), None) => {
            let project = scope.object("project")?;
            Ok(Requested::Project(match project.opt_text("id", 64)? {
                Some(id) => ProjectReference::Id(id.to_owned()),
                None => ProjectReference::Name {
                    name: project.text("name", 64)?.to_owned(),
                    is_in_our_domain: domain::is_meant(&project.object("domain")?)?,
                },
            }))
        }
        (Some("domain"), None) => {
            Ok(Requested::Domain { is_ours: domain::is_meant(&scope.object("domain")?)? })
        }
        (Some("system"), None) => match scope.object("system")?.opt_bool("all")? {
            Some(true) => Ok(Requested::System),
            Some(false) | None => Err(Error::BadRequest("auth.scope.system.all must be true.".to_owned())),
        },
        (Some(_) | None, _) => Err(auth.wrong("scope", KNOWN)),
    }
}

/// What the token is to be scoped to. That the user has a role there is left to be checked.
pub(super) fn resolve(
    tx: &mut Tx<'_>,
    requested: &Requested,
    user_id: &str,
    credential_id: Option<&str>,
) -> Result<Option<Target>, Error> {
    let target = match requested {
        Requested::Project(project) => {
            Some(Target::Project(find_project(tx, project)?.ok_or_else(no_access)?))
        }
        Requested::Domain { is_ours: true } => Some(Target::Domain(domain::ID.to_owned())),
        Requested::Domain { is_ours: false } => return Err(no_access()),
        Requested::System => Some(Target::System),
        Requested::Default | Requested::Unscoped => None,
    };
    let Some(credential_id) = credential_id else {
        return match requested {
            Requested::Default => Ok(default_project(tx, user_id)?),
            Requested::Unscoped | Requested::Project(_) | Requested::Domain { .. } | Requested::System => {
                Ok(target)
            }
        };
    };
    let own = project_of_credential(tx, credential_id)?.map(Target::Project);
    if own.is_none() || (target.is_some() && target != own) || matches!(requested, Requested::Unscoped) {
        return Err(Error::NoAccess(
            "An application credential is good for the project that it was made in, and nothing else."
                .to_owned(),
        ));
    }
    Ok(own)
}

/// Why a scope cannot be had. Whether it exists is not said.
pub(super) fn no_access() -> Error {
    Error::NoAccess(
        "What the token is to be scoped to does not exist or is disabled, or you have no role on it.".into(),
    )
}

fn find_project(tx: &mut Tx<'_>, project: &ProjectReference) -> Result<Option<String>, StoreError> {
    let row = match project {
        ProjectReference::Id(id) => {
            tx.query_opt("SELECT id FROM projects WHERE id = $1 AND enabled = 1", &[id.as_str().into()])?
        }
        ProjectReference::Name { is_in_our_domain: false, .. } => None,
        ProjectReference::Name { name, is_in_our_domain: true } => tx.query_opt(
            "SELECT id FROM projects WHERE domain_id = $1 AND name = $2 AND enabled = 1",
            &[domain::ID.into(), name.as_str().into()],
        )?,
    };
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// The default project of a user, if he can use it.
fn default_project(tx: &mut Tx<'_>, user_id: &str) -> Result<Option<Target>, StoreError> {
    let row = tx.query_opt(
        "SELECT p.id FROM users u JOIN projects p ON p.id = u.default_project_id \
         WHERE u.id = $1 AND p.enabled = 1",
        &[user_id.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let target = Target::Project(row.text(0)?.to_owned());
    let roles = roles::effective(tx, user_id, &target)?;
    Ok(Some(target).filter(|_| !roles.is_empty()))
}

fn project_of_credential(tx: &mut Tx<'_>, credential_id: &str) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt(
        "SELECT project_id FROM application_credentials WHERE id = $1",
        &[Datum::from(credential_id)],
    )?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}
