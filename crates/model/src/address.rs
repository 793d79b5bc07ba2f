//! Addresses: reading them strictly, and finding free ones in a subnet.

use crate::resource::Pool;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an IP address. IPv4 octets with leading zeros are refused: some software reads them as
/// octal and would mean another host.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("'{}' is not an IPv4 or IPv6 address", crate::parse::clip(text)))
}

/// Reads an address with its prefix length and clears the host bits. Leading zeros are refused
/// as in [`ip`], which the parser of [`IpNet`] would let pass.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn cidr(text: &str) -> Result<IpNet, String> {
    let net = || {
        let (address, length) = text.split_once('/')?;
        let is_plain = length == "0" || length.starts_with(|c: char| ('1'..='9').contains(&c));
        let length = length.parse().ok().filter(|_| is_plain)?;
        IpNet::new(address.parse().ok()?, length).ok()
    };
    let wrong = || {
        format!(
            "'{}' is not a CIDR; write an address and its prefix length, like 10.0.0.0/24",
            crate::parse::clip(text)
        )
    };
    Ok(net().ok_or_else(wrong)?.trunc())
}

/// Reads a UUID in any of its spellings and returns it in lower case with hyphens.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn uuid(text: &str) -> Result<String, String> {
    let id =
        uuid::Uuid::parse_str(text).map_err(|_| format!("'{}' is not a UUID", crate::parse::clip(text)))?;
    Ok(id.to_string())
}

/// Reads a MAC address and returns it in lower case with colons.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn mac(text: &str) -> Result<String, String> {
    let wrong = || format!("'{}' is not a MAC address like fa:16:3e:00:00:01", crate::parse::clip(text));
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let is_octet = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if parts.len() != 6 || !parts.iter().all(is_octet) {
        return Err(wrong());
    }
    let first = u8::from_str_radix(parts[0], 16).map_err(|_| wrong())?;
    if first & 1 == 1 || parts.iter().all(|part| *part == "00") {
        return Err(format!("'{text}' is a group or zero address; a port needs its own"));
    }
    Ok(parts.join(":").to_ascii_lowercase())
}

/// An address as a number, so that ranges of both IP versions can be walked alike.
#[must_use]
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The address of a number, in the IP version of `like`. Numbers past the end of IPv4 wrap, which
/// cannot happen for numbers that come from [`number`] of an IPv4 range.
#[must_use]
pub fn from_number(number: u128, like: IpAddr) -> IpAddr {
    match like {
        #[allow(clippy::cast_possible_truncation)]
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// What one client is likely to own: an IPv4 address, or the 64-bit prefix of an IPv6 one (RFC 4291, section 2.5.4).
#[must_use]
pub fn client_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The first and last address of `net` that a host may have. In IPv4 ranges wider than /31 the
/// network and broadcast addresses are left out; in IPv6 ranges wider than /127 the
/// subnet-router anycast address is (RFC 4291, section 2.6.1).
#[must_use]
pub fn usable(net: IpNet) -> Pool {
    let (first, last) = (number(net.network()), number(net.broadcast()));
    let (first, last) = match net {
        IpNet::V4(net) if net.prefix_len() < 31 => (first + 1, last - 1),
        IpNet::V6(net) if net.prefix_len() < 127 => (first + 1, last),
        IpNet::V4(_) | IpNet::V6(_) => (first, last),
    };
    Pool { start: from_number(first, net.addr()), end: from_number(last, net.addr()) }
}

/// Whether a host on `net` may have this address.
#[must_use]
pub fn is_usable(net: IpNet, ip: IpAddr) -> bool {
    let range = usable(net);
    net.contains(&ip) && range.start <= ip && ip <= range.end
}

/// The allocation pools of a subnet when none are asked for: all usable addresses but the
/// gateway's.
#[must_use]
pub fn default_pools(net: IpNet, gateway: Option<IpAddr>) -> Vec<Pool> {
    let range = usable(net);
    let Some(gateway) = gateway.filter(|gateway| is_usable(net, *gateway)) else {
        return vec![range];
    };
    let at = number(gateway);
    let mut pools = Vec::with_capacity(2);
    if gateway > range.start {
        pools.push(Pool { start: range.start, end: from_number(at - 1, gateway) });
    }
    if gateway < range.end {
        pools.push(Pool { start: from_number(at + 1, gateway), end: range.end });
    }
    pools
}

/// The lowest address of the pools that is not taken. `taken` is sorted; its order is that of
/// [`number`]. Costs one step per taken address in front of the free one, however wide the pools.
#[must_use]
pub fn first_free(pools: &[Pool], taken: &[u128]) -> Option<IpAddr> {
    let mut pools = pools.to_vec();
    pools.sort_by_key(|pool| number(pool.start));
    for pool in pools {
        let (mut candidate, end) = (number(pool.start), number(pool.end));
        let from = taken.partition_point(|ip| *ip < candidate);
        for ip in &taken[from..] {
            if *ip > candidate {
                break;
            }
            candidate += 1;
        }
        if candidate <= end {
            return Some(from_number(candidate, pool.start));
        }
    }
    None
}

#[cfg(test)]
mod tests;
