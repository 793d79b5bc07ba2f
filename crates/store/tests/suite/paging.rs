//! The order of lists and the pages that are cut from it, against a model in memory.

use super::ground::Ground;
use super::samples::{Known, policy};
use karez_model::{Kind, Object, Value};
use karez_store::{Direction, Page, Query};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::cmp::Ordering;

/// Two of each case, accents, ligatures, an emoji, what has a meaning in SQL, and blanks.
const LETTERS: &str = "aAzZäÄß中😀09 '%_\\\"-~";
/// A text, a text that may be null, a number that may be null, a truth, a number.
const KEYS: [&str; 5] = ["name", "provider:physical_network", "provider:segmentation_id", "shared", "mtu"];

#[derive(Clone, Debug)]
struct Fields {
    name: String,
    physical: Option<String>,
    segment: Option<i64>,
    is_shared: bool,
    mtu: i64,
}

#[derive(Clone, Debug)]
struct Case {
    networks: Vec<Fields>,
    sort: Vec<(&'static str, bool)>,
    limit: usize,
}

/// However it is cut, a list is the same; a part ends at the first object that makes it large enough, and passes over what was
/// deleted meanwhile.
pub fn a_list_is_read_in_parts(ground: &Ground) {
    let all: Vec<Object> = (0..300).map(|number| ground.insert(&policy(&format!("part-{number}")))).collect();
    let query = Query::all(Kind::IkePolicy);
    let parts = |each: usize| {
        let query = query.clone();
        let read = move |tx: &mut karez_store::Tx<'_>| {
            let stamps = tx.stamps(&query)?;
            let (mut from, mut parts) = (0, Vec::new());
            while from < stamps.len() {
                let mut part = Vec::new();
                from = tx.part(&stamps, from, each * 10, |stored| {
                    part.push(stored.id().to_owned());
                    part.len() * 10
                })?;
                parts.push(part);
            }
            assert_eq!(stamps.extent().count, stamps.len() as u64);
            Ok(parts)
        };
        ground.read(read).expect("read")
    };
    let whole: Vec<String> = all.iter().map(|object| object.id().to_owned()).collect();
    for each in [1, 7, 64, 299, 300, 1000] {
        let parts = parts(each);
        assert_eq!(parts.concat(), whole, "{each} a part");
        assert!(parts.iter().rev().skip(1).all(|part| part.len() == each), "{each} a part");
    }
    let stamps = {
        let query = query.clone();
        ground.read(move |tx| tx.stamps(&query)).expect("read")
    };
    let gone = whole[150].clone();
    ground.write(move |tx| tx.delete(Kind::IkePolicy, &gone)).expect("deleted");
    // Another store has nothing of it in its cache.
    let other = ground.open_again().expect("a store");
    let left = ground.run(other.read(move |tx| {
        let mut left = Vec::new();
        let end = tx.part(&stamps, 140, usize::MAX, |stored| {
            left.push(stored.id().to_owned());
            left.len()
        })?;
        assert_eq!(end, stamps.len());
        Ok::<_, karez_store::Error>(left)
    }));
    let expected = [&whole[140..150], &whole[151..]].concat();
    assert_eq!(left.expect("read"), expected);
}

pub fn pages_in_both_directions_are_cut_from_one_order(ground: &Ground) {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&case(), |case| {
        check(ground, &case);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

pub fn without_pages_and_keys_the_order_is_that_of_creation(ground: &Ground) {
    let names = ["third", "First", "second"];
    for name in names {
        ground.insert(&policy(name));
    }
    let listed = ground.list(&Query::all(Kind::IkePolicy));
    assert_eq!(listed.iter().map(|object| object.text("name")).collect::<Vec<_>>(), names);
}

fn case() -> impl Strategy<Value = Case> {
    let text = || vec(select(LETTERS.chars().collect::<Vec<_>>()), 0..4).prop_map(String::from_iter);
    let fields =
        (text(), proptest::option::of(text()), proptest::option::of(0..3_i64), any::<bool>(), 68..71_i64)
            .prop_map(|(name, physical, segment, is_shared, mtu)| Fields {
                name,
                physical,
                segment,
                is_shared,
                mtu,
            });
    let sort = vec((select(&KEYS[..]), any::<bool>()), 0..4);
    (vec(fields, 0..14), sort, 1..6_usize).prop_map(|(networks, sort, limit)| Case { networks, sort, limit })
}

fn check(ground: &Ground, case: &Case) {
    ground.database.execute("DELETE FROM networks").expect("emptied");
    let networks: Vec<Object> = case.networks.iter().map(network).collect();
    let stored = ground
        .write(move |tx| {
            networks.iter().map(|object| tx.insert(object.clone())).collect::<Result<Vec<_>, _>>()
        })
        .expect("stored");
    let model = sorted(stored, &case.sort);
    let ids: Vec<&str> = model.iter().map(Object::id).collect();

    let mut forward: Vec<Object> = Vec::new();
    let mut page = at(ground, case, None, false);
    while !page.is_empty() {
        assert!(page.len() <= case.limit, "{case:?}");
        forward.extend(page);
        page = at(ground, case, forward.last(), false);
    }
    assert_eq!(forward.iter().map(Object::id).collect::<Vec<_>>(), ids, "forward {case:?}");

    let mut backward: Vec<Object> = Vec::new();
    let mut page = at(ground, case, None, true);
    while !page.is_empty() {
        assert!(page.len() <= case.limit, "{case:?}");
        backward.splice(0..0, page);
        page = at(ground, case, backward.first(), true);
    }
    assert_eq!(backward.iter().map(Object::id).collect::<Vec<_>>(), ids, "backward {case:?}");

    if !case.sort.is_empty() {
        let whole = ground.list(&Query { page: None, ..query(case, None, false) });
        assert_eq!(whole.iter().map(Object::id).collect::<Vec<_>>(), ids, "whole {case:?}");
    }
}

fn network(fields: &Fields) -> Object {
    let mut object = Known::default().sample(Kind::Network, 1);
    object.set("name", fields.name.as_str());
    object.set("provider:physical_network", fields.physical.clone());
    object.set("provider:segmentation_id", fields.segment.map_or(Value::Null, Value::Int));
    object.set("shared", fields.is_shared);
    object.set("mtu", fields.mtu);
    object
}

fn at(ground: &Ground, case: &Case, marker: Option<&Object>, is_reverse: bool) -> Vec<Object> {
    ground.list(&query(case, marker, is_reverse))
}

fn query(case: &Case, marker: Option<&Object>, is_reverse: bool) -> Query {
    let resource = Kind::Network.resource();
    let sort = case.sort.iter().map(|(name, descends)| {
        let direction = if *descends { Direction::Descending } else { Direction::Ascending };
        (resource.attribute(name).expect("an attribute"), direction)
    });
    let page = Page { limit: case.limit as u64, marker: marker.cloned(), is_reverse };
    Query { sort: sort.collect(), page: Some(page), ..Query::all(Kind::Network) }
}

/// By code points; null is the same as the smallest value; at last by id.
fn sorted(mut objects: Vec<Object>, sort: &[(&str, bool)]) -> Vec<Object> {
    let number = |value: &Value| match value {
        Value::Int(number) => *number,
        Value::Bool(truth) => i64::from(*truth),
        _ => -1,
    };
    let compare = |name: &str, a: &Object, b: &Object| match name {
        "name" | "provider:physical_network" => a.text(name).as_bytes().cmp(b.text(name).as_bytes()),
        _ => number(a.get(name)).cmp(&number(b.get(name))),
    };
    objects.sort_by(|a, b| {
        let keyed = sort.iter().fold(Ordering::Equal, |order, (name, descends)| {
            order.then_with(|| if *descends { compare(name, b, a) } else { compare(name, a, b) })
        });
        keyed.then_with(|| a.id().cmp(b.id()))
    });
    objects
}
