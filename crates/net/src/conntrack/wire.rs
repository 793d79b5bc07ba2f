//! The few messages of ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`) that are needed. What identifies a
//! connection is handed back as it came, never interpreted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator};

use crate::nfnetlink::{NLMSG_DONE, NLMSG_ERROR, Received, message, received};

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

const GET: u16 = 0x0101;
const NEW: u16 = 0x0100;
const DELETE: u16 = 0x0102;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_SOURCE: [u16; 2] = [1, 3];
const CTA_IP_DESTINATION: [u16; 2] = [2, 4];

/// A connection, by the addresses of its first packet and of the answer that is expected to it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) original: Ends,
    reply: Ends,
    /// The attributes that name it, as the kernel wrote them.
    identity: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

impl Connection {
    /// Whether answers come from or go to somewhere else than the first packet says.
    pub(super) fn translated(&self) -> bool {
        self.reply != Ends { source: self.original.destination, destination: self.original.source }
    }
}

pub(super) enum Answer {
    Connection(Connection),
    Other,
    Done,
}

/// Asks for all connections of a family.
pub(super) fn dump(family: u8) -> Vec<u8> {
    message(GET, NLM_F_REQUEST | NLM_F_DUMP, family, &[])
}

/// Asks for the end of one.
pub(super) fn delete(family: u8, connection: &Connection) -> Vec<u8> {
    message(DELETE, NLM_F_REQUEST | NLM_F_ACK, family, &connection.identity)
}

/// The messages of one datagram.
pub(super) fn answers(datagram: &[u8]) -> Vec<io::Result<Answer>> {
    let answer = |message: Received<'_>| match message.kind {
        NLMSG_DONE => Ok(Answer::Done),
        NLMSG_ERROR => message.outcome().map(|()| Answer::Done),
        NEW => Ok(message.attributes().and_then(connection).map_or(Answer::Other, Answer::Connection)),
        _ => Ok(Answer::Other),
    };
    received(datagram).map(answer).collect()
}

/// None for what is not understood; it is left alone then.
fn connection(attributes: &[u8]) -> Option<Connection> {
    let (mut original, mut reply, mut identity) = (None, None, Vec::new());
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.ok()?;
        match attribute.kind() {
            CTA_TUPLE_ORIG => original = ends(attribute.value()),
            CTA_TUPLE_REPLY => reply = ends(attribute.value()),
            _ => {}
        }
        if [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE].contains(&attribute.kind()) {
            let bytes = attribute.into_inner();
            identity.extend_from_slice(bytes.get(..attribute_length(bytes)?)?);
            identity.resize(identity.len().next_multiple_of(4), 0);
        }
    }
    Some(Connection { original: original?, reply: reply?, identity })
}

/// The length that an attribute begins with.
fn attribute_length(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?)))
}

fn ends(tuple: &[u8]) -> Option<Ends> {
    let (mut source, mut destination) = (None, None);
    for attribute in NlasIterator::new(tuple) {
        let attribute = attribute.ok()?;
        if attribute.kind() != CTA_TUPLE_IP {
            continue;
        }
        for address in NlasIterator::new(attribute.value()) {
            let address = address.ok()?;
            if CTA_IP_SOURCE.contains(&address.kind()) {
                source = ip(address.value());
            } else if CTA_IP_DESTINATION.contains(&address.kind()) {
                destination = ip(address.value());
            }
        }
    }
    Some(Ends { source: source?, destination: destination? })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}

#[cfg(test)]
mod tests;
