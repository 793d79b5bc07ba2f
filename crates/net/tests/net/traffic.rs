//! Packets and connections, and what the other side sees of them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(2);

/// A UDP socket inside, bound to this address and a free port.
pub fn udp(scratch: &Scratch, address: &str) -> Result<UdpSocket> {
    let address = SocketAddr::new(address.parse()?, 0);
    let socket = scratch.namespace.run(|| UdpSocket::bind(address))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The source of a packet, as its receiver sees it.
pub fn source_seen(sender: &UdpSocket, receiver: &UdpSocket) -> Result<IpAddr> {
    sender.send_to(b"hello", receiver.local_addr()?)?;
    Ok(receiver.recv_from(&mut [0; 16]).context("nothing arrived")?.1.ip())
}

/// Whether a packet arrives within a third of a second; veth takes microseconds.
pub fn arrives(sender: &UdpSocket, receiver: &UdpSocket) -> Result<bool> {
    sender.send_to(b"hello", receiver.local_addr()?)?;
    receiver.set_read_timeout(Some(Duration::from_millis(300)))?;
    let arrived = receiver.recv_from(&mut [0; 16]);
    receiver.set_read_timeout(Some(PATIENCE))?;
    match arrived {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A TCP connection between two namespaces: the client's end and the server's.
pub fn tcp(client: &Scratch, server: &Scratch, address: &str) -> Result<(TcpStream, TcpStream)> {
    let address = SocketAddr::new(address.parse()?, 0);
    let listener = server.namespace.run(|| TcpListener::bind(address))??;
    let to = listener.local_addr()?;
    let near = client.namespace.run(|| TcpStream::connect_timeout(&to, PATIENCE))??;
    let (far, _) = listener.accept()?;
    Ok((near, far))
}
