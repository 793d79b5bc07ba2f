//! Sealed values and their keys.

use super::ground::Ground;
use super::samples::Known;
use karez_model::{Kind, Object, Secret, Value};
use karez_store::{Error, Keyring, Query};

const KIND: Kind = Kind::IpsecSiteConnection;

pub fn secrets_are_sealed_again_with_the_newest_key(ground: &Ground) {
    // More than one call of reseal takes.
    const COUNT: usize = 450;
    let known = Known::of_every_kind(ground);
    ground.database.execute("DELETE FROM ipsec_site_connections").expect("emptied");
    let connections: Vec<Object> = (0..COUNT).map(|number| connection(&known, &number.to_string())).collect();
    ground
        .write(move |tx| connections.iter().try_for_each(|object| tx.insert(object.clone()).map(drop)))
        .expect("inserted");

    ground.store.keyring().add_key().expect("a key");
    assert_eq!(reseal_all(ground), COUNT as u64);
    assert_eq!(reseal_all(ground), 0, "nothing is left");
    assert_eq!(ground.store.keyring().retire_old_keys().expect("retired"), 1);

    let afresh = ground.open_again().expect("a store");
    let listed = ground
        .run(afresh.read(|tx| tx.list(&Query::all(KIND))))
        .unwrap_or_else(|error: Error| panic!("{error}"));
    assert_eq!(listed.len(), COUNT);
    for stored in listed {
        assert!(psk(&stored) == format!("key of {}", stored.text("name")), "another secret");
    }
}

pub fn a_secret_that_was_moved_to_another_row_is_refused(ground: &Ground) {
    let known = Known::of_every_kind(ground);
    let (mine, theirs) =
        (ground.insert(&connection(&known, "mine")), ground.insert(&connection(&known, "theirs")));
    let sql = format!(
        "UPDATE ipsec_site_connections SET rev = rev + 1, psk =
            (SELECT psk FROM ipsec_site_connections WHERE id = '{}') WHERE id = '{}'",
        theirs.id(),
        mine.id()
    );
    ground.database.execute(&sql).expect("moved");
    let id = mine.id().to_owned();
    assert!(matches!(ground.read(move |tx| tx.get(KIND, &id)), Err(Error::Sealed(_))));
}

/// Otherwise what a running server writes after a rotation could be read by nobody later.
pub fn a_server_that_knows_only_the_old_key_seals_with_the_new_one(ground: &Ground) {
    let known = Known::of_every_kind(ground);
    let rotation = Keyring::open(&ground.folder.path().join("secret.key")).expect("the same keys");
    rotation.add_key().expect("a key");
    reseal_all(ground);
    rotation.retire_old_keys().expect("retired");
    let object = ground.insert(&connection(&known, "late"));

    let afresh = ground.open_again().expect("a store");
    let id = object.id().to_owned();
    let stored = ground.run(afresh.read(move |tx| tx.get(KIND, &id)));
    let stored = stored.unwrap_or_else(|error: Error| panic!("{error}")).expect("there");
    assert!(psk(&stored) == "key of late");
}

/// A row may be read just before it is sealed again, and opened just after its key was retired.
pub fn a_key_that_was_retired_still_opens_what_was_read_before(ground: &Ground) {
    let keyring = ground.store.keyring();
    let before = keyring.seal(&Secret::new("s3cret".into()), "x").expect("sealed");
    let rotation = Keyring::open(&ground.folder.path().join("secret.key")).expect("the same keys");
    rotation.add_key().expect("a key");
    rotation.retire_old_keys().expect("retired");
    let after = rotation.seal(&Secret::new("s3cret".into()), "x").expect("sealed");
    assert!(keyring.open_sealed(&after, "x").is_ok());
    assert!(keyring.open_sealed(&before, "x").is_ok());
}

fn connection(known: &Known, name: &str) -> Object {
    let mut object = known.sample(KIND, 1);
    object.set("id", uuid::Uuid::new_v4().to_string());
    object.set("name", name);
    object.set("psk", Value::Secret(Secret::new(format!("key of {name}"))));
    object
}

fn psk(object: &Object) -> &str {
    match object.get("psk") {
        Value::Secret(secret) => secret.expose(),
        _ => panic!("no secret"),
    }
}

fn reseal_all(ground: &Ground) -> u64 {
    let (mut after, mut resealed) = (String::new(), 0);
    loop {
        let (last, done) = ground.write(move |tx| tx.reseal(KIND, &after)).expect("resealed");
        resealed += done.resealed;
        if !done.is_more {
            return resealed;
        }
        after = last;
    }
}
