//! Ctrl-C: what waits gives up with an error, so that the way out is the one that cleans up.

use crate::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP do not end this process at once: whatever waits in this crate answers
/// [`Error::Interrupted`].
///
/// # Errors
///
/// The system's, when it does not let us.
pub fn heed() -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(Error::io("wait for signals"))?;
    let heard = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(Error::io("wait for signals"));
        [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]
    };
    let listening = std::thread::Builder::new().name("signals".to_owned());
    let listening = listening.spawn(move || runtime.block_on(first_of(heard)));
    listening.map(drop).map_err(Error::io("start a thread"))
}

/// Whether this process was asked to end.
pub(crate) fn check() -> Result<(), Error> {
    if ASKED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

async fn first_of([mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        ASKED.store(true, Ordering::Relaxed);
    }
}
