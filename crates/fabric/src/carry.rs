//! Carries a session over the network: between the channels of one end and the two streams of a
//! gRPC call. Nothing is kept here, so who does not keep up makes the other end wait.

use crate::wire::WireError;
use prost::Message;
use std::future::pending;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

/// How long what is already said may take to get through once a session is over: not longer than a connection of the
/// server may last then.
const PARTING: Duration = Duration::from_secs(2);

/// How a session came to its end.
pub(crate) enum End {
    /// Our end was dropped.
    Ours,
    /// The peer has ended it.
    Theirs,
    /// The connection is gone, or the peer has said why it ends it.
    Broken(Status),
    /// The peer has sent what the protocol does not allow.
    Garbage(WireError),
}

/// Carries until one side ends it. `pack` makes of a message what is sent, perhaps in parts.
///
/// At its own end it still sends what was said before. The sender to the peer is given back: what is
/// sent with it, or its drop, is the last that the peer hears.
pub(crate) async fn carry<I, O, W, P>(
    (to_us, mut from_us): (Sender<I>, Receiver<O>),
    from_peer: &mut Streaming<W>,
    to_peer: Sender<P>,
    pack: impl Fn(O) -> Vec<P>,
) -> (End, Sender<P>)
where
    I: TryFrom<W, Error = WireError>,
    W: Message + Default,
{
    let inbound = async {
        loop {
            let message = match from_peer.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return End::Theirs,
                Err(status) => return End::Broken(status),
            };
            let message = match I::try_from(message) {
                Ok(message) => message,
                Err(error) => return End::Garbage(error),
            };
            if to_us.send(message).await.is_err() {
                // Our end is gone: when all is said is told below.
                return pending().await;
            }
        }
    };
    let outbound = async {
        loop {
            let message = tokio::select! {
                biased;
                message = from_us.recv() => message,
                () = to_us.closed() => None,
            };
            let Some(message) = message else { return End::Ours };
            for part in pack(message) {
                if to_peer.send(part).await.is_err() {
                    // The peer listens no more; what it has said before is read above.
                    return pending().await;
                }
            }
        }
    };
    // A peer that takes nothing is not waited for.
    let patience = async {
        to_us.closed().await;
        sleep(PARTING).await;
    };
    // That the peer has closed the way to it may be known before its last words are read.
    let last_words = async {
        to_peer.closed().await;
        sleep(PARTING).await;
    };
    let end = tokio::select! {
        end = inbound => end,
        end = outbound => end,
        () = patience => End::Ours,
        () = last_words => End::Theirs,
    };
    (end, to_peer)
}

/// Waits a little for the peer to end its side too, which it does once it has read ours.
pub(crate) async fn part<W>(from_peer: &mut Streaming<W>) {
    let rest = async { while let Ok(Some(_)) = from_peer.message().await {} };
    drop(timeout(PARTING, rest).await);
}
