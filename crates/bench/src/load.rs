//! Drives many connections at once for a bounded time and takes down what happened.
//!
//! The load is closed: each client sends its next request when it has the answer to the last, so
//! the number of clients is the number of requests under way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::client::Connection;
use crate::statistics::Latencies;

#[cfg(test)]
mod tests;

/// How much longer than asked a run may last before the server is taken to hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client does again and again; the time that it takes is one latency.
pub trait Journey: 'static {
    /// Once from begin to end. Any answer but the right one is an error.
    async fn go(&mut self, connection: &mut Connection) -> Result<Step>;
}

/// How a journey ended.
pub enum Step {
    Done,
    /// Nothing was sent, because nothing is left to do.
    Exhausted,
}

/// One client: its connection and what it does with it.
pub struct Client<J> {
    pub connection: Connection,
    pub journey: J,
}

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub latencies: Latencies,
    /// From the common start to the end of the last journey.
    pub elapsed: Duration,
    pub errors: usize,
    pub first_error: Option<anyhow::Error>,
}

/// Lets all clients work for `duration`, or until none has anything to do. A client whose
/// journey fails stops; a run with an error is worth nothing in any case.
pub async fn run<J: Journey>(
    clients: Vec<Client<J>>,
    duration: Duration,
) -> Result<(Outcome, Vec<Client<J>>)> {
    let start = Instant::now();
    let deadline = start + duration;
    let local = LocalSet::new();
    let tasks: Vec<_> = clients.into_iter().map(|client| local.spawn_local(work(client, deadline))).collect();
    let all = local.run_until(async {
        let mut outcome = Outcome::default();
        let mut clients = Vec::with_capacity(tasks.len());
        for task in tasks {
            let (client, share) = task.await.context("a client panicked")?;
            outcome.elapsed = outcome.elapsed.max(share.ended - start);
            outcome.latencies.append(share.latencies);
            if let Some(error) = share.error {
                outcome.errors += 1;
                outcome.first_error.get_or_insert(error);
            }
            clients.push(client);
        }
        Ok((outcome, clients))
    });
    match timeout(duration + PATIENCE, all).await {
        Ok(result) => result,
        Err(_) => bail!("the server left a request unanswered for {PATIENCE:?}"),
    }
}

struct Share {
    latencies: Latencies,
    ended: Instant,
    error: Option<anyhow::Error>,
}

async fn work<J: Journey>(mut client: Client<J>, deadline: Instant) -> (Client<J>, Share) {
    let mut now = Instant::now();
    let mut share = Share { latencies: Latencies::default(), ended: now, error: None };
    while now < deadline {
        match client.journey.go(&mut client.connection).await {
            Ok(Step::Done) => {}
            Ok(Step::Exhausted) => break,
            Err(error) => {
                share.error = Some(error);
                break;
            }
        }
        share.ended = Instant::now();
        share.latencies.push(share.ended - now);
        now = share.ended;
    }
    (client, share)
}
