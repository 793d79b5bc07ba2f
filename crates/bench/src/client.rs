//! One keep-alive HTTP/1.1 connection to the server under load.
//!
//! It shares the machine with the server, so it does as little as possible: the request is bytes
//! made beforehand, written with one call; the answer is only cut out of the stream.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::response::{Frame, Malformed, ResponseReader};

#[cfg(test)]
mod tests;

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum Broken {
    #[error("the connection failed: {0}")]
    Transport(#[from] io::Error),
    #[error("the server closed the connection before its answer was whole")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0} bytes came that no request asked for")]
    Unasked(usize),
}

pub struct Connection {
    stream: TcpStream,
    reader: ResponseReader,
}

/// An answer, borrowed from the connection's buffer until its next request.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
    /// Status line and headers, as they came.
    pub head: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, reader: ResponseReader::new() })
    }

    /// Sends a whole request and waits for its whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Broken> {
        self.stream.write_all(request).await?;
        let frame = self.receive().await?;
        match self.reader.leftover() {
            0 => Ok(Answer {
                status: frame.status,
                body: self.reader.body(&frame),
                head: self.reader.head(&frame),
            }),
            unasked => Err(Broken::Unasked(unasked)),
        }
    }

    async fn receive(&mut self) -> Result<Frame, Broken> {
        loop {
            let count = self.stream.read(self.reader.spare()).await?;
            if count == 0 {
                return Err(Broken::Closed);
            }
            self.reader.filled(count);
            if let Some(frame) = self.reader.advance()? {
                return Ok(frame);
            }
        }
    }
}
