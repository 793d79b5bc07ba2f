//! The answering half of HTTP/1.1, as little of it as a load client needs: the status code and
//! the length of the body. Chunked bodies are refused, because the server never sends them to a
//! request of ours; anything unexpected is an error and never a guess.
//!
//! No I/O happens here: the caller reads into [`ResponseReader::spare`] and asks for the next
//! whole answer. The one buffer is used again for every answer.

use std::ops::Range;

use thiserror::Error;

#[cfg(test)]
mod tests;

/// A head longer than this is taken for a broken server.
const LONGEST_HEAD: usize = 16 * 1024;
const FIRST_CAPACITY: usize = 16 * 1024;

/// Why bytes are not an answer that this client understands. The server's fault, always.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    #[error("the answer does not begin with an HTTP/1.1 status line")]
    StatusLine,
    #[error("the answer's Content-Length is not a number")]
    ContentLength,
    #[error("the answer has a body and no Content-Length")]
    NoLength,
    #[error("the answer's head is longer than {LONGEST_HEAD} bytes")]
    HeadTooLong,
}

/// Where one whole answer lies in the buffer; valid until the next call of `spare`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub status: u16,
    head: Range<usize>,
    body: Range<usize>,
}

/// Cuts a stream of bytes into answers.
pub struct ResponseReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    head: Option<Head>,
}

impl ResponseReader {
    pub fn new() -> Self {
        Self { buffer: vec![0; FIRST_CAPACITY], start: 0, end: 0, head: None }
    }

    /// Where the next bytes of the stream belong; never empty.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let whole = self.head.map_or(0, |head| head.length + head.body);
        let wanted = whole.max(self.leftover() + 1);
        if self.start + wanted > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if wanted >= self.buffer.len() {
                self.buffer.resize((wanted + 1).next_power_of_two(), 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `count` bytes were put into the spare room.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// The next answer once it is whole, else `None`. Bytes beyond it stay for the one after.
    pub fn advance(&mut self) -> Result<Option<Frame>, Malformed> {
        let head = match self.head {
            Some(head) => head,
            None => match parse_head(&self.buffer[self.start..self.end])? {
                Some(head) => *self.head.insert(head),
                None => return Ok(None),
            },
        };
        let body = self.start + head.length;
        if self.end < body + head.body {
            return Ok(None);
        }
        let frame = Frame { status: head.status, head: self.start..body, body: body..body + head.body };
        self.start = frame.body.end;
        self.head = None;
        Ok(Some(frame))
    }

    pub fn body(&self, frame: &Frame) -> &[u8] {
        &self.buffer[frame.body.clone()]
    }

    pub fn head(&self, frame: &Frame) -> &[u8] {
        &self.buffer[frame.head.clone()]
    }

    /// How many bytes have come that belong to no answer yet.
    pub fn leftover(&self) -> usize {
        self.end - self.start
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes up to and with the empty line.
    length: usize,
    /// Bytes after it.
    body: usize,
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut status = None;
    let mut body = None;
    let mut line_start = 0;
    while let Some(length) = bytes[line_start..].iter().position(|&byte| byte == b'\n') {
        let next = line_start + length + 1;
        let line = bytes[line_start..next].trim_ascii_end();
        match status {
            None => status = Some(parse_status_line(line)?),
            Some(status) if line.is_empty() => {
                let bodiless = status == 204 || status == 304;
                let body = if bodiless { 0 } else { body.ok_or(Malformed::NoLength)? };
                return Ok(Some(Head { status, length: next, body }));
            }
            Some(_) => {
                if let Some(value) = header(line, b"content-length:") {
                    body = Some(parse_number(value).ok_or(Malformed::ContentLength)?);
                }
            }
        }
        line_start = next;
    }
    if bytes.len() > LONGEST_HEAD {
        return Err(Malformed::HeadTooLong);
    }
    Ok(None)
}

fn parse_status_line(line: &[u8]) -> Result<u16, Malformed> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").ok_or(Malformed::StatusLine)?;
    let code = rest.get(..3).and_then(parse_number).ok_or(Malformed::StatusLine)?;
    u16::try_from(code).map_err(|_| Malformed::StatusLine)
}

/// The value of a header line if it has this name (given in lower case, with its colon).
pub fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (front, value) = line.split_at_checked(name.len())?;
    front.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn parse_number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
