//! Which IKE SAs were up when another one was begun.
//!
//! charon begins no other IKE SA with a peer while one is up: it uses that one. So whoever begins another one has lost
//! the first, or is about to end it; and where neither was up when the other was begun, both ends have begun at once.
//!
//! The daemon says both in its log alone. Where that is not known, because the daemon was adopted meanwhile or words it
//! differently, ages have to do: see [`crate::tunnel`].

use crate::classify::{Finding, What};
use crate::observed::{ObservedIke, Phase};
use std::collections::{BTreeMap, BTreeSet};

/// The IKE SAs of one daemon, by its numbers.
#[derive(Default)]
pub(crate) struct Births {
    up: BTreeSet<u32>,
    /// For those that we have heard the beginning of: which ones were up then.
    up_before: BTreeMap<u32, BTreeSet<u32>>,
    has_looked: bool,
}

impl Births {
    /// Takes in what the daemon says.
    pub(crate) fn hear(&mut self, finding: &Finding) {
        match (&finding.what, finding.number) {
            // Of one that is up, its renewal is begun.
            (What::Begun { .. }, Some(number)) if !self.up.contains(&number) => {
                self.up_before.insert(number, self.up.clone());
            }
            (What::Established { number }, _) => {
                self.up.insert(*number);
            }
            _ => {}
        }
    }

    /// Those that were up when this one was begun; none when that is not known.
    pub(crate) fn up_before(&self, number: u32) -> Option<&BTreeSet<u32>> {
        self.up_before.get(&number)
    }

    /// These are all that the daemon has now. At the first look, what is up was so before anything was heard.
    pub(crate) fn look(&mut self, sas: &[ObservedIke]) {
        if !self.has_looked {
            self.up.extend(sas.iter().filter(|sa| sa.phase == Phase::Established).map(|sa| sa.number));
            self.has_looked = true;
        }
        let has = |number: u32| sas.iter().any(|sa| sa.number == number);
        self.up.retain(|number| has(*number));
        self.up_before.retain(|number, _| has(*number));
    }
}

#[cfg(test)]
mod tests {
    use super::Births;
    use crate::classify::{Finding, What};

    fn heard(findings: &[(u32, What)]) -> Births {
        let mut births = Births::default();
        for (number, what) in findings {
            let (number, what) = (Some(*number), what.clone());
            births.hear(&Finding { connection: None, peer: None, number, child: None, what });
        }
        births
    }

    const BEGUN: What = What::Begun { by_peer: true };

    const fn up(number: u32) -> What {
        What::Established { number }
    }

    #[test]
    fn one_that_is_begun_while_another_is_up_is_known_from_two_at_once() {
        let later = heard(&[(1, BEGUN), (1, up(1)), (2, BEGUN), (2, up(2))]);
        assert!(later.up_before(2).unwrap().contains(&1));
        let at_once = heard(&[(1, BEGUN), (2, BEGUN), (1, up(1)), (2, up(2))]);
        assert!(at_once.up_before(2).unwrap().is_empty());
        assert!(at_once.up_before(3).is_none());
    }

    #[test]
    fn one_that_was_renewed_is_up_by_its_new_number() {
        // The daemon speaks of a renewal on behalf of what is renewed.
        let births = heard(&[(1, BEGUN), (1, up(1)), (1, BEGUN), (1, up(3)), (5, BEGUN)]);
        assert!(births.up_before(5).unwrap().contains(&3));
        assert!(births.up_before(1).unwrap().is_empty());
    }
}
