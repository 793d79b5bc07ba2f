//! Connections that the kernel tracks, made to forget their address translation.
//!
//! NAT is decided with the first packet of a connection and holds as long as the connection is in use. A ping that
//! runs since before its pair was exempted is translated for as long as it runs; so is every UDP flow that never
//! pauses. After an exemption came into force, such connections have to be forgotten; their next packet is then
//! judged anew.

mod wire;

use std::io;

use rtnetlink::sys::Socket;

use self::wire::{Answer, Connection};
use crate::nft::{Pair, Pairs};
use crate::{Error, Namespace, errno, nfnetlink};

/// How many connections there are in a namespace.
const COUNT: &str = "net/netfilter/nf_conntrack_count";

/// Forgets the translated connections from the sources of the pairs to their destinations, and returns how many there
/// were. Connections without translation, and those between other addresses, go on undisturbed.
///
/// Reads all connections of the namespace, if there are any: some milliseconds, and some tens where there are 100,000.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn forget_translated(namespace: &Namespace, pairs: Pairs) -> Result<usize, Error> {
    forget(namespace, pairs, Connection::translated).await
}

/// As [`forget_translated`], but the connections without translation: those that were exempt from it while their pair
/// was. Otherwise they would go on with a source that nobody outside can answer to.
///
/// # Errors
///
/// As [`forget_translated`].
pub async fn forget_exempt(namespace: &Namespace, pairs: Pairs) -> Result<usize, Error> {
    forget(namespace, pairs, |connection| !connection.translated()).await
}

async fn forget(
    namespace: &Namespace,
    pairs: Pairs,
    is_meant: fn(&Connection) -> bool,
) -> Result<usize, Error> {
    // The kernel looks for a namespace's connections among those of all namespaces.
    if namespace.sysctl(COUNT).is_ok_and(|count| count == "0") {
        return Ok(0);
    }
    let forgotten = namespace.run_async(move || forget_here(&pairs, is_meant)).await?;
    forgotten.map_err(|source| Error::system(namespace, "forget tracked connections", source))
}

fn forget_here(pairs: &Pairs, is_meant: fn(&Connection) -> bool) -> io::Result<usize> {
    let socket = nfnetlink::open()?;
    let (mut forgotten, mut failure) = (0, None);
    for (family, pairs) in [(wire::AF_INET, pairs.v4()), (wire::AF_INET6, pairs.v6())] {
        if pairs.is_empty() {
            continue;
        }
        for connection in connections(&socket, family)? {
            if is_meant(&connection) && covered(pairs, &connection) {
                match delete(&socket, family, &connection) {
                    Ok(there) => forgotten += usize::from(there),
                    Err(error) => failure = Some(error),
                }
            }
        }
    }
    failure.map_or(Ok(forgotten), Err)
}

fn covered(pairs: &[Pair], connection: &Connection) -> bool {
    let within = |pair: &Pair| {
        pair.source().contains(&connection.original.source)
            && pair.destination().contains(&connection.original.destination)
    };
    pairs.iter().any(within)
}

fn connections(socket: &Socket, family: u8) -> io::Result<Vec<Connection>> {
    socket.send(&wire::dump(family), 0)?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for answer in wire::answers(&datagram) {
            match answer? {
                Answer::Connection(connection) => found.push(connection),
                Answer::Other => {}
                Answer::Done => return Ok(found),
            }
        }
    }
}

/// Whether it was still there.
fn delete(socket: &Socket, family: u8, connection: &Connection) -> io::Result<bool> {
    socket.send(&wire::delete(family, connection), 0)?;
    let (datagram, _) = socket.recv_from_full()?;
    for answer in wire::answers(&datagram) {
        match answer {
            Ok(Answer::Done) => return Ok(true),
            Ok(Answer::Connection(_) | Answer::Other) => {}
            Err(source) if errno::is(&source, errno::ENOENT) => return Ok(false),
            Err(source) => return Err(source),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no answer to a deletion"))
}
