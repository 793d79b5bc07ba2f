//! Tables and their steps.

use super::ground::Ground;
use super::samples::{Known, policy};
use karez_model::Kind;
use karez_store::Error;

pub fn every_attribute_has_its_column(ground: &Ground) {
    for kind in Kind::ALL {
        let resource = kind.resource();
        let bookkeeping = ["created_at", "updated_at", "rev"];
        for column in resource.attributes.iter().map(|attribute| attribute.column).chain(bookkeeping) {
            let sql = format!("SELECT COUNT({column}) FROM {}", resource.table);
            let count = ground.database.number(&sql);
            assert!(count.is_ok(), "{}.{column}: {count:?}", resource.table);
        }
    }
}

pub fn opening_twice_migrates_once(ground: &Ground) {
    let steps = || ground.database.texts("SELECT name FROM schema_steps ORDER BY name").expect("steps");
    let before = steps();
    assert!(!before.is_empty());
    let object = ground.insert(&policy("kept"));
    let again = ground.open_again().expect("a store");
    assert_eq!(steps(), before);
    let id = object.id().to_owned();
    let kept = ground.run(again.read(move |tx| Ok::<_, Error>(tx.get(Kind::IkePolicy, &id)?.is_some())));
    assert!(kept.expect("read"));
}

pub fn a_newer_schema_is_refused_by_name(ground: &Ground) {
    let sql = "INSERT INTO schema_steps (name, applied_at) VALUES ('9999_from_the_future', 0)";
    ground.database.execute(sql).expect("a step");
    match ground.open_again() {
        Err(Error::Unavailable(why)) => assert!(why.contains("9999_from_the_future"), "{why}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

pub fn a_sound_database_has_no_faults(ground: &Ground) {
    Known::of_every_kind(ground);
    let faults = ground.read(|tx| tx.integrity()).expect("checked");
    assert!(faults.is_empty(), "{faults:?}");
}
