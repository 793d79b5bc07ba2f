//! Who has which role where.

use super::call::Call;
use super::error::Error;
use super::objects::{self, PROJECTS, ROLES, USERS};
use super::roles;
use super::target::Target;
use super::{Embedded, answer, domain};
use axum::response::Response;
use karez_store::{Datum, Tx};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What the first part of a path such as `/projects/{id}/users/{id}/roles/{id}` says.
#[derive(Clone, Copy)]
pub(super) enum On {
    Project,
    Domain,
    System,
}

/// The parts of such a path.
#[derive(Clone)]
struct Grant {
    target: Target,
    user_id: String,
    role_id: String,
}

impl Grant {
    fn of(call: &Call, on: On) -> Self {
        let (target, user) = match on {
            On::Project => (Target::Project(call.id(0).to_owned()), 1),
            On::Domain => (Target::Domain(call.id(0).to_owned()), 1),
            On::System => (Target::System, 0),
        };
        Self { target, user_id: call.id(user).to_owned(), role_id: call.id(user + 1).to_owned() }
    }

    fn params(&self) -> [Datum; 4] {
        let [user, kind, target] = self.target.params_with(&self.user_id);
        [user, kind, target, self.role_id.as_str().into()]
    }

    /// Says which part of the path does not exist.
    fn check_parts(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        match &self.target {
            Target::Project(id) => drop(objects::find(tx, &PROJECTS, id)?),
            Target::Domain(id) if id != domain::ID => return Err(Error::not_found("domain", id)),
            Target::Domain(_) | Target::System => {}
        }
        objects::find(tx, &USERS, &self.user_id)?;
        if !self.role_id.is_empty() {
            objects::find(tx, &ROLES, &self.role_id)?;
        }
        Ok(())
    }

    fn not_found(&self) -> Error {
        Error::NotFound(format!(
            "Could not find role assignment with role: {}, user: {}, {}: {}.",
            self.role_id,
            self.user_id,
            self.target.kind(),
            self.target.id()
        ))
    }
}

/// `GET …/roles`: the roles that were given, without those they imply.
pub(super) async fn list_grants(embedded: Arc<Embedded>, call: Call, on: On) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("list_grants")?;
    let grant = Grant::of(&call, on);
    let read = move |tx: &mut Tx<'_>| {
        grant.check_parts(tx)?;
        let condition = "id IN (SELECT role_id FROM role_assignments \
                         WHERE user_id = $1 AND target_kind = $2 AND target_id = $3)";
        Ok::<_, Error>(objects::select(tx, &ROLES, condition, &grant.target.params_with(&grant.user_id))?)
    };
    let items = embedded.store.read(read).await?;
    let items = items.into_iter().map(|item| objects::render(&ROLES, item, &call)).collect();
    Ok(answer::list(&call, "roles", "roles", items))
}

/// `GET` and `HEAD …/roles/{id}`
pub(super) async fn check_grant(embedded: Arc<Embedded>, call: Call, on: On) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("check_grant")?;
    let grant = Grant::of(&call, on);
    let read = move |tx: &mut Tx<'_>| {
        grant.check_parts(tx)?;
        tx.query_opt(
            "SELECT role_id FROM role_assignments \
             WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 AND role_id = $4",
            &grant.params(),
        )?
        .map(drop)
        .ok_or_else(|| grant.not_found())
    };
    embedded.store.read(read).await?;
    Ok(answer::no_content())
}

/// `PUT …/roles/{id}`
pub(super) async fn grant(embedded: Arc<Embedded>, call: Call, on: On) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("create_grant")?;
    let grant = Grant::of(&call, on);
    embedded
        .change(move |tx| {
            grant.check_parts(tx)?;
            tx.execute(
                "INSERT INTO role_assignments (user_id, target_kind, target_id, role_id) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                &grant.params(),
            )?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(answer::no_content())
}

/// `DELETE …/roles/{id}`: the user loses his tokens for the target, and the application
/// credentials that he made there.
pub(super) async fn revoke(embedded: Arc<Embedded>, call: Call, on: On) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("revoke_grant")?;
    let grant = Grant::of(&call, on);
    embedded
        .change(move |tx| {
            grant.check_parts(tx)?;
            let deleted = tx.execute(
                "DELETE FROM role_assignments \
                 WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 AND role_id = $4",
                &grant.params(),
            )?;
            if deleted == 0 {
                return Err(grant.not_found());
            }
            tx.execute(
                "DELETE FROM tokens WHERE user_id = $1 AND target_kind = $2 AND target_id = $3",
                &grant.target.params_with(&grant.user_id),
            )?;
            if let Target::Project(id) = &grant.target {
                tx.execute(
                    "DELETE FROM application_credentials WHERE user_id = $1 AND project_id = $2",
                    &[grant.user_id.as_str().into(), id.as_str().into()],
                )?;
            }
            Ok(())
        })
        .await?;
    Ok(answer::no_content())
}

/// One line of `/role_assignments`.
struct Assignment {
    user: (String, String),
    role: roles::Role,
    target: Target,
    project_name: String,
}

/// `GET /role_assignments`, for administrators, and for a user who asks for his own.
pub(super) async fn list(embedded: Arc<Embedded>, call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    let is_own = call.query("user.id") == Some(session.user_id.as_str());
    session.require(is_own || session.is_admin(), "list_role_assignments")?;
    // With `effective`, what is implied is shown as if it were given, so the role is looked at later.
    let is_effective = call.flag("effective");
    let role_id = call.query("role.id").map(str::to_owned);
    let (condition, params) = condition(&call, role_id.as_deref().filter(|_| !is_effective));
    let read = move |tx: &mut Tx<'_>| {
        let given = select(tx, &condition, &params)?;
        if is_effective { with_implied(tx, given) } else { Ok::<_, Error>(given) }
    };
    let mut items = embedded.store.read(read).await?;
    items.retain(|item| role_id.as_ref().is_none_or(|id| item.role.id == *id));
    let with_names = call.flag("include_names");
    let items = items.iter().map(|item| item.document(&call, with_names)).collect();
    Ok(answer::list(&call, "role_assignments", "role_assignments", items))
}

fn condition(call: &Call, role_id: Option<&str>) -> (String, Vec<Datum>) {
    let mut condition = "1 = 1".to_owned();
    let mut params = Vec::new();
    let columns = [
        ("a.user_id", call.query("user.id"), None),
        ("a.role_id", role_id, None),
        ("a.target_id", call.query("scope.project.id"), Some("project")),
        ("a.target_id", call.query("scope.domain.id"), Some("domain")),
        ("a.target_id", call.query("scope.system").map(|_| "all"), Some("system")),
    ];
    for (column, value, kind) in columns {
        let Some(value) = value else { continue };
        params.push(Datum::from(value));
        condition.push_str(&format!(" AND {column} = ${}", params.len()));
        if let Some(kind) = kind {
            params.push(Datum::from(kind));
            condition.push_str(&format!(" AND a.target_kind = ${}", params.len()));
        }
    }
    if call.query("group.id").is_some() {
        condition.push_str(" AND 1 = 0");
    }
    (condition, params)
}

fn select(tx: &mut Tx<'_>, condition: &str, params: &[Datum]) -> Result<Vec<Assignment>, Error> {
    let sql = format!(
        "SELECT u.id, u.name, r.id, r.name, a.target_kind, a.target_id, p.name FROM role_assignments a \
         JOIN users u ON u.id = a.user_id JOIN roles r ON r.id = a.role_id \
         LEFT JOIN projects p ON p.id = a.target_id AND a.target_kind = 'project' \
         WHERE {condition} ORDER BY a.user_id, a.target_kind, a.target_id, a.role_id"
    );
    let rows = tx.query(&sql, params)?;
    let assignment = |row: &karez_store::Row| {
        Ok(Assignment {
            user: (row.text(0)?.to_owned(), row.text(1)?.to_owned()),
            role: roles::Role { id: row.text(2)?.to_owned(), name: row.text(3)?.to_owned() },
            target: Target::from_columns(row.text(4)?, row.text(5)?)?,
            project_name: row.opt_text(6)?.unwrap_or_default().to_owned(),
        })
    };
    rows.iter().map(assignment).collect()
}

/// For each user and target, all roles that he has there.
fn with_implied(tx: &mut Tx<'_>, given: Vec<Assignment>) -> Result<Vec<Assignment>, Error> {
    let mut all = Vec::new();
    for one in given.chunk_by(|a, b| a.user.0 == b.user.0 && a.target == b.target).filter_map(<[_]>::first) {
        for role in roles::effective(tx, &one.user.0, &one.target)? {
            all.push(Assignment {
                user: one.user.clone(),
                role,
                target: one.target.clone(),
                project_name: one.project_name.clone(),
            });
        }
    }
    Ok(all)
}

impl Assignment {
    fn document(&self, call: &Call, with_names: bool) -> Json {
        let (user_id, user_name) = &self.user;
        let place = match &self.target {
            Target::Project(id) => format!("projects/{id}"),
            Target::Domain(id) => format!("domains/{id}"),
            Target::System => "system".to_owned(),
        };
        let links =
            json!({"assignment": call.link(&format!("{place}/users/{user_id}/roles/{}", self.role.id))});
        if with_names {
            json!({
                "role": {"id": self.role.id, "name": self.role.name},
                "user": {"id": user_id, "name": user_name, "domain": domain::reference()},
                "scope": self.target.named_reference(&self.project_name),
                "links": links,
            })
        } else {
            json!({
                "role": {"id": self.role.id},
                "user": {"id": user_id},
                "scope": self.target.reference(),
                "links": links,
            })
        }
    }
}
