//! Which objects a list has.

use super::ground::Ground;
use super::samples::{Known, policy};
use karez_model::{Kind, Object, Value};
use karez_store::{Extra, Filter, Query, Sight};
use serde_json::json;
use std::collections::BTreeSet;

pub fn a_caller_sees_his_project_and_what_is_public(ground: &Ground) {
    let mut known = Known::default();
    for (name, project, is_shared, is_external) in [
        ("own", "a", false, false),
        ("other", "b", false, false),
        ("shared", "b", true, false),
        ("outside", "b", false, true),
    ] {
        let mut network = known.sample(Kind::Network, 1);
        network.set("name", name);
        network.set("project_id", project);
        network.set("shared", is_shared);
        network.set("router:external", is_external);
        known.remember(&ground.insert(&network));
        let mut subnet = known.sample(Kind::Subnet, 1);
        subnet.set("name", name);
        subnet.set("project_id", project);
        ground.insert(&subnet);
    }
    let seen = |kind: Kind, sight: Sight| names(&ground.list(&Query { sight, ..Query::all(kind) }));
    for kind in [Kind::Network, Kind::Subnet] {
        assert_eq!(seen(kind, Sight::All), set(&["own", "other", "shared", "outside"]));
        assert_eq!(seen(kind, Sight::Project("a".into())), set(&["own", "shared", "outside"]));
        assert_eq!(seen(kind, Sight::Public), set(&["shared", "outside"]));
        assert_eq!(seen(kind, Sight::Nothing), set(&[]));
    }

    let mut own = policy("own");
    own.set("project_id", "a");
    ground.insert(&own);
    ground.insert(&policy("other"));
    assert_eq!(seen(Kind::IkePolicy, Sight::Project("a".into())), set(&["own"]));
    assert_eq!(seen(Kind::IkePolicy, Sight::Public), set(&[]), "a policy is never public");

    let mut flavor = known.sample(Kind::Flavor, 1);
    flavor.set("name", "gold");
    ground.insert(&flavor);
    assert_eq!(
        seen(Kind::Flavor, Sight::Project("a".into())),
        set(&["gold"]),
        "operators' things are for all"
    );
    assert_eq!(seen(Kind::Flavor, Sight::Nothing), set(&[]));
}

pub fn filters_on_one_attribute_are_alternatives_and_on_several_all_hold(ground: &Ground) {
    for (name, mtu, is_shared) in
        [("a", 1400, true), ("b", 1500, true), ("B", 1500, false), ("c", 9000, true)]
    {
        let mut network = Known::default().sample(Kind::Network, 1);
        network.set("name", name);
        network.set("mtu", i64::from(mtu));
        network.set("shared", is_shared);
        ground.insert(&network);
    }
    let with = |filters: &[(&str, &[Value])]| {
        let filter = |(name, values): &(&str, &[Value])| Filter {
            attribute: Kind::Network.resource().attribute(name).expect("an attribute"),
            values: values.to_vec(),
        };
        names(
            &ground
                .list(&Query { filters: filters.iter().map(filter).collect(), ..Query::all(Kind::Network) }),
        )
    };
    assert_eq!(with(&[("name", &["a".into(), "B".into(), "nobody".into()])]), set(&["a", "B"]));
    assert_eq!(with(&[("mtu", &[1500_i64.into()])]), set(&["b", "B"]));
    assert_eq!(with(&[("mtu", &[1500_i64.into()]), ("shared", &[true.into()])]), set(&["b"]));
    assert_eq!(with(&[("shared", &[true.into(), false.into()])]), set(&["a", "b", "B", "c"]));
    assert_eq!(with(&[("name", &["' OR 1=1 --".into()])]), set(&[]));
}

pub fn a_filter_without_values_finds_nothing(ground: &Ground) {
    ground.insert(&policy("there"));
    let attribute = Kind::IkePolicy.resource().attribute("name").expect("an attribute");
    let filters = vec![Filter { attribute, values: Vec::new() }];
    assert!(ground.list(&Query { filters, ..Query::all(Kind::IkePolicy) }).is_empty());
}

pub fn tags_are_compared_as_they_are(ground: &Ground) {
    for (name, tags) in [
        ("none", json!([])),
        ("red", json!(["red"])),
        ("Red", json!(["Red"])),
        ("redder", json!(["redder", "50%"])),
        ("two", json!(["red", "blue"])),
        ("odd", json!(["a_b", "q\"uo\\te", "50%", "grün"])),
    ] {
        let mut network = Known::default().sample(Kind::Network, 1);
        network.set("name", name);
        network.set("tags", tags);
        ground.insert(&network);
    }
    let with = |extra: fn(Vec<String>) -> Extra, tags: &[&str]| {
        let extras = vec![extra(tags.iter().map(|tag| (*tag).to_owned()).collect())];
        names(&ground.list(&Query { extras, ..Query::all(Kind::Network) }))
    };
    assert_eq!(with(Extra::AllTags, &["red"]), set(&["red", "two"]), "not Red, not redder");
    assert_eq!(with(Extra::AllTags, &["red", "blue"]), set(&["two"]));
    assert_eq!(with(Extra::AnyTag, &["Red", "blue"]), set(&["Red", "two"]));
    assert_eq!(with(Extra::AnyTag, &["a%b", "axb", "re_", "%", ""]), set(&[]), "nothing stands for anything");
    assert_eq!(with(Extra::AllTags, &["a_b", "q\"uo\\te", "grün"]), set(&["odd"]));
    assert_eq!(with(Extra::AnyTag, &["50%"]), set(&["redder", "odd"]));
    assert_eq!(with(Extra::NotAllTags, &["red", "blue"]), set(&["none", "red", "Red", "redder", "odd"]));
    assert_eq!(with(Extra::NoTag, &["red", "50%"]), set(&["none", "Red"]));
    let long = "x".repeat(60_000);
    assert_eq!(with(Extra::AnyTag, &[&long]), set(&[]), "a long one is no fault");
}

pub fn ports_are_found_by_subnet_and_address(ground: &Ground) {
    let known = Known::of_every_kind(ground);
    let (port, subnet, network) = (known.id(Kind::Port), known.id(Kind::Subnet), known.id(Kind::Network));
    let mut other = known.sample(Kind::Port, 2);
    other.set("id", uuid::Uuid::new_v4().to_string());
    ground.insert(&other);
    let sql = format!("INSERT INTO ip_allocations VALUES ('{subnet}', '10.0.0.5', '{network}', '{port}')");
    ground.database.execute(&sql).expect("an address");
    let found = |extra: Extra| {
        let listed = ground.list(&Query { extras: vec![extra], ..Query::all(Kind::Port) });
        listed.iter().map(|port| port.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(Extra::OnSubnet(vec![subnet.into()])), [port]);
    assert_eq!(found(Extra::WithAddress(vec!["10.0.0.5".into(), "10.0.0.6".into()])), [port]);
    assert!(found(Extra::WithAddress(vec!["10.0.0.6".into()])).is_empty());
}

pub fn connections_are_found_by_the_router_of_their_service(ground: &Ground) {
    let mut known = Known::of_every_kind(ground);
    let mut expected =
        vec![(known.id(Kind::Router).to_owned(), vec![known.id(Kind::IpsecSiteConnection).to_owned()])];
    for kind in [Kind::Router, Kind::VpnService, Kind::IpsecSiteConnection] {
        let mut other = known.sample(kind, 2);
        other.set("id", uuid::Uuid::new_v4().to_string());
        known.remember(&ground.insert(&other));
    }
    expected.push((known.id(Kind::Router).to_owned(), vec![known.id(Kind::IpsecSiteConnection).to_owned()]));
    expected.push(("nobody".to_owned(), Vec::new()));
    for (router, connections) in expected {
        let extras = vec![Extra::OnRouter(vec![router])];
        let found = ground.list(&Query { extras, ..Query::all(Kind::IpsecSiteConnection) });
        assert_eq!(found.iter().map(Object::id).collect::<Vec<_>>(), connections);
    }
}

pub fn objects_are_counted_by_project(ground: &Ground) {
    for project in ["a", "b", "a"] {
        let mut object = policy("any");
        object.set("project_id", project);
        ground.insert(&object);
    }
    let count =
        |project: &'static str| ground.read(move |tx| tx.count(Kind::IkePolicy, project)).expect("counted");
    assert_eq!([count("a"), count("b"), count("c")], [2, 1, 0]);
}

fn names(objects: &[Object]) -> BTreeSet<String> {
    objects.iter().map(|object| object.text("name").to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
