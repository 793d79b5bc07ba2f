//! The callers of tokens that were looked up lately, so that a request does not need the database.
//!
//! An entry is good for a few seconds, because another replica may change what it was made from;
//! a change in this process ends it at once. For that, each entry carries a stamp that was read
//! *before* the database was: a change that commits in between makes the stamp differ, and the
//! entry is never used.

use crate::clock::micros_of;
use crate::token::TokenHash;
use karez_model::Caller;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long an entry is used before the database is asked again.
const FRESH: Duration = Duration::from_secs(5);
/// Revoking one token ends this fraction of the entries.
const STRIPES: usize = 256;

pub(super) struct TokenCache {
    entries: Cache<TokenHash, Entry>,
    changes: AtomicU64,
    revocations: Box<[AtomicU64]>,
}

/// Says what was known of changes at a time. Both numbers that it adds up only grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64);

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    looked_up_at: i64,
    expires_at: i64,
    stamp: Stamp,
}

impl TokenCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: Cache::new(capacity),
            changes: AtomicU64::new(0),
            revocations: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The caller with this token, when that is known for certain without the database.
    pub(super) fn get(&self, token: &TokenHash, now: i64) -> Option<Arc<Caller>> {
        let entry = self.entries.get(token)?;
        let age = now - entry.looked_up_at;
        let is_fresh = (0..micros_of(FRESH)).contains(&age) && now < entry.expires_at;
        (is_fresh && entry.stamp == self.stamp(token)).then_some(entry.caller)
    }

    /// To be taken before the database is asked about the token.
    pub(super) fn stamp(&self, token: &TokenHash) -> Stamp {
        Stamp(self.changes.load(Ordering::Acquire) + self.stripe(token).load(Ordering::Acquire))
    }

    pub(super) fn insert(
        &self,
        token: TokenHash,
        caller: Arc<Caller>,
        stamp: Stamp,
        now: i64,
        expires_at: i64,
    ) {
        self.entries.insert(token, Entry { caller, looked_up_at: now, expires_at, stamp });
    }

    /// Ends the entry of one token, and few others.
    pub(super) fn revoke(&self, token: &TokenHash) {
        self.stripe(token).fetch_add(1, Ordering::AcqRel);
        self.entries.remove(token);
    }

    /// Ends all entries.
    pub(super) fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn stripe(&self, token: &TokenHash) -> &AtomicU64 {
        &self.revocations[usize::from(token.as_bytes()[0])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use karez_model::Scope;

    const NOW: i64 = 1_000_000_000;
    const LATE: i64 = i64::MAX;

    fn caller() -> Arc<Caller> {
        let roles = vec!["member".to_owned()];
        Arc::new(Caller { user_id: "u".into(), scope: Scope::Unscoped, domain_id: "default".into(), roles })
    }

    fn filled(token: &TokenHash) -> TokenCache {
        let cache = TokenCache::new(16);
        cache.insert(*token, caller(), cache.stamp(token), NOW, LATE);
        cache
    }

    #[test]
    fn an_entry_is_good_for_five_seconds() {
        let token = TokenHash::of("t");
        let cache = filled(&token);
        assert!(cache.get(&token, NOW + 4_999_999).is_some());
        assert!(cache.get(&token, NOW + 5_000_000).is_none());
        assert!(cache.get(&token, NOW - 1).is_none(), "the clock was set back");
    }

    #[test]
    fn an_entry_ends_with_its_token() {
        let token = TokenHash::of("t");
        let cache = TokenCache::new(16);
        cache.insert(token, caller(), cache.stamp(&token), NOW, NOW + 10);
        assert!(cache.get(&token, NOW + 9).is_some());
        assert!(cache.get(&token, NOW + 10).is_none());
    }

    #[test]
    fn a_change_ends_all_entries() {
        let token = TokenHash::of("t");
        let cache = filled(&token);
        cache.forget_all();
        assert!(cache.get(&token, NOW).is_none());
    }

    #[test]
    fn a_revocation_ends_the_entry_of_its_token() {
        let (token, other) = (TokenHash::of("t"), TokenHash::of("other"));
        assert_ne!(token.as_bytes()[0], other.as_bytes()[0]);
        let cache = filled(&token);
        cache.revoke(&other);
        assert!(cache.get(&token, NOW).is_some());
        cache.revoke(&token);
        assert!(cache.get(&token, NOW).is_none());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_used_after_it() {
        let token = TokenHash::of("t");
        for change in [TokenCache::forget_all, |cache: &TokenCache| cache.revoke(&TokenHash::of("t"))] {
            let cache = TokenCache::new(16);
            let stamp = cache.stamp(&token);
            change(&cache);
            cache.insert(token, caller(), stamp, NOW, LATE);
            assert!(cache.get(&token, NOW).is_none());
        }
    }
}
