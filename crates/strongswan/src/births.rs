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
        let Some(number) = finding.number else { return };
        match finding.what {
            What::Begun { .. } => {
                self.up_before.insert(number, self.up.clone());
            }
            What::Established => {
                self.up.insert(number);
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

    fn heard(findings: [(u32, What); 4]) -> Births {
        let mut births = Births::default();
        for (number, what) in findings {
            births.hear(&Finding { connection: None, peer: None, number: Some(number), what });
        }
        births
    }

    #[test]
    fn one_that_is_begun_while_another_is_up_is_known_from_two_at_once() {
        let begun = |by_peer| What::Begun { by_peer };
        let later =
            heard([(1, begun(false)), (1, What::Established), (2, begun(true)), (2, What::Established)]);
        assert!(later.up_before(2).unwrap().contains(&1));
        let at_once =
            heard([(1, begun(false)), (2, begun(true)), (1, What::Established), (2, What::Established)]);
        assert!(at_once.up_before(2).unwrap().is_empty());
        assert!(at_once.up_before(3).is_none());
    }
}
