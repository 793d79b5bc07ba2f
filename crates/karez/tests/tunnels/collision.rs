//! Both ends begin at the same moment: RFC 7296, section 2.8, leaves it to them which IKE SA stays.

use crate::stage::TwoClouds;
use anyhow::{Result, ensure};
use karez_scene::{Status, Wish, random_key, wait};
use std::time::Duration;

/// Each time is another race.
const ROUNDS: u32 = 15;

/// What the ends have to agree within.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn both_ends_that_begin_at_once_agree_on_one_tunnel() -> Result<()> {
    let clouds = TwoClouds::build("collision")?;
    let (one, two) = (&clouds.one, &clouds.two);
    for round in 1..=ROUNDS {
        let key = random_key()?;
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| one.connect(&two.as_peer(), &key, &Wish::modern()));
            let right = two.connect(&one.as_peer(), &key, &Wish::modern());
            (left.join().expect("no panic"), right)
        });
        let (left, right) = (left?, right?);
        wait::until(&format!("the same SAs at both ends in round {round}"), BOUND, || {
            let (here, there) = (left.status()?, right.status()?);
            let seen = format!("{:?} and {:?}", spis(&here), spis(&there));
            let mut crossed: Vec<_> = spis(&there).into_iter().map(|(one, other)| (other, one)).collect();
            crossed.sort();
            Ok(if !crossed.is_empty() && spis(&here) == crossed { Ok(()) } else { Err(seen) })
        })?;
        let pings = one.host.ping(two.host.addresses()[0], 5)?;
        ensure!(pings.all_answered(), "round {round}: {}", pings.summary());
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}

/// Sorted, as either end may have the older one first.
fn spis(status: &Status) -> Vec<(String, String)> {
    let mut spis: Vec<_> = status.spis().into_iter().map(|(one, other)| (one.into(), other.into())).collect();
    spis.sort();
    spis
}
