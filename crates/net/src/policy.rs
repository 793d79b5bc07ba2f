//! Policies of the kernel's IPsec that have no tunnel, beside those of an IKE daemon: what passes in clear though a
//! tunnel's policy would take it, and what goes nowhere while no tunnel's policy does.
//!
//! The kernel takes, of all policies that are for a packet, the one of the lowest priority number. Of two with the same
//! selector it keeps one, whoever has made it, unless they ask for other marks. So ours ask for a mark that every packet
//! has: that one bit, which nobody sets, is not set.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rustix::net::netlink::XFRM;

use crate::raw::{Socket, attribute};
use crate::{Error, Namespace};

/// `XFRM_MSG_…` in `linux/xfrm.h`.
const NEW: u16 = 0x13;
const DELETE: u16 = 0x14;
const GET: u16 = 0x15;

/// `XFRMA_MARK`: its value and the bits that are looked at.
const MARK: u16 = 21;

/// Neutron's marks are within 0x07ffffff.
const NOBODYS_BIT: u32 = 0x8000_0000;

/// The lengths of `struct xfrm_userpolicy_id` and `struct xfrm_userpolicy_info`.
const ID: usize = 64;
const INFO: usize = 168;

/// The priorities of those that let pass, before all of an IKE daemon's (charon's are 100,000 and more for what it
/// protects), and of those that drop, behind them all.
const FIRST: u32 = 0x4b61;
const LAST: u32 = 0x4b61_0000;

/// A policy, for packets of the machine and for those that it forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// What goes between the two, either way, passes in clear.
    Pass {
        /// Our side.
        local: IpNet,
        /// The other.
        other: IpNet,
    },
    /// What goes from one to the other goes by a tunnel, or nowhere.
    Protect {
        /// Our side.
        local: IpNet,
        /// The peer's.
        peer: IpNet,
    },
}

/// One way of a policy, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    from: IpNet,
    to: IpNet,
    direction: Direction,
    priority: u32,
}

/// `XFRM_POLICY_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    In = 0,
    Out = 1,
    Forward = 2,
}

impl Policy {
    fn lines(&self) -> Vec<Line> {
        match *self {
            Self::Pass { local, other } => vec![
                Line { from: local, to: other, direction: Direction::Out, priority: FIRST },
                Line { from: other, to: local, direction: Direction::In, priority: FIRST },
                Line { from: other, to: local, direction: Direction::Forward, priority: FIRST },
            ],
            Self::Protect { local, peer } => {
                vec![Line { from: local, to: peer, direction: Direction::Out, priority: LAST }]
            }
        }
    }
}

/// Makes exactly these policies: what is missing is added, what is surplus removed, and those of others are left alone.
/// Says whether anything had to be done. A kernel without IPsec has none.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn ensure(namespace: &Namespace, wanted: BTreeSet<Policy>) -> Result<bool, Error> {
    let work = move || make(&wanted);
    namespace.run_async(work).await?.map_err(|source| failed(namespace, source))
}

/// Whether there is any.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn exists(namespace: &Namespace) -> Result<bool, Error> {
    let work = || Ok(Socket::open(Some(XFRM))?.map_or(Ok(BTreeMap::new()), |xfrm| found(&xfrm))?.len());
    let count = namespace.run_async(work).await?.map_err(|source| failed(namespace, source))?;
    Ok(count > 0)
}

fn failed(namespace: &Namespace, source: io::Error) -> Error {
    Error::system(namespace, "set policies of IPsec", source)
}

fn make(wanted: &BTreeSet<Policy>) -> io::Result<bool> {
    let Some(xfrm) = Socket::open(Some(XFRM))? else { return Ok(false) };
    let wanted: BTreeSet<Line> = wanted.iter().flat_map(Policy::lines).collect();
    let found = found(&xfrm)?;
    // What passes in clear comes first, and goes last.
    let mut missing: Vec<&Line> = wanted.iter().filter(|line| !found.contains_key(line)).collect();
    missing.sort_unstable_by_key(|line| line.priority);
    for line in &missing {
        match xfrm.create(NEW, &line.info()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    let mut surplus: Vec<(&Line, &u32)> = found.iter().filter(|(line, _)| !wanted.contains(line)).collect();
    surplus.sort_unstable_by_key(|(line, _)| std::cmp::Reverse(line.priority));
    xfrm.each(DELETE, surplus.iter().map(|(line, index)| line.id(**index)))?;
    Ok(!missing.is_empty() || !surplus.is_empty())
}

/// Those that are ours, each with its number.
fn found(xfrm: &Socket) -> io::Result<BTreeMap<Line, u32>> {
    Ok(xfrm.all(GET, ID)?.iter().filter_map(|policy| Line::of(policy)).collect())
}

impl Line {
    /// `struct xfrm_selector`.
    fn selector(&self) -> [u8; 56] {
        let mut octets = [0; 56];
        let family: u16 = if self.to.addr().is_ipv4() { 2 } else { 10 };
        write(&mut octets, 0, &sixteen(self.to.network()));
        write(&mut octets, 16, &sixteen(self.from.network()));
        write(&mut octets, 40, &family.to_ne_bytes());
        write(&mut octets, 42, &[self.to.prefix_len(), self.from.prefix_len()]);
        octets
    }

    /// `struct xfrm_userpolicy_info`, with the mark.
    fn info(&self) -> Vec<u8> {
        let mut octets = [0; INFO];
        write(&mut octets, 0, &self.selector());
        // It never ends, by octets or by packets.
        write(&mut octets, 56, &[0xff; 32]);
        write(&mut octets, 152, &self.priority.to_ne_bytes());
        write(&mut octets, 160, &[self.direction as u8, u8::from(self.priority == LAST)]);
        [octets.as_slice(), &mark()].concat()
    }

    /// `struct xfrm_userpolicy_id`, with the mark.
    fn id(&self, index: u32) -> Vec<u8> {
        let mut octets = [0; ID];
        write(&mut octets, 0, &self.selector());
        write(&mut octets, 56, &index.to_ne_bytes());
        write(&mut octets, 60, &[self.direction as u8]);
        [octets.as_slice(), &mark()].concat()
    }

    /// From a `struct xfrm_userpolicy_info` with its attributes, if it is ours.
    fn of(policy: &[u8]) -> Option<(Self, u32)> {
        let priority = word(policy, 152)?;
        let is_ours =
            [FIRST, LAST].contains(&priority) && attribute(policy.get(INFO..)?, MARK) == mark().get(4..);
        let direction = match policy.get(160)? {
            0 => Direction::In,
            1 => Direction::Out,
            2 => Direction::Forward,
            _ => return None,
        };
        let family = u16::from_ne_bytes(policy.get(40..42)?.try_into().ok()?);
        let to = net(policy.get(..16)?, family, *policy.get(42)?)?;
        let from = net(policy.get(16..32)?, family, *policy.get(43)?)?;
        is_ours.then_some((Self { from, to, direction, priority }, word(policy, 156)?))
    }
}

/// The attribute: `struct xfrm_mark`.
fn mark() -> [u8; 12] {
    let mut octets = [0; 12];
    write(&mut octets, 0, &12_u16.to_ne_bytes());
    write(&mut octets, 2, &MARK.to_ne_bytes());
    write(&mut octets, 8, &NOBODYS_BIT.to_ne_bytes());
    octets
}

fn write(octets: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// An `xfrm_address_t`.
fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            write(&mut octets, 0, &address.octets());
            octets
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn net(octets: &[u8], family: u16, length: u8) -> Option<IpNet> {
    let address: IpAddr = match family {
        2 => Ipv4Addr::from(<[u8; 4]>::try_from(octets.get(..4)?).ok()?).into(),
        10 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
        _ => return None,
    };
    IpNet::new(address, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_back_as_the_same_and_others_are_not_ours() {
        let [local, peer] = ["10.1.0.0/24", "0.0.0.0/0"].map(|text| text.parse().unwrap());
        let [local6, peer6] = ["fd01::/64", "fd00::/8"].map(|text| text.parse().unwrap());
        for policy in [
            Policy::Protect { local, peer },
            Policy::Protect { local: local6, peer: peer6 },
            Policy::Pass { local, other: local },
            Policy::Pass { local: local6, other: local6 },
        ] {
            for line in policy.lines() {
                let mut info = line.info();
                assert_eq!(Line::of(&info), Some((line, 0)));
                // Whoever has such a priority asks for no mark.
                info.truncate(INFO);
                assert_eq!(Line::of(&info), None);
                let mut charons = line.info();
                write(&mut charons, 152, &370_000_u32.to_ne_bytes());
                assert_eq!(Line::of(&charons), None);
            }
        }
    }
}
