//! The doorbell between servers of one database: `NOTIFY` after commits, and one connection that listens.
//!
//! A ring says that there is something to look at and nothing of what it is, so it may be lost or come twice: whoever
//! waits also looks by himself from time to time. It is a statement of its own after the commit; within the transaction
//! it would have all commits wait for each other. Rings that come close together are one.

use super::connection::{Remote, failed};
use crate::Error;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Config, NoTls};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;
use uuid::Uuid;

/// The channel's name. Databases have channels of their own, so all installations may use the same.
const CHANNEL: &str = "karez";

/// Between two rings, at least.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the listener looks whether it is still wanted, and tries to connect while it cannot.
const LOOK: Duration = Duration::from_secs(1);

/// Rings at the other servers, and is rung by them. The threads behind it end with it.
pub(super) struct Bell {
    rings: SyncSender<()>,
    /// Closed when this is dropped.
    _wanted: mpsc::Sender<()>,
}

impl Bell {
    /// Begins to listen. `on_ring` is called for each ring of another server, and once for each connection, since rings
    /// may have been missed without one.
    pub(super) fn hang(config: &Config, on_ring: impl Fn() + Send + 'static) -> Result<Self, Error> {
        let own = Uuid::new_v4().to_string();
        let (rings, rung) = mpsc::sync_channel(1);
        let (wanted, is_wanted) = mpsc::channel();
        let (ringing, listening, name) = (config.clone(), config.clone(), own.clone());
        start("postgres-ring", move || ring_all(&ringing, &rung, &name))?;
        start("postgres-listen", move || listen_on(&listening, &is_wanted, &own, &on_ring))?;
        Ok(Self { rings, _wanted: wanted })
    }

    /// Rings, soon.
    pub(super) fn ring(&self) {
        match self.rings.try_send(()) {
            // A ring that waits already stands for this one, too.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(|error| Error::Unavailable(format!("no thread for the database: {error}")))
}

fn ring_all(config: &Config, rung: &mpsc::Receiver<()>, own: &str) {
    let sql = format!("NOTIFY {CHANNEL}, '{own}'");
    let mut remote: Option<Remote> = None;
    while rung.recv().is_ok() {
        // A connection that has died since the last ring is replaced. What is not told now is found by looking.
        let outcome = match remote.as_mut().map(|remote| remote.command(&sql)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => {
                Remote::connect(config).and_then(|connected| remote.insert(connected).command(&sql))
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "other servers are not told of a change; they look by themselves");
            remote = None;
        }
        std::thread::sleep(PAUSE);
    }
}

fn listen_on(config: &Config, is_wanted: &mpsc::Receiver<()>, own: &str, on_ring: &dyn Fn()) {
    loop {
        if let Err(error) = listen(config, is_wanted, own, on_ring) {
            tracing::debug!(%error, "other servers' changes are not heard; they are looked for");
        }
        match is_wanted.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) | Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Listens until nobody wants that any more, or the connection breaks.
fn listen(
    config: &Config,
    is_wanted: &mpsc::Receiver<()>,
    own: &str,
    on_ring: &dyn Fn(),
) -> Result<(), Error> {
    let broken = |error: postgres::Error| failed(&error);
    let mut client = config.connect(NoTls).map_err(broken)?;
    client.batch_execute(&format!("LISTEN {CHANNEL}")).map_err(broken)?;
    on_ring();
    loop {
        hear(&mut client, own, on_ring).map_err(broken)?;
        if is_wanted.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
            return Ok(());
        }
        if client.is_closed() {
            return Err(Error::Unavailable("the connection that listens was lost".into()));
        }
    }
}

/// Takes what comes within a [`LOOK`].
fn hear(client: &mut Client, own: &str, on_ring: &dyn Fn()) -> Result<(), postgres::Error> {
    let mut notifications = client.notifications();
    let mut coming = notifications.timeout_iter(LOOK);
    while let Some(notification) = coming.next()? {
        if notification.payload() != own {
            on_ring();
        }
    }
    Ok(())
}
