//! Lists that are read a part at a time, so that however long one is only a part of it is in memory.

use crate::cache::Stored;
use crate::objects::{CHUNK, statements};
use crate::{Error, Query, Tx};
use karez_model::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many objects are read at first, when their size is not known.
const TRIAL: usize = 16;

/// What a list is of: each object with the revision that it had.
pub struct Stamps {
    kind: Kind,
    pub(crate) all: Vec<Stamp>,
}

pub(crate) struct Stamp {
    id: Box<str>,
    /// Revision and time of the last change.
    stamp: (i64, i64),
}

/// How far a list goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many objects there are.
    pub count: u64,
    /// The id of the first.
    pub first: Option<String>,
    /// The id of the last.
    pub last: Option<String>,
}

impl Stamps {
    /// How far the list goes. Objects that are deleted before they are read count: a page that loses one is still a full
    /// page.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let id = |stamp: Option<&Stamp>| stamp.map(|stamp| stamp.id.to_string());
        Extent { count: self.len() as u64, first: id(self.all.first()), last: id(self.all.last()) }
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Tx<'_> {
    /// The objects that a query asks for, in its order, to be read by [`Tx::part`]. Going backwards, a page still comes in
    /// forward order.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn stamps(&mut self, query: &Query) -> Result<Stamps, Error> {
        let (clauses, params) = query.clauses(self.connection.dialect());
        let rows = self.query(&format!("{}{clauses}", statements(query.kind.resource()).stamps), &params)?;
        let stamp = |row: &crate::Row| {
            Ok::<_, Error>(Stamp { id: row.text(0)?.into(), stamp: (row.int(1)?, row.int(2)?) })
        };
        let mut all = rows.iter().map(stamp).collect::<Result<Vec<_>, _>>()?;
        if query.page.as_ref().is_some_and(|page| page.is_reverse) {
            all.reverse();
        }
        Ok(Stamps { kind: query.kind, all })
    }

    /// Reads on in a list, from the object at `from`, and gives each to `visit`, which answers with the octets that it has
    /// come to by then; at `enough` of them the part ends. Returns at which object the next one begins. What was deleted
    /// meanwhile is left out.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn part(
        &mut self,
        stamps: &Stamps,
        from: usize,
        enough: usize,
        mut visit: impl FnMut(&Arc<Stored>) -> usize,
    ) -> Result<usize, Error> {
        let (mut at, mut octets, mut next) = (from, 0, TRIAL);
        while at < stamps.len() && octets < enough {
            let end = stamps.len().min(at + next);
            for stored in self.chunk(stamps.kind, &stamps.all[at..end])? {
                at += 1;
                octets = stored.map_or(octets, |stored| visit(&stored));
                if octets >= enough {
                    return Ok(at);
                }
            }
            let each = (octets / (at - from)).max(1);
            next = ((enough - octets) / each).clamp(1, CHUNK);
        }
        Ok(at)
    }

    /// The objects of some stamps. One that was deleted meanwhile is nothing.
    pub(crate) fn chunk(&mut self, kind: Kind, stamps: &[Stamp]) -> Result<Vec<Option<Arc<Stored>>>, Error> {
        let mut found: Vec<Option<Arc<Stored>>> = Vec::with_capacity(stamps.len());
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, Stamp { id, stamp }) in stamps.iter().enumerate() {
            let stored = self.shared.cache.get(kind, id, *stamp);
            if stored.is_none() {
                missing.insert(id, at);
            }
            found.push(stored);
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let ids: Vec<&str> = missing.keys().copied().collect();
        for row in self.by_ids(&statements(kind.resource()).select, &ids)? {
            let stored = self.load(kind, &row)?;
            if let Some(at) = missing.get(stored.object.id()) {
                found[*at] = Some(stored);
            }
        }
        Ok(found)
    }
}
