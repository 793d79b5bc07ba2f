//! Whether the server can do its work, and what of it is missing, for those who decide where requests go.

use karez_control::Control;
use karez_identity::Identity;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long each part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is given again: whoever asks needs no token.
const FRESH: Duration = Duration::from_secs(1);

/// What was found last.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Option<(Instant, Found)>>);

#[derive(Clone)]
pub(crate) struct Found {
    pub is_ready: bool,
    pub parts: Json,
}

impl Ready {
    /// With `needs_agent`, a deployment without any living agent is not ready.
    pub(crate) async fn look(
        &self,
        control: &Control,
        identity: &Arc<dyn Identity>,
        needs_agent: bool,
    ) -> Found {
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let (agents, identity) =
            tokio::join!(timeout(PATIENCE, control.living()), timeout(PATIENCE, identity.is_reachable()));
        let agents = match agents {
            Ok(Ok(agents)) => Ok(agents),
            Ok(Err(_)) => Err("it cannot be read"),
            Err(_) => Err("it does not answer"),
        };
        let identity = identity.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        let is_attended = !needs_agent || agents.is_ok_and(|agents| agents > 0);
        let agents_text = match agents {
            Ok(0) => "none is alive".to_owned(),
            Ok(agents) => format!("{agents} alive"),
            Err(_) => "not known".to_owned(),
        };
        let found = Found {
            is_ready: agents.is_ok() && identity.is_ok() && is_attended,
            parts: json!({
                "database": agents.map_or_else(|why| why, |_| "ok"),
                "identity": identity.as_ref().map_or_else(String::as_str, |()| "ok"),
                "agents": agents_text,
            }),
        };
        *last = Some((now(), found.clone()));
        found
    }
}

#[allow(clippy::disallowed_methods, reason = "only how long an answer stays good depends on it")]
fn now() -> Instant {
    Instant::now()
}
