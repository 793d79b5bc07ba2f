//! The cache serves what is committed now, or nothing.

use super::ground::Ground;
use super::samples::policy;
use karez_model::{Kind, Object};
use karez_store::{Error, Query};
use std::collections::BTreeSet;

pub fn a_row_that_was_changed_by_somebody_else_is_read_again(ground: &Ground) {
    let object = ground.insert(&policy("before"));
    assert_eq!(name(ground, &object), "before");
    ground.database.execute("UPDATE ikepolicies SET name = 'behind', rev = rev + 1").expect("changed");
    assert_eq!(name(ground, &object), "behind");

    let other = ground.open_again().expect("another server");
    let mut changed = ground.get(Kind::IkePolicy, object.id()).expect("there").object.clone();
    changed.set("name", "elsewhere");
    ground
        .run(other.write(move |tx| tx.update(changed.clone()).map(drop)))
        .unwrap_or_else(|error: Error| panic!("{error}"));
    assert_eq!(name(ground, &object), "elsewhere");
}

pub fn what_was_rolled_back_is_never_served(ground: &Ground) {
    let object = ground.insert(&policy("kept"));
    for _ in 0..3 {
        assert_eq!(name(ground, &object), "kept");
        let mut changed = object.clone();
        changed.set("name", "undone");
        let result = ground.write(move |tx| {
            let changed = tx.update(changed.clone())?;
            // It sees its own change, and must not leave it to others.
            let own = tx.get(Kind::IkePolicy, changed.id())?.expect("there");
            assert_eq!(own.text("name"), "undone");
            assert_eq!(tx.list(&Query::all(Kind::IkePolicy))?[0].text("name"), "undone");
            Err::<(), _>(Error::Bug("as intended".into()))
        });
        assert!(result.is_err());
    }
    let mut changed = object.clone();
    changed.set("name", "done");
    ground.write(move |tx| tx.update(changed.clone())).expect("updated");
    assert_eq!(name(ground, &object), "done", "it has the revision that the undone one had");
}

pub fn a_row_that_was_replaced_under_its_id_is_read_again(ground: &Ground) {
    let object = ground.insert(&policy("first"));
    assert_eq!(name(ground, &object), "first");
    let mut second = object.clone();
    second.set("name", "second");
    ground
        .write(move |tx| {
            tx.delete(Kind::IkePolicy, second.id())?;
            tx.insert(second.clone())
        })
        .expect("replaced");
    assert_eq!(name(ground, &object), "second", "it has the same revision again");
}

pub fn an_object_that_was_deleted_is_gone_though_it_was_cached(ground: &Ground) {
    let object = ground.insert(&policy("short-lived"));
    assert_eq!(name(ground, &object), "short-lived");
    ground.database.execute("DELETE FROM ikepolicies").expect("deleted");
    assert!(ground.get(Kind::IkePolicy, object.id()).is_none());
    assert!(ground.list(&Query::all(Kind::IkePolicy)).is_empty());
}

pub fn of_some_ids_only_those_are_served_that_are_as_they_were_read(ground: &Ground) {
    let [same, changed, deleted, unread] =
        ["same", "changed", "deleted", "unread"].map(|name| ground.insert(&policy(name)));
    let some = |objects: &[&Object]| {
        let ids: Vec<String> = objects.iter().map(|object| object.id().to_owned()).collect();
        let ids = move || ids.clone();
        let found = ground
            .read(move |tx| tx.get_all(Kind::IkePolicy, ids().iter().map(String::as_str)))
            .expect("read");
        assert!(found.iter().all(|(id, object)| object.id() == id));
        let named: BTreeSet<String> = found.values().map(|object| object.text("name").to_owned()).collect();
        named
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(some(&[&same, &changed, &deleted]), names(&["same", "changed", "deleted"]));
    let sql = format!("UPDATE ikepolicies SET name = 'new', rev = rev + 1 WHERE id = '{}'", changed.id());
    ground.database.execute(&sql).expect("changed");
    ground
        .database
        .execute(&format!("DELETE FROM ikepolicies WHERE id = '{}'", deleted.id()))
        .expect("deleted");
    for _ in 0..2 {
        assert_eq!(some(&[&same, &changed, &deleted, &unread]), names(&["same", "new", "unread"]));
    }
}

/// Its name, which must be the same alone and in a list.
fn name(ground: &Ground, object: &Object) -> String {
    let alone = ground.get(Kind::IkePolicy, object.id()).expect("there").text("name").to_owned();
    let listed = ground.list(&Query::all(Kind::IkePolicy));
    assert_eq!(listed.iter().map(|object| object.text("name")).collect::<Vec<_>>(), [alone.as_str()]);
    alone
}
