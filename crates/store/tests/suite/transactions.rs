//! One use case at a time: all of it, or nothing.

use super::ground::Ground;
use super::samples::policy;
use karez_model::Kind;
use karez_store::{Error, Operation, Query};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

pub fn a_stale_update_is_refused_and_leaves_nothing(ground: &Ground) {
    let (old, _) = outdated(ground);
    let runs = Arc::new(AtomicUsize::new(0));
    let (stale, counter) = (old.clone(), Arc::clone(&runs));
    let result = ground.write(move |tx| {
        counter.fetch_add(1, SeqCst);
        tx.insert(policy("beside"))?;
        let mut stale = stale.clone();
        stale.set("name", "lost");
        tx.update(stale)
    });
    assert!(matches!(result, Err(Error::Stale)));
    assert!(runs.load(SeqCst) > 1, "it was not tried again");
    assert_eq!(names(ground), ["newer"]);
}

pub fn a_stale_update_that_reads_again_is_done_once(ground: &Ground) {
    let (old, id) = outdated(ground);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    ground
        .write(move |tx| {
            tx.insert(policy("beside"))?;
            let mut object = match counter.fetch_add(1, SeqCst) {
                0 => old.clone(),
                _ => tx.get(Kind::IkePolicy, &id)?.expect("there").object.clone(),
            };
            object.set("description", "again");
            tx.update(object)
        })
        .expect("done");
    assert_eq!(runs.load(SeqCst), 2);
    assert_eq!(names(ground), ["beside", "newer"]);
}

pub fn a_use_case_that_fails_leaves_nothing(ground: &Ground) {
    let result = ground.write(|tx| {
        tx.insert(policy("lost"))?;
        Err::<(), _>(Error::Bug("as intended".into()))
    });
    assert!(matches!(result, Err(Error::Bug(why)) if why == "as intended"));
    assert!(names(ground).is_empty());
}

/// PostgreSQL gives up a transaction at the first statement that fails, and then takes a COMMIT
/// without a word and undoes everything.
pub fn what_is_reported_as_done_is_there_even_after_a_statement_that_failed(ground: &Ground) {
    let object = policy("kept");
    let result = ground.write(move |tx| {
        tx.insert(object.clone())?;
        let again = tx.insert(object.clone());
        assert!(matches!(again, Err(Error::Unique(_))));
        Ok(())
    });
    match result {
        Ok(()) => assert_eq!(names(ground), ["kept"]),
        Err(_) => assert!(names(ground).is_empty()),
    }
}

pub fn each_call_is_reported_to_the_observer(ground: &Ground) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    ground.store.observe(Box::new(move |operation, _| observed.lock().expect("a lock").push(operation)));
    ground.insert(&policy("one"));
    names(ground);
    let failed: Result<(), Error> = ground.write(|_| Err(Error::Stale));
    assert!(failed.is_err());
    assert_eq!(*seen.lock().expect("a lock"), [Operation::Write, Operation::Read, Operation::Write]);
}

/// An object as it was before somebody changed its name to `newer`, and its id.
fn outdated(ground: &Ground) -> (karez_model::Object, String) {
    let old = ground.insert(&policy("older"));
    let mut newer = old.clone();
    newer.set("name", "newer");
    ground.write(move |tx| tx.update(newer.clone())).expect("updated");
    let id = old.id().to_owned();
    (old, id)
}

fn names(ground: &Ground) -> Vec<String> {
    let listed = ground.list(&Query::all(Kind::IkePolicy));
    let mut names: Vec<String> = listed.iter().map(|object| object.text("name").to_owned()).collect();
    names.sort();
    names
}
