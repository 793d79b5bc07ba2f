//! Child SAs that packets do not get to: see [`crate::presence`].

use super::{Step, Tunnel};
use crate::explain;
use crate::observed::{ObservedChild, ObservedIke};
use crate::presence::Cut;
use karez_engine::{Code, Standing};

impl Tunnel {
    /// What was seen to keep packets from child SAs. For this tunnel it counts if it was seen before, or if it was so of
    /// the child SA that one of these has taken the place of. Returns whether that changes anything.
    pub(crate) fn cut_off(&mut self, seen: &Cut, still: &Cut, now: i64) -> bool {
        if self.installed.is_empty() {
            // What comes next shows whether it is better.
            return false;
        }
        let cut = seen.of(&self.installed, [still, &self.cut]);
        let is_told = || {
            let reason = self.record.status().reason.as_ref();
            reason.is_some_and(|reason| reason.code == Code::LocalError)
        };
        if let Some(obstacle) = cut.first()
            && !is_told()
        {
            let begins = self.standing == Standing::Begins;
            self.record.failed(explain::cut_off(obstacle, begins), now);
        }
        if cut == self.cut {
            return false;
        }
        if cut.is_empty() {
            self.record.mended(now);
            self.mending.settle();
        }
        self.cut = cut;
        true
    }

    /// Whether there are such.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.cut.is_empty()
    }

    /// What the daemon's part is gone of is ended, so that it makes it again for another one; ever less often, as that may
    /// not help.
    pub(super) fn mend(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let is_lost = |child: &&ObservedChild| {
            let mut obstacles = child.shown.iter().flat_map(|shown| self.cut.obstacles(shown));
            obstacles.any(|obstacle| obstacle.is_daemons)
        };
        let lost = sas.iter().flat_map(|sa| sa.installed()).filter(is_lost);
        let steps: Vec<Step> = lost.map(|child| Step::EndChild(child.number)).collect();
        let due_at = self.mending.due_at().unwrap_or(now);
        if steps.is_empty() || now < due_at {
            return Vec::new();
        }
        self.mending.next(now);
        steps
    }
}
