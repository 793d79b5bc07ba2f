//! Child SAs that packets do not get to: see [`crate::presence`].

use super::{Step, Tunnel};
use crate::clock::SECOND;
use crate::explain;
use crate::observed::{ObservedChild, ObservedIke};
use crate::presence::Cut;
use karez_engine::{Code, Standing};

/// After so long, what packets do not get to has nothing to do with the last time, microseconds.
const FORGOTTEN: i64 = 30 * SECOND;

impl Tunnel {
    /// What was seen to keep packets from child SAs. For this tunnel it counts if it was seen before, or if it was so of
    /// the child SA that one of these has taken the place of. Returns whether there is something to be done.
    pub(crate) fn cut_off(&mut self, seen: &Cut, still: &Cut, now: i64) -> bool {
        let present = seen.of(&self.installed, [still, &self.cut]);
        let is_told = || {
            let reason = self.record.status().reason.as_ref();
            reason.is_some_and(|reason| reason.code == Code::LocalError)
        };
        if let Some(obstacle) = present.first()
            && !is_told()
        {
            let begins = self.standing == Standing::Begins;
            self.record.failed(explain::cut_off(obstacle, begins), now);
        }
        let has_some = !present.is_empty();
        let cut = present.and(self.cut.clone().awaited(&self.installed));
        if cut == self.cut {
            return has_some;
        }
        if cut.is_empty() {
            self.record.mended(now);
        }
        self.cut = cut;
        true
    }

    /// Whether there are such, or were when there were any child SAs.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.cut.is_empty()
    }

    /// All begins anew.
    pub(crate) fn forget_cut(&mut self) {
        self.cut = Cut::default();
    }

    /// What the daemon's part is gone of is ended, so that it makes it again for another one; ever less often, as that may
    /// not help. So is what is renewed already: with it the daemon would keep what is gone.
    pub(super) fn mend(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let is_lost = |child: &&ObservedChild| {
            let mut obstacles = child.shown.iter().flat_map(|shown| self.cut.obstacles(shown));
            obstacles.any(|obstacle| obstacle.is_daemons)
        };
        let has_lost = sas.iter().flat_map(|sa| sa.installed()).any(|child| is_lost(&child));
        let due_at = self.mending.due_at().unwrap_or(now);
        if !has_lost || now < due_at {
            return Vec::new();
        }
        if now - due_at > FORGOTTEN {
            self.mending.settle();
        }
        self.mending.next(now);
        let lost = sas.iter().flat_map(|sa| &sa.children).filter(is_lost);
        lost.map(|child| Step::EndChild(child.number)).collect()
    }
}
