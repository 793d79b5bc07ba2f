//! Both ends begin at the same moment: RFC 7296, section 2.8, leaves it to them which IKE SA stays.

use crate::tunnels::stage::TwoClouds;
use crate::tunnels::told::{reaches, settled};
use anyhow::{Context, Result};
use karez_scene::{Wish, random_key};

/// Each time is another race.
const ROUNDS: u32 = 15;

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
        settled(&left, &right).with_context(|| format!("round {round}"))?;
        reaches(&one.host, two.host.addresses()[0]).with_context(|| format!("round {round}"))?;
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}
