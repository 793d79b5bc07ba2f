//! Connections to one daemon: one for what we ask, one for what it tells.

use super::packet::{Inbound, Outbound};
use super::{Message, ViciError};
use crate::process::Activity;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a daemon may think, in seconds. Loading is microseconds, and an exchange is begun within one key generation; a
/// busy daemon with hundreds of handshakes under way needs longer.
const PATIENCE: u64 = 10;

/// How long it may neither answer nor run, in seconds: a daemon that hangs is told from one that is busy.
const IDLE: u64 = 3;

/// Events that wait to be read before the daemon's socket is left alone.
const BACKLOG: usize = 1024;

/// What is asked, one thing after the other.
pub(crate) struct Session {
    stream: BufReader<UnixStream>,
    /// The number of the daemon's process, where the kernel says it.
    daemon: Option<i32>,
}

impl Session {
    /// Connects to the socket `name` in `directory`.
    ///
    /// # Errors
    /// [`ViciError::Io`] when nobody listens there.
    pub(crate) async fn connect(directory: &Path, name: &str) -> Result<Self, ViciError> {
        let stream = dial(directory, name).await?;
        let daemon = stream.peer_cred()?.pid();
        Ok(Self { stream: BufReader::new(stream), daemon })
    }

    /// Asks, and gives the answer. An answer that begins with `success = no` is an error.
    ///
    /// # Errors
    /// After any but [`ViciError::Refused`] the session must not be used again.
    pub(crate) async fn request(
        &mut self,
        command: &'static str,
        message: &Message,
    ) -> Result<Message, ViciError> {
        let mut nothing = |_: &str, _: Message| {};
        within(self.daemon, command, self.exchange(command, message, &mut nothing)).await
    }

    /// Asks something that is answered by many events of one name before the answer itself.
    ///
    /// # Errors
    /// As [`Session::request`].
    pub(crate) async fn stream(
        &mut self,
        command: &'static str,
        event: &'static str,
        message: &Message,
    ) -> Result<Vec<Message>, ViciError> {
        let mut events = Vec::new();
        within(self.daemon, command, async {
            self.confirm(&Outbound::Register(event)).await?;
            let mut keep = |name: &str, message: Message| {
                if name == event {
                    events.push(message);
                }
            };
            let outcome = self.exchange(command, message, &mut keep).await;
            self.confirm(&Outbound::Unregister(event)).await?;
            outcome
        })
        .await?;
        Ok(events)
    }

    async fn exchange(
        &mut self,
        command: &'static str,
        message: &Message,
        on_event: &mut (dyn FnMut(&str, Message) + Send),
    ) -> Result<Message, ViciError> {
        Outbound::Request(command, message).send(self.stream.get_mut()).await?;
        loop {
            match Inbound::receive(&mut self.stream).await? {
                Inbound::Response(answer) if answer.get("success") == Some("no") => {
                    let why = answer.get("errmsg").unwrap_or("no reason given").to_owned();
                    return Err(ViciError::Refused { command, why });
                }
                Inbound::Response(answer) => return Ok(answer),
                Inbound::Event(name, message) => on_event(&name, message),
                Inbound::Unknown => return Err(ViciError::Refused { command, why: "it is unknown".into() }),
                Inbound::Confirmed => {
                    return Err(ViciError::Protocol("a confirmation that nobody asked for"));
                }
            }
        }
    }

    async fn confirm(&mut self, packet: &Outbound<'_>) -> Result<(), ViciError> {
        packet.send(self.stream.get_mut()).await?;
        match Inbound::receive(&mut self.stream).await? {
            Inbound::Confirmed => Ok(()),
            Inbound::Unknown => Err(ViciError::Protocol("charon does not know an event")),
            Inbound::Response(_) | Inbound::Event(..) => Err(ViciError::Protocol("no confirmation")),
        }
    }
}

/// An event, or the end of the daemon.
pub(crate) enum Notice {
    /// An event by its name.
    Event(String, Message),
    /// The connection ended; nothing follows.
    Gone,
}

/// Listens for events until the receiver is dropped or the daemon ends.
///
/// # Errors
/// When the daemon is not there or does not know one of the events.
pub(crate) async fn listen(
    directory: &Path,
    name: &str,
    events: &[&str],
) -> Result<mpsc::Receiver<Notice>, ViciError> {
    let mut session = Session::connect(directory, name).await?;
    let (sender, receiver) = mpsc::channel(BACKLOG);
    for event in events {
        // An event that was registered a moment ago may come before the next confirmation.
        let packet = Outbound::Register(event);
        packet.send(session.stream.get_mut()).await?;
        loop {
            match within(session.daemon, "listen", Inbound::receive(&mut session.stream)).await? {
                Inbound::Confirmed => break,
                Inbound::Event(name, message) => {
                    let _ = sender.try_send(Notice::Event(name, message));
                }
                Inbound::Unknown => return Err(ViciError::Protocol("charon does not know an event")),
                Inbound::Response(_) => return Err(ViciError::Protocol("an answer that nobody asked for")),
            }
        }
    }
    tokio::spawn(async move {
        loop {
            let packet = tokio::select! {
                packet = Inbound::receive(&mut session.stream) => packet,
                () = sender.closed() => return,
            };
            let Ok(packet) = packet else { break };
            let Inbound::Event(name, message) = packet else { continue };
            if sender.send(Notice::Event(name, message)).await.is_err() {
                return;
            }
        }
        let _ = sender.send(Notice::Gone).await;
    });
    Ok(receiver)
}

async fn within<T>(
    daemon: Option<i32>,
    command: &'static str,
    work: impl Future<Output = Result<T, ViciError>>,
) -> Result<T, ViciError> {
    let mut work = pin!(work);
    let (mut seconds, mut activity, mut idle) = (0, None, 0);
    loop {
        if let Ok(outcome) = timeout(Duration::from_secs(1), &mut work).await {
            return outcome;
        }
        seconds += 1;
        let before = std::mem::replace(&mut activity, daemon.and_then(Activity::of));
        let is_idle = activity.zip(before).is_some_and(|(now, before)| now.is_idle_since(before));
        idle = if is_idle { idle + 1 } else { 0 };
        // The first second has nothing before it to be compared with.
        let is_idle = idle + 1 >= IDLE;
        if is_idle || seconds == PATIENCE {
            return Err(ViciError::Late { command, seconds, is_idle });
        }
    }
}

/// By way of the directory's descriptor: a socket's path may have no more than 107 octets.
async fn dial(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let directory = File::open(directory)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())).await
}
