//! How an agent comes to its next session.

use super::connection::ServerUrl;
use super::session::begin;
use crate::backoff::Backoff;
use crate::identity::IdentityStore;
use crate::{AgentEnd, ControlEnd, edge, pair};
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// A session that has lasted for so long was a good one: after it, waits begin small again.
const GOOD: Duration = Duration::from_secs(15);

/// Makes sessions, one after the other.
pub trait Dial: Send {
    /// The next session. Takes as long as it takes; dropping the future gives up the attempt. Waits
    /// before attempts that follow another, so that calling it in a loop is right.
    fn dial(&mut self) -> impl Future<Output = AgentEnd> + Send;
}

/// Dials servers over the network.
pub struct Dialer {
    servers: Vec<ServerUrl>,
    store: IdentityStore,
    pace: Pace,
}

impl Dialer {
    /// Any of these servers will do; they are tried in random order. At each attempt the identity is
    /// read from `store` anew.
    #[must_use]
    pub fn new(servers: Vec<ServerUrl>, store: IdentityStore) -> Self {
        Self { servers, store, pace: Pace::default() }
    }
}

impl Dial for Dialer {
    async fn dial(&mut self) -> AgentEnd {
        loop {
            self.pace.wait().await;
            shuffle(&mut self.servers, edge::random);
            for server in &self.servers {
                match begin(server, &self.store).await {
                    Ok(end) => {
                        tracing::info!(%server, "connected to the control plane");
                        self.pace.succeeded();
                        return end;
                    }
                    Err(error) => tracing::warn!(%server, %error, "no session with the control plane"),
                }
            }
        }
    }
}

/// Makes sessions with a control plane in the same process.
pub struct InProcess {
    sessions: mpsc::Sender<ControlEnd>,
    pace: Pace,
}

impl InProcess {
    /// `sessions` is where [`crate::serve`] puts those from the network.
    #[must_use]
    pub fn new(sessions: mpsc::Sender<ControlEnd>) -> Self {
        Self { sessions, pace: Pace::default() }
    }
}

impl Dial for InProcess {
    async fn dial(&mut self) -> AgentEnd {
        loop {
            self.pace.wait().await;
            let (agent, control) = pair(None);
            if self.sessions.send(control).await.is_ok() {
                self.pace.succeeded();
                return agent;
            }
        }
    }
}

/// When the next attempt may begin.
#[derive(Default)]
struct Pace {
    backoff: Backoff,
    is_tried: bool,
    since: Option<Instant>,
}

impl Pace {
    async fn wait(&mut self) {
        let lasted = self.since.take().map(|since| edge::instant().duration_since(since));
        if lasted.is_some_and(|lasted| lasted >= GOOD) {
            self.backoff.reset();
        }
        if self.is_tried {
            sleep(self.backoff.wait(edge::random())).await;
        }
        self.is_tried = true;
    }

    fn succeeded(&mut self) {
        self.since = Some(edge::instant());
    }
}

/// Fisher and Yates's.
fn shuffle<T>(items: &mut [T], random: impl Fn() -> u64) {
    for at in (1..items.len()).rev() {
        let other = random() % (at as u64 + 1);
        items.swap(at, usize::try_from(other).unwrap_or(at));
    }
}

#[cfg(test)]
mod tests {
    use super::{Dial, InProcess, shuffle};
    use std::cell::Cell;
    use tokio::sync::mpsc;

    #[test]
    fn any_order_of_servers_comes_up() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..6 {
            let state = Cell::new(seed);
            let mut servers = ["a", "b", "c"];
            // 6 = 3 · 2: the two draws are the digits of the seed.
            shuffle(&mut servers, || {
                let digit = state.get();
                state.set(digit / 3);
                digit
            });
            seen.insert(servers);
        }
        assert_eq!(seen.len(), 6);
    }

    #[tokio::test]
    async fn an_agent_in_the_same_process_gets_its_session_by_the_same_way() {
        let (sessions, mut taken) = mpsc::channel(1);
        let mut dialer = InProcess::new(sessions);
        let agent = dialer.dial().await;
        let control = taken.recv().await.expect("a session");
        assert_eq!(control.host, None);
        drop(control);
        agent.outgoing.closed().await;
    }
}
