//! One nftables table per purpose, changed in one transaction.
//!
//! A [`Table`] is a value: sets of address pairs, chains, rules. [`Table::ensure`] makes a namespace have exactly that
//! table, by the program `nft` with typed JSON, and does nothing when it has. [`Table::ensure_after`] is told what was
//! there before, and changes no more than what differs. Other tables are never touched.
//!
//! How nftables hangs together, as far as it decides what the rules here look like (each is shown by a test):
//!
//! - `accept` ends one base chain only; the next one at the same hook still sees the packet. `drop` is final.
//! - Among NAT chains at one hook, the first that translates is the last that is asked. `accept` does not translate, so
//!   it exempts nothing from another table's masquerading. [`Action::KeepSource`] translates a source to itself, which
//!   does, for IPv4 and IPv6 alike.
//! - NAT chains see the first packet of a connection only. A connection that began before the exemption keeps its
//!   translation until it is forgotten: see [`crate::conntrack`].
//! - Elements of a concatenated interval set must not overlap; [`Pairs`] and [`CountedPairs`] see to that.

mod ask;
mod difference;
mod encode;
mod expression;
mod imprint;
mod live;
mod pairs;
mod rule;
mod shapes;
mod statement;
mod table;

pub use live::{Change, Count, counters, exists, remove};
pub use pairs::{CountedPairs, Pair, Pairs};
pub use rule::{Action, Condition, Rule};
pub use shapes::{
    clamp_mss, drop_unless_came_from, drop_unless_came_protected, drop_unless_leaves_protected,
    drop_unless_leaves_through, keep_source, masquerade_except,
};
pub use table::{Chain, Hook, PairCounters, PairSet, Table, priority};
