//! Child SAs that packets do not get to: see [`crate::presence`].

use super::{Step, Tunnel};
use crate::clock::SECOND;
use crate::explain;
use crate::observed::{ObservedChild, ObservedIke};
use std::collections::{BTreeMap, BTreeSet};

/// After so long, what packets do not get to has nothing to do with the last time, microseconds.
const FORGOTTEN: i64 = 60 * SECOND;

impl Tunnel {
    /// Packets do not get to those of its child SAs that are among these, by their inbound SPIs. Returns whether they are
    /// others than before.
    pub(crate) fn cut_off(&mut self, missing: &BTreeMap<String, String>, now: i64) -> bool {
        let own = || self.installed.iter().filter_map(|child| missing.get_key_value(&child.spi_in));
        let cut: BTreeSet<String> = own().map(|(spi, _)| spi.clone()).collect();
        if cut == self.cut {
            return false;
        }
        if let Some((_, why)) = own().find(|(spi, _)| !self.cut.contains(*spi)) {
            self.record.failed(explain::cut_off(why), now);
        }
        if cut.is_empty() {
            self.record.mended(now);
        }
        self.cut = cut;
        true
    }

    /// Whether there are such.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.cut.is_empty()
    }

    /// What packets do not get to is ended, so that it is negotiated anew; ever less often, as that may not help.
    pub(super) fn mend(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let is_cut = |child: &&ObservedChild| {
            child.shown.as_ref().is_some_and(|shown| self.cut.contains(&shown.spi_in))
        };
        let cut = sas.iter().flat_map(|sa| sa.installed()).filter(is_cut);
        let steps: Vec<Step> = cut.map(|child| Step::EndChild(child.number)).collect();
        let due_at = self.mending.due_at().unwrap_or(now);
        if steps.is_empty() || now < due_at {
            return Vec::new();
        }
        if now - due_at > FORGOTTEN {
            self.mending.settle();
        }
        self.mending.next(now);
        steps
    }
}
