use super::{AT_ONCE, Asked};
use crate::blueprint::Child;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke};
use crate::tunnel::duplicates::tests::ike;
use std::collections::BTreeSet;

fn children(count: usize) -> Vec<Child> {
    (0..count).map(|number| Child::named(&format!("pair-{number}"))).collect()
}

fn up() -> ObservedIke {
    ObservedIke { children: Vec::new(), ..ike(1, true, 0, "a") }
}

fn installed(sa: &mut ObservedIke, name: &str) {
    let phase = ChildPhase::Installed;
    sa.children.push(ObservedChild { number: 0, name: name.to_owned(), phase, shown: None });
}

#[test]
fn each_pair_is_asked_for_once_as_fast_as_the_peer_answers() {
    let (all, mut sa, mut asked) = (children(30), up(), Asked::default());
    let mut seen = BTreeSet::new();
    let mut is_due = true;
    while seen.len() < all.len() {
        let needs: Vec<&Child> =
            all.iter().filter(|child| !sa.children.iter().any(|own| own.name == child.name)).collect();
        let begun = asked.next(&sa, &needs, is_due);
        assert!((1..=AT_ONCE).contains(&begun.len()), "{begun:?}");
        for name in begun {
            installed(&mut sa, &name);
            assert!(seen.insert(name), "asked for twice");
        }
        // Only the first attempt waits for its time.
        is_due = false;
    }
}

#[test]
fn pairs_that_the_peer_refuses_do_not_stand_before_others() {
    let (all, sa, mut asked) = (children(10), up(), Asked::default());
    let needs: Vec<&Child> = all.iter().collect();
    let mut order = asked.next(&sa, &needs, true);
    for _ in 0..2 {
        order.extend(asked.next(&sa, &needs, false));
    }
    assert_eq!(BTreeSet::from_iter(&order).len(), 10, "{order:?}");
    assert!(asked.next(&sa, &needs, false).is_empty(), "all were asked for");
    assert_eq!(asked.next(&sa, &needs, true), ["pair-0", "pair-1", "pair-2", "pair-3"]);
    assert_eq!(asked.next(&sa, &needs, true), ["pair-4", "pair-5", "pair-6", "pair-7"]);
}

#[test]
fn what_waits_in_the_daemon_takes_up_room() {
    let (all, mut asked) = (children(10), Asked::default());
    let needs: Vec<&Child> = all.iter().collect();
    let sa = ObservedIke { negotiates: AT_ONCE - 1, ..up() };
    assert_eq!(asked.next(&sa, &needs, true).len(), 1);
    let sa = ObservedIke { negotiates: AT_ONCE + 100, ..up() };
    assert!(asked.next(&sa, &needs, true).is_empty());
}

#[test]
fn a_new_ike_sa_begins_anew_when_an_attempt_is_due() {
    let (all, sa, mut asked) = (children(2), up(), Asked::default());
    let needs: Vec<&Child> = all.iter().collect();
    assert_eq!(asked.next(&sa, &needs, true).len(), 2);
    let other = ObservedIke { number: 2, ..up() };
    assert!(asked.next(&other, &needs, false).is_empty());
    assert_eq!(asked.next(&other, &needs, true).len(), 2);
}
