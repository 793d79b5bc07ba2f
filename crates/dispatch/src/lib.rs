//! Joins the use cases to the sessions of agents: desired state goes out when its revision differs,
//! reports come in, leases are renewed, routers without a node are placed.
//!
//! Everything here is level-triggered. The doorbell only makes it quick: each look finds out by
//! itself what there is to do, and there is one each few seconds without any ring.

mod bell;
mod session;
mod told;

use bell::Bell;
use karez_control::Control;
use karez_fabric::ControlEnd;
use session::Session;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use told::Told;

/// What can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a node counts as alive after it was last heard of.
    pub lease: Duration,
    /// How often to look without being told.
    pub look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), look: Duration::from_secs(2) }
    }
}

/// Serves the sessions that come in until told to stop. Agents are not told: for them the control
/// plane is away for a while, and what they run goes on.
pub async fn serve(
    control: Control,
    options: Options,
    mut sessions: Receiver<ControlEnd>,
    mut stop: watch::Receiver<bool>,
) {
    let bell = Bell::new(control.clone(), options);
    let told = Told::default();
    let mut running = JoinSet::new();
    running.spawn(bell.clone().run());
    loop {
        tokio::select! {
            session = sessions.recv() => match session {
                Some(end) => {
                    running.spawn(Session::new(control.clone(), options, bell.clone(), told.clone()).run(end));
                }
                None => break,
            },
            Some(ended) = running.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a task of the dispatch has failed");
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    running.shutdown().await;
}
