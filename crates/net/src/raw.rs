//! Netlink in octets, for the parts of the kernel that no library here speaks to: to look at everything, and to change
//! some of it.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use std::io;
use std::os::fd::OwnedFd;

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`, `NLM_F_EXCL`, `NLM_F_CREATE` in `linux/netlink.h`.
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A conversation with one part of the kernel about the namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// None when the kernel has no such part.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(part: Option<Protocol>) -> io::Result<Option<Self>> {
        match socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, part) {
            Ok(socket) => Ok(Some(Self(socket))),
            Err(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The bodies of all that there is. The request is of this kind, and its body so many zeros.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self, kind: u16, length: usize) -> io::Result<Vec<Vec<u8>>> {
        self.send(kind, REQUEST | DUMP, &vec![0; length])?;
        let mut found = Vec::new();
        loop {
            for (kind, body) in self.receive()? {
                match kind {
                    DONE => return Ok(found),
                    ERROR => return outcome(&body).map(|()| found),
                    _ => found.push(body),
                }
            }
        }
    }

    /// Asks for something new, which there is not yet.
    ///
    /// # Errors
    /// The kernel's; `EEXIST` where there is.
    pub fn create(&self, kind: u16, body: &[u8]) -> io::Result<()> {
        self.ask(kind, CREATE | EXCLUSIVE, body)
    }

    /// Asks this of each, and counts those that were still there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn each(&self, kind: u16, bodies: impl Iterator<Item = Vec<u8>>) -> io::Result<usize> {
        let mut count = 0;
        for body in bodies {
            match self.ask(kind, 0, &body) {
                Ok(()) => count += 1,
                // It ended by itself meanwhile.
                Err(error) if is(&error, Errno::SRCH) || is(&error, Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.send(kind, REQUEST | ACK | flags, body)?;
        let answer = self.receive()?.into_iter().find(|(kind, _)| *kind == ERROR);
        answer.map_or(Ok(()), |(_, body)| outcome(&body))
    }

    fn send(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(HEADER + body.len()).unwrap_or(0).to_ne_bytes();
        let (kind, flags) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        let message = [length.as_slice(), &kind, &flags, &[0; 8], body].concat();
        send(&self.0, &message, SendFlags::empty())?;
        Ok(())
    }

    /// The messages of one reading, each with its kind.
    fn receive(&self) -> io::Result<Vec<(u16, Vec<u8>)>> {
        let mut buffer = vec![0; 1 << 16];
        let (length, _) = recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        let mut messages = Vec::new();
        while let (Some(length), Some(kind)) = (word(rest), short(rest, 4)) {
            let length = usize::try_from(length).unwrap_or(0);
            let Some(body) = rest.get(HEADER..length) else { break };
            messages.push((kind, body.to_vec()));
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

/// The value of the first attribute of this kind.
#[must_use]
pub fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(short(attributes, 0)?);
        let body = attributes.get(4..length)?;
        if short(attributes, 2)? == wanted {
            return Some(body);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// The body of an answer: zero, or an error number below it.
fn outcome(body: &[u8]) -> io::Result<()> {
    match word(body).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("the kernel's answer is not understood")),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn short(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn word(octets: &[u8]) -> Option<u32> {
    octets.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_behind_others_and_never_beyond_the_end() {
        let list = [6, 0, 1, 0, 7, 7, 0, 0, 8, 0, 6, 0, 220, 0, 0, 0].map(|octet: u8| octet);
        assert_eq!(attribute(&list, 6), Some([220, 0, 0, 0].as_slice()));
        assert_eq!(attribute(&list, 9), None);
        assert_eq!(attribute(&list[..14], 6), None);
        assert_eq!(attribute(&[0; 8], 6), None);
    }

    #[test]
    fn an_answer_is_zero_or_an_error() {
        assert!(outcome(&0_i32.to_ne_bytes()).is_ok());
        assert!(is(&outcome(&(-3_i32).to_ne_bytes()).unwrap_err(), Errno::SRCH));
        assert!(outcome(&[]).is_err());
    }
}
