//! Objects that were read lately, each good as long as its row has the same revision.
//!
//! Every read asks the database for the revisions of the rows it is about, and takes from here
//! what has not changed. So the cache is right without being told of changes, however many
//! servers write.

use karez_model::{Kind, Object, Type};
use quick_cache::sync::Cache as Table;
use quick_cache::{Equivalent, Weighter};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// What the cache may hold, in bytes. The resident memory of a server stays bounded by it.
const CAPACITY: u64 = 8 << 20;

/// An object as it was stored, and a place for the form in which it is shown.
pub struct Stored {
    /// The object.
    pub object: Object,
    face: OnceLock<Zeroizing<Vec<u8>>>,
}

impl Stored {
    pub(crate) fn new(object: Object) -> Self {
        Self { object, face: OnceLock::new() }
    }

    /// The bytes in which the whole object is shown, made once. Wiped on drop: they may hold a
    /// secret.
    pub fn face(&self, render: impl FnOnce(&Object) -> Vec<u8>) -> &[u8] {
        self.face.get_or_init(|| Zeroizing::new(render(&self.object)))
    }
}

impl std::ops::Deref for Stored {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

pub(crate) struct Cache {
    table: Table<(Kind, String), Arc<Stored>, Bytes>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<(Kind, String), Arc<Stored>> for Bytes {
    /// About what an entry takes with its face: each value once as value and once as text.
    fn weight(&self, _: &(Kind, String), stored: &Arc<Stored>) -> u64 {
        let value = |(attribute, value): (&karez_model::Attribute, &karez_model::Value)| match attribute.ty {
            Type::Derived | Type::Anything | Type::Custom(..) | Type::Cidrs | Type::Texts => {
                3 * value.to_json().to_string().len() as u64 + 128
            }
            _ => 96,
        };
        256 + stored.object.iter().map(value).sum::<u64>()
    }
}

/// A key that is not owned. It hashes like the one that is.
#[derive(Hash)]
struct Key<'a>(Kind, &'a str);

impl Equivalent<(Kind, String)> for Key<'_> {
    fn equivalent(&self, key: &(Kind, String)) -> bool {
        (self.0, self.1) == (key.0, key.1.as_str())
    }
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { table: Table::with_weighter(8192, CAPACITY, Bytes) }
    }

    /// Whether asking for the revision may save reading the row.
    pub(crate) fn has(&self, kind: Kind, id: &str) -> bool {
        self.table.contains_key(&Key(kind, id))
    }

    /// The object, when the cache has it at this revision and time of change.
    pub(crate) fn get(&self, kind: Kind, id: &str, stamp: (i64, i64)) -> Option<Arc<Stored>> {
        let stored = self.table.get(&Key(kind, id))?;
        ((stored.object.meta.rev, stored.object.meta.updated_at) == stamp).then_some(stored)
    }

    pub(crate) fn put(&self, stored: &Arc<Stored>) {
        self.table.insert((stored.object.kind(), stored.object.id().to_owned()), Arc::clone(stored));
    }
}
