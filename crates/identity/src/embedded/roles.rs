//! Roles: the built-in ones, what they imply, and which a user has where.

use super::call::Call;
use super::error::Error;
use super::objects::{self, ROLES, Values};
use super::target::Target;
use super::{Embedded, answer};
use axum::extract::State;
use axum::response::Response;
use karez_store::{Datum, Error as StoreError, Row, Tx};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The roles that Keystone has from the start. They cannot be renamed or deleted.
pub(super) const BUILT_IN: [&str; 5] = [ADMIN, "manager", "member", "reader", SERVICE];
pub(super) const ADMIN: &str = "admin";
/// Held by the users of services that validate the tokens of others.
pub(super) const SERVICE: &str = "service";

/// Who has the first role has the second as well. In an order in which one pass finds all.
const IMPLIED: [(&str, &str); 3] = [(ADMIN, "manager"), ("manager", "member"), ("member", "reader")];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub id: String,
    pub name: String,
}

/// The roles that a user has on a target, implied ones included, by name.
pub(super) fn effective(tx: &mut Tx<'_>, user_id: &str, target: &Target) -> Result<Vec<Role>, StoreError> {
    let rows = tx.query(
        "SELECT r.id, r.name, a.user_id FROM roles r LEFT JOIN role_assignments a ON a.role_id = r.id \
         AND a.user_id = $1 AND a.target_kind = $2 AND a.target_id = $3",
        &target.params_with(user_id),
    )?;
    expanded(&rows)
}

/// The roles that an application credential carries, implied ones included, by name.
pub(super) fn of_credential(tx: &mut Tx<'_>, credential_id: &str) -> Result<Vec<Role>, StoreError> {
    let rows = tx.query(
        "SELECT r.id, r.name, c.role_id FROM roles r LEFT JOIN application_credential_roles c \
         ON c.role_id = r.id AND c.application_credential_id = $1",
        &[credential_id.into()],
    )?;
    expanded(&rows)
}

/// Of all roles, with a third column that is not NULL where a role was given, those that were and
/// those that they imply.
fn expanded(rows: &[Row]) -> Result<Vec<Role>, StoreError> {
    let mut roles = Vec::with_capacity(rows.len());
    for row in rows {
        let role = Role { id: row.text(0)?.to_owned(), name: row.text(1)?.to_owned() };
        roles.push((role, row.opt_text(2)?.is_some()));
    }
    for (strong, weak) in IMPLIED {
        if roles.iter().any(|(role, has)| *has && role.name == strong) {
            roles.iter_mut().filter(|(role, _)| role.name == weak).for_each(|(_, has)| *has = true);
        }
    }
    let mut roles: Vec<Role> = roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect();
    roles.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(roles)
}

/// `POST /roles`
pub(super) async fn create(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("create_role")?;
    let values = objects::parse_new(&ROLES, &call.body()?)?;
    refuse_built_in_name(&values)?;
    let role = embedded.insert(&ROLES, values).await?;
    Ok(answer::created(&json!({"role": objects::render(&ROLES, role, &call)})))
}

/// `PATCH /roles/{id}`
pub(super) async fn update(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("update_role")?;
    let values = objects::parse_changes(&ROLES, &call.body()?)?;
    refuse_built_in_name(&values)?;
    let id = call.id(0).to_owned();
    let now = embedded.options.clock.now();
    let role = embedded
        .change(move |tx| {
            refuse_built_in(&objects::find(tx, &ROLES, &id)?)?;
            objects::update(tx, &ROLES, &id, &values, now)
        })
        .await?;
    Ok(answer::ok(&json!({"role": objects::render(&ROLES, role, &call)})))
}

/// `DELETE /roles/{id}`: those who had it lose their tokens.
pub(super) async fn delete(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("delete_role")?;
    let id = call.id(0).to_owned();
    embedded
        .change(move |tx| {
            refuse_built_in(&objects::find(tx, &ROLES, &id)?)?;
            let role = [Datum::from(id.as_str())];
            tx.execute(
                "DELETE FROM tokens WHERE user_id IN (SELECT user_id FROM role_assignments WHERE role_id = $1)",
                &role,
            )?;
            tx.execute("DELETE FROM roles WHERE id = $1", &role)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(answer::no_content())
}

fn refuse_built_in(role: &Json) -> Result<(), Error> {
    match role["name"].as_str() {
        Some(name) if BUILT_IN.contains(&name) => {
            Err(Error::Forbidden(format!("The role {name} is built in and cannot be changed or deleted.")))
        }
        _ => Ok(()),
    }
}

/// Policy rules compare the names of roles without regard to case, so a role `Admin` would be the
/// role `admin`.
fn refuse_built_in_name(values: &Values) -> Result<(), Error> {
    for (column, value) in values {
        if let Datum::Text(name) = value
            && *column == "name"
            && BUILT_IN.iter().any(|built_in| name.eq_ignore_ascii_case(built_in))
        {
            return Err(Error::Conflict(format!("role.name: {name:?} is the name of a built-in role.")));
        }
    }
    Ok(())
}

/// `GET /role_inferences`
pub(super) async fn inferences(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    let rows = embedded.store.read(|tx| tx.query("SELECT id, name FROM roles", &[])).await?;
    let mut inferences = Vec::new();
    for (strong, weak) in IMPLIED {
        let reference = |name: &str| -> Result<Option<Json>, StoreError> {
            for row in &rows {
                if row.text(1)? == name {
                    let link = call.link(&format!("roles/{}", row.text(0)?));
                    return Ok(Some(json!({"id": row.text(0)?, "name": name, "links": {"self": link}})));
                }
            }
            Ok(None)
        };
        if let (Some(prior), Some(implied)) = (reference(strong)?, reference(weak)?) {
            inferences.push(json!({"prior_role": prior, "implies": [implied]}));
        }
    }
    Ok(answer::ok(&json!({"role_inferences": inferences, "links": {"self": call.link("role_inferences")}})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Vec<String> {
        let all = ["service", "reader", "custom", "member", "admin", "manager"];
        let row = |name: &&str| {
            let mark = given.contains(name).then_some("u");
            Row(vec![Datum::from("id"), Datum::from(*name), Datum::from(mark)])
        };
        let rows: Vec<Row> = all.iter().map(row).collect();
        expanded(&rows).unwrap().into_iter().map(|role| role.name).collect()
    }

    #[test]
    fn a_strong_role_implies_all_weaker_ones() {
        assert_eq!(names(&["admin"]), ["admin", "manager", "member", "reader"]);
        assert_eq!(names(&["manager"]), ["manager", "member", "reader"]);
        assert_eq!(names(&["member"]), ["member", "reader"]);
        assert_eq!(names(&["reader"]), ["reader"]);
    }

    #[test]
    fn other_roles_imply_nothing() {
        assert_eq!(names(&["service"]), ["service"]);
        assert_eq!(names(&["custom", "reader"]), ["custom", "reader"]);
        assert_eq!(names(&[]), Vec::<String>::new());
    }
}
