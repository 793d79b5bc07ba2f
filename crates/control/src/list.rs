//! Lists, read a part at a time: nobody waits for the whole of one, and nobody who takes it slowly costs more than a part.

use crate::{Control, Failure, ownership};
use karez_model::{Caller, Kind};
use karez_store::{Extent, Lane, Page, Query, Stamps, Store, Stored};
use std::sync::Arc;

/// The octets of a part, about: it ends with the object that passes them.
const PART: usize = 128 << 10;

/// One list as a caller asks for it.
#[derive(Clone)]
pub struct ListRequest {
    /// What to list; its sight is set by policy.
    pub query: Query,
    /// The id that a page begins after.
    pub marker: Option<String>,
}

/// Appends an object as it is shown, or nothing where it is not.
pub type Show = dyn Fn(&Stored, &mut Vec<u8>) + Send + Sync;

/// A list that has begun.
pub struct Listed {
    /// The first objects as they are shown, one after the other.
    pub first: Vec<u8>,
    /// How far the list goes, for the links around it.
    pub extent: Extent,
    /// The others.
    pub rest: Option<Rest>,
}

/// The part of a list that was not read yet.
pub struct Rest {
    store: Store,
    stamps: Arc<Stamps>,
    from: usize,
    show: Arc<Show>,
}

impl Rest {
    /// The next objects as they are shown, one after the other; nothing at the end.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.from >= self.stamps.len() {
            return Ok(None);
        }
        let (stamps, from, show) = (Arc::clone(&self.stamps), self.from, Arc::clone(&self.show));
        let read = self.store.read(move |tx| {
            let mut shown = Vec::with_capacity(PART);
            let next = tx.part(&stamps, from, PART, |stored| append(&*show, stored, &mut shown))?;
            Ok::<_, Failure>((shown, next))
        });
        let (shown, next) = read.await?;
        self.from = next;
        Ok(Some(shown))
    }
}

fn append(show: &Show, stored: &Stored, shown: &mut Vec<u8>) -> usize {
    show(stored, shown);
    shown.len()
}

impl Control {
    /// Lists objects: each is given to `show`, in order. A marker that is not found gives an empty
    /// page.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list(
        &self,
        caller: &Arc<Caller>,
        request: ListRequest,
        show: impl Fn(&Stored, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> Result<Listed, Failure> {
        let ListRequest { mut query, marker } = request;
        query.sight = ownership::sight(&self.policy, caller, query.kind);
        if query.kind == Kind::SecurityGroup {
            self.ensure_default_group(caller).await?;
        }
        let show: Arc<Show> = Arc::new(show);
        let shown_by = Arc::clone(&show);
        let store = self.store.on(Lane::Long);
        let read = store.read(move |tx| {
            let mut query = query.clone();
            if let (Some(page), Some(id)) = (&mut query.page, &marker) {
                // What the caller cannot see is no place to begin at: its neighbours would tell of it.
                let one = Query { page: None, sort: Vec::new(), ..Query::all(query.kind) };
                let one = Query { sight: query.sight.clone(), ..one.with("id", id.as_str()) };
                let Some(stored) = tx.list(&one)?.pop() else { return Ok(None) };
                *page = Page { marker: Some(stored.object.clone()), ..page.clone() };
            }
            let stamps = tx.stamps(&query)?;
            let mut shown = Vec::new();
            let next = tx.part(&stamps, 0, PART, |stored| append(&*shown_by, stored, &mut shown))?;
            Ok::<_, Failure>(Some((shown, stamps, next)))
        });
        let Some((first, stamps, from)) = read.await? else {
            return Ok(Listed { first: Vec::new(), extent: Extent::default(), rest: None });
        };
        let (extent, is_whole) = (stamps.extent(), from >= stamps.len());
        let rest = (!is_whole).then(|| Rest { store: store.clone(), stamps: Arc::new(stamps), from, show });
        Ok(Listed { first, extent, rest })
    }
}
