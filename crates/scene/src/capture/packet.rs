//! What a packet between two gateways is, from the outside.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// ESP (RFC 4303).
    Esp,
    /// ESP in UDP (RFC 3948).
    EspInUdp,
    /// AH (RFC 4302).
    Ah,
    /// IKE on port 500.
    Ike,
    /// IKE on port 4500, behind the non-ESP marker.
    IkeOnNatPort,
    /// A NAT keep-alive.
    KeepAlive,
    /// An ICMP error about a packet of one of the kinds above, such as an IKE daemon that does not run yet.
    Error,
    /// ARP, neighbour and router discovery, multicast listeners: never beyond the link.
    Neighbour,
    /// Anything else. Between the gateways of a VPN, a packet that should have been protected.
    Clear,
}

/// A packet that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When, since 1970.
    pub at: Duration,
    /// What it is.
    pub kind: Kind,
    /// From where and to where, when it is an IP packet.
    pub route: Option<(IpAddr, IpAddr)>,
    /// The number of the protocol in the IP header, or of what Ethernet carries.
    pub protocol: u16,
    /// Octets, with the Ethernet header.
    pub length: usize,
}

impl fmt::Display for Packet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.route {
            Some((from, to)) => {
                write!(out, "{from} > {to} protocol {}, {} octets", self.protocol, self.length)
            }
            None => write!(out, "ethertype {:#06x}, {} octets", self.protocol, self.length),
        }
    }
}

/// What the first fragments were, so that the others can be told.
#[derive(Debug, Default)]
pub(super) struct Fragments(BTreeMap<(IpAddr, IpAddr, u8, u32), Kind>);

impl Packet {
    pub(super) fn read(frame: &[u8], at: Duration, fragments: &mut Fragments) -> Self {
        const ARP: u16 = 0x0806;
        let ethertype = short(frame, 12).unwrap_or_default();
        let ip = frame.get(14..).and_then(|body| match ethertype {
            0x0800 => Ip::v4(body),
            0x86dd => Ip::v6(body),
            _ => None,
        });
        let length = frame.len();
        let Some(ip) = ip else {
            let kind = if ethertype == ARP { Kind::Neighbour } else { Kind::Clear };
            return Self { at, kind, route: None, protocol: ethertype, length };
        };
        let kind = fragments.kind(&ip);
        Self { at, kind, route: Some((ip.from, ip.to)), protocol: ip.protocol.into(), length }
    }
}

impl Fragments {
    fn kind(&mut self, ip: &Ip<'_>) -> Kind {
        let Some(fragment) = ip.fragment else { return ip.kind() };
        let key = (ip.from, ip.to, ip.protocol, fragment.id);
        if fragment.offset == 0 {
            let kind = ip.kind();
            self.0.insert(key, kind);
            return kind;
        }
        // What is not known to belong to something protected is taken for the worst.
        self.0.get(&key).copied().unwrap_or(Kind::Clear)
    }
}

/// A packet without its IP headers.
struct Ip<'a> {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    fragment: Option<Fragment>,
    body: &'a [u8],
}

#[derive(Clone, Copy)]
struct Fragment {
    id: u32,
    offset: u16,
}

impl<'a> Ip<'a> {
    /// RFC 791, section 3.1.
    fn v4(packet: &'a [u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 15) * 4;
        let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
        let place = short(packet, 6)?;
        let (offset, is_followed) = (place & 0x1fff, place & 0x2000 != 0);
        let id = short(packet, 4)?.into();
        Some(Self {
            from: address(12)?.into(),
            to: address(16)?.into(),
            protocol: *packet.get(9)?,
            fragment: (is_followed || offset != 0).then_some(Fragment { id, offset }),
            body: packet.get(header..)?,
        })
    }

    /// RFC 8200, sections 3 and 4.
    fn v6(packet: &'a [u8]) -> Option<Self> {
        const OPTIONS_AND_ROUTES: [u8; 3] = [0, 43, 60];
        const FRAGMENT: u8 = 44;
        let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
        let (mut protocol, mut body, mut fragment) = (*packet.get(6)?, packet.get(40..)?, None);
        loop {
            if protocol == FRAGMENT {
                let id = u32::from(short(body, 4)?) << 16 | u32::from(short(body, 6)?);
                let found = Fragment { id, offset: short(body, 2)? & 0xfff8 };
                fragment = Some(found);
                (protocol, body) = (*body.first()?, body.get(8..)?);
                if found.offset != 0 {
                    break;
                }
            } else if OPTIONS_AND_ROUTES.contains(&protocol) {
                let length = (usize::from(*body.get(1)?) + 1) * 8;
                (protocol, body) = (*body.first()?, body.get(length..)?);
            } else {
                break;
            }
        }
        Some(Self { from: address(8)?.into(), to: address(24)?.into(), protocol, fragment, body })
    }

    fn kind(&self) -> Kind {
        match self.protocol {
            // IGMP never passes a router (RFC 3376, section 4).
            2 => Kind::Neighbour,
            1 if matches!(self.body.first(), Some(3 | 11 | 12)) => self.error(Ip::v4),
            58 if matches!(self.body.first(), Some(1..=4)) => self.error(Ip::v6),
            17 => self.udp(),
            50 => Kind::Esp,
            51 => Kind::Ah,
            58 if self.is_discovery() => Kind::Neighbour,
            _ => Kind::Clear,
        }
    }

    /// RFC 3948, sections 2.1 to 2.3.
    fn udp(&self) -> Kind {
        const IKE: u16 = 500;
        const NAT: u16 = 4500;
        let ports = [short(self.body, 0), short(self.body, 2)];
        if ports.contains(&Some(NAT)) {
            return match self.body.get(8..).unwrap_or_default() {
                [0, 0, 0, 0, ..] => Kind::IkeOnNatPort,
                [0xff] => Kind::KeepAlive,
                [_, _, _, _, ..] => Kind::EspInUdp,
                _ => Kind::Clear,
            };
        }
        if ports.contains(&Some(IKE)) { Kind::Ike } else { Kind::Clear }
    }

    /// RFC 792 and 4443: eight octets, then as much of the packet in question as there was room for.
    fn error(&self, read: impl Fn(&'a [u8]) -> Option<Self>) -> Kind {
        match self.body.get(8..).and_then(read).map_or(Kind::Clear, |about| about.kind()) {
            Kind::Clear => Kind::Clear,
            _ => Kind::Error,
        }
    }

    /// RFC 4861 and 3810: listeners, routers, neighbours, redirects.
    fn is_discovery(&self) -> bool {
        matches!(self.body.first(), Some(130..=137 | 143))
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
