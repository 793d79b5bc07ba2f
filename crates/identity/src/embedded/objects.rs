//! Users, projects and roles as tables of attributes: one path parses, stores, lists and renders
//! all of them.

mod attributes;
mod filter;

pub(super) use attributes::{Kind, PROJECTS, ROLES, USERS, Values, parse_changes, parse_new};

use super::call::Call;
use super::error::Error;
use super::{Embedded, answer};
use crate::token;
use attributes::document;
use axum::response::Response;
use filter::{Filter, has_tags};
use karez_store::{Datum, Error as StoreError, Tx};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Stores a new object and gives it back.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    kind: &Kind,
    id: &str,
    values: &Values,
    now: i64,
) -> Result<Json, Error> {
    let mut columns = vec!["id", "created_at", "updated_at"];
    let mut params = vec![Datum::from(id), now.into(), now.into()];
    for (column, value) in values {
        columns.push(column);
        params.push(value.clone());
    }
    let places: Vec<String> = (1..=params.len()).map(|at| format!("${at}")).collect();
    let sql = format!("INSERT INTO {} ({}) VALUES ({})", kind.plural, columns.join(", "), places.join(", "));
    tx.execute(&sql, &params).map_err(|error| named_twice(kind, error))?;
    find(tx, kind, id)
}

/// Changes an object and gives it back.
pub(super) fn update(
    tx: &mut Tx<'_>,
    kind: &Kind,
    id: &str,
    values: &Values,
    now: i64,
) -> Result<Json, Error> {
    let mut sets = vec!["updated_at = $2".to_owned()];
    let mut params = vec![Datum::from(id), now.into()];
    for (column, value) in values {
        params.push(value.clone());
        sets.push(format!("{column} = ${}", params.len()));
    }
    let sql = format!("UPDATE {} SET {} WHERE id = $1", kind.plural, sets.join(", "));
    tx.execute(&sql, &params).map_err(|error| named_twice(kind, error))?;
    find(tx, kind, id)
}

fn named_twice(kind: &Kind, error: StoreError) -> Error {
    match error {
        StoreError::Unique(_) => {
            Error::Conflict(format!("There is a {} of this name already.", kind.singular))
        }
        other => other.into(),
    }
}

/// An object by its id.
pub(super) fn find(tx: &mut Tx<'_>, kind: &Kind, id: &str) -> Result<Json, Error> {
    let sql = format!("SELECT {} FROM {} WHERE id = $1", kind.columns(), kind.plural);
    let row = tx.query_opt(&sql, &[id.into()])?.ok_or_else(|| Error::not_found(kind.singular, id))?;
    Ok(document(kind, &row)?)
}

/// The objects that a condition on the columns selects, by name.
pub(super) fn select(
    tx: &mut Tx<'_>,
    kind: &Kind,
    condition: &str,
    params: &[Datum],
) -> Result<Vec<Json>, StoreError> {
    let sql = format!("SELECT {} FROM {} WHERE {condition}", kind.columns(), kind.plural);
    let rows = tx.query(&sql, params)?;
    let mut items: Vec<Json> = rows.iter().map(|row| document(kind, row)).collect::<Result<_, _>>()?;
    let name = |item: &Json| item["name"].as_str().unwrap_or_default().to_owned();
    items.sort_by_cached_key(name);
    Ok(items)
}

/// An object as an answer shows it.
pub(super) fn render(kind: &Kind, mut object: Json, call: &Call) -> Json {
    let id = object["id"].as_str().unwrap_or_default();
    object["links"] = json!({"self": call.link(&format!("{}/{id}", kind.plural))});
    object
}

/// `GET` of a collection, with filters.
pub(super) async fn list(
    embedded: Arc<Embedded>,
    call: Call,
    kind: &'static Kind,
) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    session.require(kind.is_public || session.is_admin(), &format!("list_{}", kind.plural))?;
    let filter = Filter::of(kind, &call)?;
    let read = move |tx: &mut Tx<'_>| select(tx, kind, &filter.condition, &filter.params);
    let items = embedded.store.read(read).await?;
    let items = items.into_iter().filter(|item| has_tags(item, &call)).map(|item| render(kind, item, &call));
    Ok(answer::list(&call, kind.plural, kind.plural, items.collect()))
}

/// `GET` of one object that all may see, or administrators only.
pub(super) async fn show(
    embedded: Arc<Embedded>,
    call: Call,
    kind: &'static Kind,
) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    session.require(kind.is_public || session.is_admin(), &format!("get_{}", kind.singular))?;
    let id = call.id(0).to_owned();
    let object = embedded.store.read(move |tx| find(tx, kind, &id)).await?;
    Ok(answer::ok(&json!({kind.singular: render(kind, object, &call)})))
}

impl Embedded {
    /// Stores a new object under a fresh id.
    pub(super) async fn insert(&self, kind: &'static Kind, values: Values) -> Result<Json, Error> {
        let (id, now) = (token::object_id(), self.options.clock.now());
        self.change(move |tx| insert(tx, kind, &id, &values, now)).await
    }
}
