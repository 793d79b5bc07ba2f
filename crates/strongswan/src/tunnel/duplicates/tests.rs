use super::{LATER, SETTLED, Step, outdated, renewed, replaced_whole, surplus};
use crate::clock::SECOND;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use karez_engine::{ChildSa, IkeSa, Traffic};
use std::collections::BTreeSet;

const NOW: i64 = 1_000 * SECOND;

/// One that has been up for `age` microseconds, with one child SA.
pub(in crate::tunnel) fn ike(number: u32, is_initiator: bool, age: i64, spi: &str) -> ObservedIke {
    let end = "192.0.2.1:500".parse().unwrap();
    ObservedIke {
        number,
        connection: "karez.0.0".into(),
        phase: Phase::Established,
        is_renewed: false,
        is_initiator,
        is_answered: true,
        up_before: None,
        is_shared: false,
        carries_others: false,
        peer: None,
        tasks: Vec::new(),
        negotiates: 0,
        shown: Some(IkeSa {
            version: 2,
            is_initiator,
            local: end,
            peer: end,
            local_id: String::new(),
            peer_id: String::new(),
            initiator_spi: spi.into(),
            responder_spi: String::new(),
            suite: String::new(),
            has_nat: false,
            established_at: NOW - age,
            rekey_at: None,
        }),
        children: vec![child(number, age, spi)],
    }
}

fn child(number: u32, age: i64, spi: &str) -> ObservedChild {
    let shown = ChildSa {
        protocol: "esp".into(),
        mode: "tunnel".into(),
        is_encapsulated: true,
        spi_in: spi.into(),
        spi_out: format!("{spi}0"),
        suite: String::new(),
        local_subnets: vec!["10.1.0.0/24".parse().unwrap()],
        peer_subnets: vec!["10.2.0.0/24".parse().unwrap()],
        traffic: Traffic::default(),
        installed_at: NOW - age,
        rekey_at: None,
        expires_at: None,
    };
    ObservedChild { number, name: "child".into(), phase: ChildPhase::Installed, shown: Some(shown) }
}

fn begun_while(up: &[u32], sa: ObservedIke) -> ObservedIke {
    ObservedIke { up_before: Some(BTreeSet::from_iter(up.iter().copied())), ..sa }
}

#[test]
fn one_that_was_up_when_the_peer_began_another_is_outdated_however_young() {
    let older = begun_while(&[], ike(1, true, SECOND, "aa"));
    let newer = begun_while(&[1], ike(2, false, SECOND, "bb"));
    assert_eq!(outdated(&[&older, &newer]), [Step::EndIke(1)]);
}

#[test]
fn of_two_that_were_begun_at_once_none_is_outdated_however_late_one_was_up() {
    let one = begun_while(&[], ike(1, true, 20 * SECOND, "aa"));
    let other = begun_while(&[], ike(2, false, 2 * SECOND, "bb"));
    assert!(outdated(&[&one, &other]).is_empty());
}

#[test]
fn where_nothing_was_heard_ages_decide() {
    let older = ike(1, true, LATER + SECOND, "aa");
    assert_eq!(outdated(&[&older, &ike(2, false, SECOND, "bb")]), [Step::EndIke(1)]);
    assert!(outdated(&[&older, &ike(2, false, 2 * SECOND, "bb")]).is_empty());
}

#[test]
fn both_ends_end_the_same_one_of_two_begun_at_once_and_not_before_both_have_settled() {
    let ours = |age| begun_while(&[], ike(1, true, age, "aa"));
    let theirs = |age| begun_while(&[], ike(2, false, age, "bb"));
    assert!(surplus(&[&ours(SECOND), &theirs(SECOND)], NOW).is_empty());
    let age = SETTLED + SECOND;
    assert_eq!(surplus(&[&ours(age), &theirs(age)], NOW), [Step::EndIke(1)]);
    // The other end has begun the other one, and numbers them as it likes.
    let (ours, theirs) =
        (begun_while(&[], ike(8, true, age, "bb")), begun_while(&[], ike(7, false, age, "aa")));
    assert_eq!(surplus(&[&ours, &theirs], NOW), [Step::EndIke(7)]);
}

#[test]
fn what_has_taken_the_place_of_another_is_not_ended_for_it_whatever_their_spis() {
    let age = SETTLED + SECOND;
    for spis in [["aa", "bb"], ["bb", "aa"]] {
        let older = begun_while(&[], ike(1, true, age, spis[0]));
        let newer = begun_while(&[1], ike(2, false, age, spis[1]));
        assert!(surplus(&[&older, &newer], NOW).is_empty(), "{spis:?}");
    }
}

#[test]
fn an_ike_sa_of_several_tunnels_is_replaced_once_all_have_another_and_what_ends_already_does_not_count() {
    let mut older = begun_while(&[], ike(1, true, SECOND, "aa"));
    let mut beside = child(3, SECOND, "cc");
    beside.shown.as_mut().unwrap().peer_subnets = vec!["10.3.0.0/24".parse().unwrap()];
    older.children.push(beside.clone());
    let mut newer = begun_while(&[1], ike(2, false, SECOND, "bb"));
    assert!(replaced_whole(&[older.clone(), newer.clone()]).is_empty());
    let mut ending = older.clone();
    ending.children[1].phase = ChildPhase::Ending;
    assert_eq!(replaced_whole(&[ending, newer.clone()]), BTreeSet::from([1]));
    newer.children.push(beside);
    assert_eq!(replaced_whole(&[older, newer]), BTreeSet::from([1]));
}

#[test]
fn one_of_ikev1_that_the_peer_has_renewed_and_that_is_empty_goes() {
    let of_v1 = |number, is_initiator, children: Vec<ObservedChild>| {
        let mut sa = ike(number, is_initiator, SECOND, "aa");
        sa.children = children;
        sa.shown.as_mut().unwrap().version = 1;
        sa
    };
    let carried = || vec![child(1, SECOND, "cc")];
    let old = of_v1(1, true, Vec::new());
    assert_eq!(renewed(&[&old, &of_v1(2, false, carried())]), [Step::EndIke(1)]);
    // Before the child SAs are moved, and where it is for the peer to end the old one.
    assert!(renewed(&[&of_v1(1, true, carried()), &of_v1(2, false, Vec::new())]).is_empty());
    assert!(renewed(&[&old, &of_v1(2, true, carried())]).is_empty());
}

#[test]
fn of_two_child_sas_for_the_same_the_newer_stays() {
    let mut sa = ike(1, true, 60 * SECOND, "ff");
    sa.children.push(child(2, 10 * SECOND, "aa"));
    assert_eq!(surplus(&[&sa], NOW), [Step::EndChild(1)]);
}
