//! Messages to and from the kernel's netfilter, in the form of `linux/netfilter/nfnetlink.h`, and the headers that they
//! have in common with all of netlink. Numbers in headers are in the machine's order.

use std::io;

use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;

/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// A conversation with the kernel about the namespace of the calling thread.
pub(crate) fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

pub(crate) fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = HEADER + FAMILY_HEADER + attributes.len();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence and port: one request at a time on a socket of its own needs neither.
    message.extend([0; 8]);
    message.extend([family, 0, 0, 0]);
    message.extend(attributes);
    message
}

/// An attribute, filled up to a multiple of four.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut attribute = Vec::with_capacity(length.next_multiple_of(4));
    attribute.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(length.next_multiple_of(4), 0);
    attribute
}

/// A message that came.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    body: &'a [u8],
}

impl<'a> Received<'a> {
    /// What follows the header with the family; none in errors and at the end.
    pub(crate) fn attributes(&self) -> Option<&'a [u8]> {
        self.body.get(FAMILY_HEADER..)
    }

    /// What an error says; one of code 0 says that all is well.
    pub(crate) fn outcome(&self) -> io::Result<()> {
        let code = self.body.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
        match code {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code.saturating_abs())),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "a netlink error without a code")),
        }
    }
}

/// The messages of one datagram, as far as they are whole.
pub(crate) fn received(mut datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let (message, rest) = split(datagram)?;
        datagram = rest;
        Some(message)
    })
}

fn split(datagram: &[u8]) -> Option<(Received<'_>, &[u8])> {
    let number = |at: usize| Some(u16::from_ne_bytes(datagram.get(at..at + 2)?.try_into().ok()?));
    let length = usize::try_from(u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?)).ok()?;
    let message = Received { kind: number(4)?, flags: number(6)?, body: datagram.get(HEADER..length)? };
    let aligned = length.next_multiple_of(4).min(datagram.len());
    Some((message, datagram.get(aligned..)?))
}
