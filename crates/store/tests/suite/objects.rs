//! Objects of every kind in and out.

use super::ground::Ground;
use super::samples::{KINDS, Known, policy};
use karez_model::attribute::{Post, Preset};
use karez_model::{Attribute, Kind, Object, Value};
use karez_store::{Error, Query, Tx};

pub fn an_object_of_every_kind_comes_back_as_it_was_stored(ground: &Ground) {
    let mut known = Known::default();
    for kind in KINDS {
        let inserted = ground.insert(&known.sample(kind, 1));
        assert_eq!(inserted.meta.rev, 0);
        must_be_stored(ground, &inserted);

        let mut changed = known.sample(kind, 2);
        changed.set("id", inserted.id());
        changed.meta = inserted.meta;
        let changed = ground.write(move |tx| tx.update(changed.clone())).expect("updated");
        assert_eq!((changed.meta.rev, changed.meta.created_at), (1, inserted.meta.created_at), "{kind:?}");
        assert!(changed != inserted, "{kind:?} was not changed");
        must_be_stored(ground, &changed);
        known.remember(&changed);
    }
    for kind in KINDS.into_iter().rev() {
        let id = known.id(kind).to_owned();
        assert!(ground.write(move |tx| tx.delete(kind, &id)).expect("deleted"), "{kind:?} was not there");
        assert!(ground.get(kind, known.id(kind)).is_none(), "{kind:?} is still there");
        let id = known.id(kind).to_owned();
        assert!(!ground.write(move |tx| tx.delete(kind, &id)).expect("deleted"), "{kind:?} was there twice");
    }
}

pub fn null_is_a_value_wherever_an_attribute_may_be_null(ground: &Ground) {
    let known = Known::of_every_kind(ground);
    for kind in KINDS {
        let mut object = known.sample(kind, 3);
        object.set("id", uuid::Uuid::new_v4().to_string());
        // What the server makes is never stored as null, nor is a list, where null means none.
        let made = ["ip_version", "allocation_pools", "mac_address", "fixed_ips", "security_groups"];
        let is_list = |attribute: &Attribute| attribute.post == Post::Default(Preset::Empty);
        let nullable = kind.resource().attributes.iter().filter(|attribute| attribute.nullable);
        for attribute in nullable.filter(|attribute| !is_list(attribute)) {
            if !made.contains(&attribute.name) && attribute.name != "floating_ip_address" {
                object.set(attribute.name, Value::Null);
            }
        }
        must_be_stored(ground, &ground.insert(&object));
    }
}

pub fn a_node_is_shown_as_an_agent(ground: &Ground) {
    node(ground, "node", 7);
    let agent = ground.get(Kind::Agent, "node").expect("an agent");
    assert_eq!(agent.text("host"), "node.example");
    assert!(!agent.flag("alive"), "its lease has ended");
    assert!(!agent.flag("resources_synced"), "it has applied nothing");
    assert_eq!(ground.list(&Query::all(Kind::Agent)).len(), 1);
}

pub fn an_object_that_others_refer_to_is_not_deleted(ground: &Ground) {
    let known = Known::of_every_kind(ground);
    for kind in [Kind::Network, Kind::Router, Kind::Subnet, Kind::IkePolicy, Kind::VpnService, Kind::Flavor] {
        let id = known.id(kind).to_owned();
        let result = ground.write(move |tx| tx.delete(kind, &id));
        assert!(matches!(result, Err(Error::Reference(_))), "{kind:?}: {result:?}");
        assert!(ground.get(kind, known.id(kind)).is_some(), "{kind:?} is gone");
    }
}

pub fn the_same_id_is_not_inserted_twice(ground: &Ground) {
    let first = ground.insert(&policy("first"));
    let mut second = policy("second");
    second.set("id", first.id());
    let result = ground.write(move |tx| tx.insert(second.clone()));
    assert!(matches!(result, Err(Error::Unique(_))));
    must_be_stored(ground, &first);
}

/// Inserts a node whose desired state has this revision.
pub fn node(ground: &Ground, id: &str, desired_rev: i64) {
    let sql = format!(
        "INSERT INTO nodes (id, host, agent_type, binary_name, topic, admin_state_up, configurations,
            desired_rev, applied_rev, epoch, lease_until, created_at, started_at, heartbeat_at, updated_at, rev)
         VALUES ('{id}', '{id}.example', 'VPN Agent', 'karez', 'karez', 1, '{{}}', {desired_rev}, 0, 0, 0, 0, 0, 0, 0, 0)"
    );
    ground.database.execute(&sql).expect("a node");
}

/// One by one and in a list, the first time and from the cache.
fn must_be_stored(ground: &Ground, object: &Object) {
    for _ in 0..2 {
        let stored = ground.get(object.kind(), object.id()).expect("stored");
        for ((attribute, expected), (_, value)) in object.iter().zip(stored.iter()) {
            assert!(value == expected, "{}.{} is another one", object.resource().table, attribute.name);
        }
        assert_eq!(stored.meta, object.meta);
        let listed = ground.list(&Query::all(object.kind()).with("id", object.id()));
        assert!(listed.len() == 1 && listed[0] == *object, "{} in a list", object.resource().table);
    }
}

pub fn objects_of_more_ids_than_fit_into_one_statement_are_all_found(ground: &Ground) {
    let objects: Vec<Object> = (0..600).map(|number| policy(&format!("{number}"))).collect();
    let inserted = objects.clone();
    ground
        .write(move |tx| inserted.iter().try_for_each(|object| tx.insert(object.clone()).map(drop)))
        .expect("inserted");
    for most in [0, 1, 2, 255, 256, 257, 600] {
        let ids: Vec<String> = objects[..most].iter().map(|object| object.id().to_owned()).collect();
        let asked = ids.clone();
        let twice_and_nobody = move |tx: &mut Tx<'_>| {
            let ids = asked.iter().chain(&asked).map(String::as_str);
            tx.get_all(Kind::IkePolicy, ids.chain(["nobody", ""]))
        };
        let found = ground.read(twice_and_nobody).expect("read");
        assert_eq!(found.len(), most);
        for (object, id) in objects.iter().zip(&ids) {
            assert_eq!(found[id].text("name"), object.text("name"));
        }
    }
}
