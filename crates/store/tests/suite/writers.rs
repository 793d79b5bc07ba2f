//! Many at once.

use super::ground::{Ground, block_on};
use super::objects::node;
use super::samples::{Known, policy};
use karez_model::Kind;
use karez_store::{Datum, Error, Query};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// While one writer holds the database, the others queue up, so that they run in one batch.
pub fn those_who_fail_or_panic_among_many_leave_the_others_alone(ground: &Ground) {
    const WRITERS: usize = 32;
    let (open, gate) = mpsc::channel::<()>();
    let results = ground.run(tokio::task::LocalSet::new().run_until(async {
        let store = ground.store.clone();
        let first = tokio::task::spawn_local(async move {
            store
                .write(move |tx| {
                    gate.recv_timeout(Duration::from_secs(20)).expect("the gate opens");
                    tx.insert(policy("first")).map(drop)
                })
                .await
        });
        tokio::task::yield_now().await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let store = ground.store.clone();
                tokio::task::spawn_local(async move { store.write(move |tx| behave(tx, number)).await })
            })
            .collect();
        // Each of them has been polled once after this, and has put itself into the queue.
        tokio::task::yield_now().await;
        // Once for each time that the first one runs: a panic has the whole batch run again.
        for _ in 0..WRITERS {
            // The last run drops what is left.
            let _ = open.send(());
        }
        first.await.expect("no panic here").expect("written");
        let mut results = Vec::new();
        for writer in writers {
            results.push(writer.await.expect("no panic here"));
        }
        results
    }));
    for (number, result) in results.iter().enumerate() {
        match number % 8 {
            3 => assert!(matches!(result, Err(Error::Stale)), "{number}: {result:?}"),
            5 => assert!(
                matches!(result, Err(Error::Bug(why)) if why.contains("panicked")),
                "{number}: {result:?}"
            ),
            _ => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
    let names: BTreeSet<String> = names(ground).into_iter().collect();
    let good = (0..WRITERS).filter(|number| ![3, 5].contains(&(number % 8)));
    let expected: BTreeSet<String> = good.map(|number| number.to_string()).chain(["first".into()]).collect();
    assert_eq!(names, expected);
    ground.insert(&policy("afterwards"));
}

fn behave(tx: &mut karez_store::Tx<'_>, number: usize) -> Result<(), Error> {
    tx.insert(policy(&number.to_string()))?;
    match number % 8 {
        3 => Err(Error::Stale),
        5 => panic!("as intended"),
        _ => Ok(()),
    }
}

pub fn revisions_of_a_node_go_up_by_one_with_each_write(ground: &Ground) {
    const WRITERS: i64 = 16;
    const WRITES: i64 = 12;
    let router = placed_router(ground);
    let is_done = AtomicBool::new(false);
    let revisions: Vec<Vec<i64>> = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut last = 0;
            while !is_done.load(SeqCst) {
                let now = block_on(ground.store.read(desired)).expect("read");
                assert!(now >= last, "{last} was followed by {now}");
                last = now;
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let router = router.clone();
                scope.spawn(move || {
                    let write = |_| {
                        let router = router.clone();
                        let bumped = ground.store.write(move |tx| {
                            assert!(tx.bump_router(&router)?, "it has a node");
                            desired(tx)
                        });
                        block_on(bumped).expect("written")
                    };
                    (0..WRITES).map(write).collect()
                })
            })
            .collect();
        let revisions = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        is_done.store(true, SeqCst);
        watcher.join().expect("no panic");
        revisions
    });
    for own in &revisions {
        assert!(own.is_sorted_by(|a, b| a < b), "{own:?}");
    }
    let all: BTreeSet<i64> = revisions.into_iter().flatten().collect();
    assert_eq!(all, (1..=WRITERS * WRITES).collect(), "one for each write, none twice");
}

pub fn a_router_without_a_node_has_nothing_to_count(ground: &Ground) {
    placed_router(ground);
    assert!(!ground.write(|tx| tx.bump_router("another")).expect("written"));
    assert_eq!(ground.read(desired).expect("read"), 0);
}

pub fn readers_see_whole_rows_while_others_write(ground: &Ground) {
    const READERS: usize = 16;
    let object = ground.insert(&policy("0"));
    let mut same = object.clone();
    same.set("description", "0");
    let mut current = ground.write(move |tx| tx.update(same.clone())).expect("updated");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (id, is_done) = (object.id().to_owned(), &is_done);
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let id = id.clone();
                scope.spawn(move || {
                    let (mut last, mut reads) = (0, 0_u32);
                    while !is_done.load(SeqCst) || reads == 0 {
                        let id = id.clone();
                        let read = ground.store.read(move |tx| match reader % 2 {
                            0 => tx.get(Kind::IkePolicy, &id),
                            _ => Ok(tx.list(&Query::all(Kind::IkePolicy))?.pop()),
                        });
                        let stored = block_on(read).expect("read").expect("there");
                        assert_eq!(stored.text("name"), stored.text("description"), "half of a change");
                        assert!(stored.meta.rev >= last, "{last} was followed by {}", stored.meta.rev);
                        last = stored.meta.rev;
                        reads += 1;
                    }
                })
            })
            .collect();
        for number in 1..100 {
            current.set("name", number.to_string());
            current.set("description", number.to_string());
            let next = current.clone();
            current = block_on(ground.store.write(move |tx| tx.update(next.clone()))).expect("updated");
        }
        is_done.store(true, SeqCst);
        for reader in readers {
            reader.join().expect("no panic");
        }
    });
}

fn placed_router(ground: &Ground) -> String {
    let router = ground.insert(&Known::default().sample(Kind::Router, 1)).id().to_owned();
    node(ground, "node", 0);
    let sql =
        format!("INSERT INTO placements (router_id, node_id, generation) VALUES ('{router}', 'node', 1)");
    ground.database.execute(&sql).expect("placed");
    router
}

fn desired(tx: &mut karez_store::Tx<'_>) -> Result<i64, Error> {
    let row = tx.query_opt("SELECT desired_rev FROM nodes WHERE id = $1", &[Datum::from("node")])?;
    row.expect("a node").int(0)
}

fn names(ground: &Ground) -> Vec<String> {
    ground.list(&Query::all(Kind::IkePolicy)).iter().map(|object| object.text("name").to_owned()).collect()
}
