//! Objects of any kind in and out of their tables.

use crate::cache::Stored;
use crate::query::scalar;
use crate::tx::Dialect;
use crate::{Datum, Error, Query, Row, Tx};
use karez_model::{Attribute, Kind, Meta, Object, Resource, Type, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How many objects are read at a time.
pub(crate) const CHUNK: usize = 256;

impl Tx<'_> {
    /// Adds an object. Its times and revision are set here and returned with it.
    ///
    /// # Errors
    /// [`Error::Unique`] or [`Error::Reference`] when the row does not fit to the others.
    pub fn insert(&mut self, mut object: Object) -> Result<Object, Error> {
        object.meta = Meta { created_at: self.now, updated_at: self.now, rev: 0 };
        let resource = object.resource();
        let mut params = self.params(&object)?;
        params.extend([self.now, self.now, 0].map(Datum::from));
        let sql = statements(resource).insert.as_str();
        self.execute(sql, &params)?;
        Ok(object)
    }

    /// Replaces an object by its changed form. It must be as it was read but for the change.
    ///
    /// # Errors
    /// [`Error::Stale`] when the row was changed or deleted meanwhile.
    pub fn update(&mut self, mut object: Object) -> Result<Object, Error> {
        let resource = object.resource();
        let mut params = self.params(&object)?;
        params.extend([self.now, object.meta.rev].map(Datum::from));
        let changed = self.execute(statements(resource).update.as_str(), &params)?;
        if changed == 0 {
            return self.note(Err(Error::Stale));
        }
        object.meta.updated_at = self.now;
        object.meta.rev += 1;
        Ok(object)
    }

    /// Removes an object; false when there was none.
    ///
    /// # Errors
    /// [`Error::Reference`] when another row refers to it.
    pub fn delete(&mut self, kind: Kind, id: &str) -> Result<bool, Error> {
        let sql = format!("DELETE FROM {} WHERE id = $1", kind.resource().table);
        Ok(self.execute(&sql, &[Datum::from(id)])? > 0)
    }

    /// The object of this id.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn get(&mut self, kind: Kind, id: &str) -> Result<Option<Arc<Stored>>, Error> {
        if self.shared.cache.has(kind, id) {
            let sql = statements(kind.resource()).stamp.as_str();
            let Some(row) = self.query_opt(sql, &[Datum::from(id)])? else { return Ok(None) };
            if let Some(stored) = self.shared.cache.get(kind, id, (row.int(0)?, row.int(1)?)) {
                return Ok(Some(stored));
            }
        }
        let sql = statements(kind.resource()).select.as_str();
        let rows = self.query(&format!("{sql} WHERE id = $1"), &[Datum::from(id)])?;
        rows.first().map(|row| self.load(kind, row)).transpose()
    }

    /// The objects of these ids, by their ids. What there is not is left out. However many they are,
    /// it takes a handful of statements.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn get_all<'a>(
        &mut self,
        kind: Kind,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Arc<Stored>>, Error> {
        let statements = statements(kind.resource());
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        let known: Vec<&str> = ids.iter().copied().filter(|id| self.shared.cache.has(kind, id)).collect();
        let mut found = BTreeMap::new();
        for ids in known.chunks(CHUNK) {
            for stamp in self.by_ids(&statements.stamps, ids)? {
                let id = stamp.text(0)?;
                if let Some(stored) = self.shared.cache.get(kind, id, (stamp.int(1)?, stamp.int(2)?)) {
                    found.insert(id.to_owned(), stored);
                }
            }
        }
        let missing: Vec<&str> = ids.into_iter().filter(|id| !found.contains_key(*id)).collect();
        for ids in missing.chunks(CHUNK) {
            for row in self.by_ids(&statements.select, ids)? {
                let stored = self.load(kind, &row)?;
                found.insert(stored.object.id().to_owned(), stored);
            }
        }
        Ok(found)
    }

    /// The object of this id, which stays as it is until the transaction ends.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn lock(&mut self, kind: Kind, id: &str) -> Result<Option<Arc<Stored>>, Error> {
        let sql = format!("{} WHERE id = $1", statements(kind.resource()).select);
        let rows = self.query_for_update(&sql, &[Datum::from(id)])?;
        rows.first().map(|row| self.load(kind, row)).transpose()
    }

    /// Keeps an object from being locked, changed in its key or deleted by others until the
    /// transaction ends, while others may hold it as well.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn hold(&mut self, kind: Kind, id: &str) -> Result<(), Error> {
        let clause = self.connection.dialect().for_key_share;
        if self.is_write && !clause.is_empty() {
            let sql = format!("SELECT id FROM {} WHERE id = $1{clause}", kind.resource().table);
            self.query(&sql, &[Datum::from(id)])?;
        }
        Ok(())
    }

    /// The objects that a query asks for, in its order. Going backwards, a page still comes in
    /// forward order.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn list(&mut self, query: &Query) -> Result<Vec<Arc<Stored>>, Error> {
        let mut found = Vec::new();
        let stamps = self.stamps(query)?;
        for stamps in stamps.all.chunks(CHUNK) {
            found.extend(self.chunk(query.kind, stamps)?.into_iter().flatten());
        }
        Ok(found)
    }

    /// The number of objects of a kind in a project.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn count(&mut self, kind: Kind, project_id: &str) -> Result<i64, Error> {
        let sql = format!("SELECT COUNT(*) FROM {} WHERE project_id = $1", kind.resource().table);
        self.query_opt(&sql, &[Datum::from(project_id)])?.map_or(Ok(0), |row| row.int(0))
    }

    /// The rows of a SELECT that have these ids, of which there is at least one. Lists of ids are
    /// padded to powers of two, so that there are few different statements.
    pub(crate) fn by_ids(&mut self, select: &str, ids: &[&str]) -> Result<Vec<Row>, Error> {
        let width = ids.len().next_power_of_two();
        let names: Vec<String> = (1..=width).map(|at| format!("${at}")).collect();
        let sql = format!("{select} WHERE id IN ({})", names.join(", "));
        let padding = ids.last().into_iter().cycle();
        let params: Vec<Datum> = ids.iter().chain(padding).take(width).map(|id| Datum::from(*id)).collect();
        self.query(&sql, &params)
    }

    pub(crate) fn load(&mut self, kind: Kind, row: &Row) -> Result<Arc<Stored>, Error> {
        let resource = kind.resource();
        let width = resource.attributes.len();
        let meta =
            Meta { created_at: row.int(width)?, updated_at: row.int(width + 1)?, rev: row.int(width + 2)? };
        let id = row.text(resource.position("id").unwrap_or_default())?.to_owned();
        let value = |(at, attribute)| self.value(resource, attribute, row, at, &id);
        let values = resource.attributes.iter().enumerate().map(value).collect::<Result<_, _>>()?;
        let stored = Arc::new(Stored::new(Object::from_values(kind, values, meta)));
        if !self.is_write {
            self.shared.cache.put(&stored);
        }
        Ok(stored)
    }

    fn value(
        &self,
        resource: &Resource,
        attribute: &Attribute,
        row: &Row,
        at: usize,
        id: &str,
    ) -> Result<Value, Error> {
        if row.0[at] == Datum::Null {
            return Ok(Value::Null);
        }
        Ok(match attribute.ty {
            Type::Bool => Value::Bool(row.int(at)? != 0),
            Type::Int(..) | Type::Time => Value::Int(row.int(at)?),
            Type::Secret(..) => Value::Secret(
                self.shared.keyring.open_sealed(row.blob(at)?, &place(resource, attribute, id))?,
            ),
            Type::Cidrs
            | Type::Texts
            | Type::Anything
            | Type::Object(_)
            | Type::Custom(..)
            | Type::Derived => {
                let json = serde_json::from_str(row.text(at)?).map_err(|error| {
                    Error::Bug(format!("{}.{} of {id}: {error}", resource.table, attribute.column))
                })?;
                Value::Json(json)
            }
            Type::Uuid
            | Type::Name(_)
            | Type::Text(_)
            | Type::Line(_)
            | Type::Enum(_)
            | Type::Address
            | Type::Cidr
            | Type::Mac => Value::from(row.text(at)?),
        })
    }

    fn params(&self, object: &Object) -> Result<Vec<Datum>, Error> {
        let resource = object.resource();
        let param = |(attribute, value): (&Attribute, &Value)| match value {
            Value::Secret(secret) => {
                self.shared.keyring.seal(secret, &place(resource, attribute, object.id())).map(Datum::from)
            }
            value => Ok(scalar(value)),
        };
        object.iter().map(param).collect()
    }
}

/// How many secrets a call of [`Tx::reseal`] has sealed again, and whether more are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reseal {
    /// Sealed again by this call.
    pub resealed: u64,
    /// Whether there are others.
    pub is_more: bool,
}

impl Tx<'_> {
    /// Seals secrets again whose key is not the newest, a bounded number at a time, in the order
    /// of the ids after `after`. Returns the last id that was looked at with the counts.
    ///
    /// # Errors
    /// [`Error::Sealed`] when one of them cannot be opened.
    pub fn reseal(&mut self, kind: Kind, after: &str) -> Result<(String, Reseal), Error> {
        const AT_ONCE: usize = 200;
        let resource = kind.resource();
        let Dialect { collate, exclude_writers, .. } = self.connection.dialect();
        if !exclude_writers.is_empty() {
            // A secret that was sealed with the old key is in sight before the new one is relied on.
            self.execute(&format!("LOCK TABLE {}{exclude_writers}", resource.table), &[])?;
        }
        let mut done = Reseal { resealed: 0, is_more: false };
        let mut last = after.to_owned();
        for attribute in
            resource.attributes.iter().filter(|attribute| matches!(attribute.ty, Type::Secret(..)))
        {
            let sql = format!(
                "SELECT id, {} FROM {} WHERE id{collate} > $1 ORDER BY id{collate} LIMIT {AT_ONCE}",
                attribute.column, resource.table
            );
            let rows = self.query_for_update(&sql, &[Datum::from(after)])?;
            done.is_more |= rows.len() == AT_ONCE;
            for row in &rows {
                let (id, sealed) = (row.text(0)?, row.blob(1)?);
                last = id.to_owned();
                if !self.shared.keyring.is_outdated(sealed) {
                    continue;
                }
                let place = place(resource, attribute, id);
                let secret = self.shared.keyring.open_sealed(sealed, &place)?;
                let sealed = self.shared.keyring.seal(&secret, &place)?;
                let sql = format!("UPDATE {} SET {} = $1 WHERE id = $2", resource.table, attribute.column);
                self.execute(&sql, &[Datum::from(sealed), Datum::from(id)])?;
                done.resealed += 1;
            }
        }
        Ok((last, done))
    }
}

impl Tx<'_> {
    /// A sealed secret, when there is any.
    pub(crate) fn any_secret(&mut self) -> Result<Option<Vec<u8>>, Error> {
        for resource in Kind::ALL.iter().map(|kind| kind.resource()) {
            let mut attributes = resource.attributes.iter();
            let Some(secret) = attributes.find(|attribute| matches!(attribute.ty, Type::Secret(..))) else {
                continue;
            };
            let sql = format!("SELECT {} FROM {} LIMIT 1", secret.column, resource.table);
            if let Some(row) = self.query_opt(&sql, &[])? {
                return row.blob(0).map(|sealed| Some(sealed.to_vec()));
            }
        }
        Ok(None)
    }

    /// What the database itself finds wrong with its file, one line a fault. Where the database
    /// does not offer such a check, nothing.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn integrity(&mut self) -> Result<Vec<String>, Error> {
        let mut faults = Vec::new();
        for (sql, healthy) in self.connection.dialect().checks {
            for row in self.query(sql, &[])? {
                let cell = |datum: &Datum| match datum {
                    Datum::Null => "NULL".to_owned(),
                    Datum::Int(value) => value.to_string(),
                    Datum::Text(value) => value.clone(),
                    Datum::Blob(_) => "BLOB".to_owned(),
                };
                let line = row.0.iter().map(cell).collect::<Vec<_>>().join(" ");
                if line != *healthy {
                    faults.push(format!("{sql}: {line}"));
                }
            }
        }
        Ok(faults)
    }
}

/// The associated data of a sealed value.
fn place(resource: &Resource, attribute: &Attribute, id: &str) -> String {
    format!("{}.{}:{id}", resource.table, attribute.column)
}

/// The statements of a kind, put together once.
pub(crate) struct Statements {
    insert: String,
    update: String,
    pub select: String,
    stamp: String,
    pub stamps: String,
}

pub(crate) fn statements(resource: &Resource) -> &'static Statements {
    static ALL: std::sync::OnceLock<HashMap<Kind, Statements>> = std::sync::OnceLock::new();
    let all =
        ALL.get_or_init(|| Kind::ALL.iter().map(|kind| (*kind, Statements::of(kind.resource()))).collect());
    &all[&resource.kind]
}

impl Statements {
    fn of(resource: &Resource) -> Self {
        let columns: Vec<&str> = resource.attributes.iter().map(|attribute| attribute.column).collect();
        let width = columns.len();
        let table = resource.table;
        let names: Vec<String> = (1..=width + 3).map(|at| format!("${at}")).collect();
        let sets: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("{column} = ${}", at + 1)).collect();
        let id = resource.position("id").unwrap_or_default() + 1;
        let columns = columns.join(", ");
        // An agent shows its time of creation as an attribute; it must not stand there twice.
        Self {
            insert: format!(
                "INSERT INTO {table} ({columns}, created_at, updated_at, rev) VALUES ({})",
                names.join(", ")
            ),
            update: format!(
                "UPDATE {table} SET {}, updated_at = ${}, rev = rev + 1 WHERE id = ${id} AND rev = ${}",
                sets.join(", "),
                width + 1,
                width + 2
            ),
            select: format!("SELECT {columns}, created_at, updated_at, rev FROM {table}"),
            stamp: format!("SELECT rev, updated_at FROM {table} WHERE id = $1"),
            stamps: format!("SELECT id, rev, updated_at FROM {table}"),
        }
    }
}
