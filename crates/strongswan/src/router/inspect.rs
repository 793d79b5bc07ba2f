//! Whether tunnels that the daemon counts as up have what they need around them.
//!
//! What the daemon makes at its start alone comes again when it is started again. A tunnel that packets do not get to is
//! shown as down, and negotiated anew if the daemon's part of it is gone: with that it makes it again.

use super::Router;
use crate::clock::{SECOND, now};
use crate::daemon;
use crate::presence::{self, Missing};
use karez_engine::ChildSa;

/// After the plan was told, as it is too when something around the router has changed, microseconds.
const SOON: i64 = SECOND / 10;

/// What is missing may be about to change, and is looked for once more after this time, microseconds.
const AGAIN: i64 = SECOND / 5;

impl Router {
    /// An inspection is due soon.
    pub(super) fn inspect_soon(&mut self) {
        self.inspect_at = self.inspect_at.min(now() + SOON);
    }

    /// Looks for what the daemon has put into its namespace, when it is time.
    pub(super) async fn inspect(&mut self) {
        let now = now();
        if now < self.inspect_at {
            return;
        }
        self.inspect_at = now + self.counters;
        let Some(missing) = self.missing_now().await else { return };
        let still = missing.clone().still(&self.missing);
        if let Some(why) = still.base {
            return self.lose_daemon(&format!("the IKE daemon cannot go on, since {why}")).await;
        }
        if missing.base.is_some() {
            // The rest cannot be told without it.
            self.missing.base = missing.base;
            self.inspect_at = now + AGAIN;
            return;
        }
        let mut is_cut_off = false;
        for (id, tunnel) in &mut self.tunnels {
            if tunnel.cut_off(&missing.cut, &still.cut, now) {
                self.touched.insert(*id);
            }
            is_cut_off |= tunnel.is_cut_off();
        }
        if missing.cut != still.cut {
            self.inspect_at = now + AGAIN;
        } else if is_cut_off {
            self.inspect_at = now + SECOND;
        }
        self.missing = missing;
    }

    async fn missing_now(&self) -> Option<Missing> {
        let (daemon, place) = (self.daemon.as_ref()?, self.place.as_ref()?);
        let installed = self.tunnels.values().flat_map(|tunnel| &tunnel.installed);
        let children: Vec<ChildSa> = installed.cloned().collect();
        // Without its namespace the daemon is lost anyway.
        let namespace = daemon::namespace(place).ok()?;
        match presence::look(&namespace, self.setup.datapath, daemon.number(), &children).await {
            Ok(missing) => Some(missing),
            Err(error) => {
                tracing::debug!(router = %self.id, %error, "it cannot be told whether packets get to tunnels");
                None
            }
        }
    }
}
