//! Bytes to and from a server, for what no HTTP client would send.

use anyhow::Context;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Most that is waited for anything on a socket.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the server at `base`.
pub fn connect(base: &str) -> anyhow::Result<TcpStream> {
    let (_, address) = base.split_once("://").context("no URL")?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends bytes and returns what comes back until the server closes the connection; the request
/// should ask for that. A server may close before everything was sent.
pub fn exchange(base: &str, request: &[u8]) -> anyhow::Result<String> {
    let mut stream = connect(base)?;
    let _ = stream.write_all(request);
    answer(&mut stream)
}

/// The same from another address of this machine.
pub fn from(own: &str, base: &str, request: &[u8]) -> anyhow::Result<String> {
    let (_, address) = base.split_once("://").context("no URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(format!("{own}:0").parse()?)?;
        Ok::<_, anyhow::Error>(socket.connect(address.parse()?).await?.into_std()?)
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = stream;
    let _ = stream.write_all(request);
    answer(&mut stream)
}

/// What comes until the server closes the connection. An error when it never does.
pub fn answer(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("the server neither answered nor closed"),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The status of an answer; nothing when the server closed without one.
pub fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// The head of a request of a member of project `p`, with the line that ends it.
pub fn head(method: &str, target: &str, length: usize) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: karez\r\nConnection: close\r\nX-Project-Id: p\r\nX-User-Id: u\r\n\
         X-Roles: member,reader\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}
