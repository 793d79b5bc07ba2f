//! Giving out addresses of subnets.
//!
//! Whoever takes addresses of a network holds the network, so that no two see the same address free;
//! the primary key of `ip_allocations` would refuse the second one.

use super::device;
use super::fixed_ip::{FixedIp, Wish};
use crate::Failure;
use crate::context::{Context, not_found};
use ipnet::IpNet;
use karez_model::address::{first_free, from_number, is_usable, number};
use karez_model::resource::Pool;
use karez_model::{Kind, Object, Reason};
use karez_store::{Datum, Error, Row, Stored};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Up to so many addresses of a subnet are read to find the lowest free one. Above, random ones
/// are tried, so that a port on a large subnet costs no more than one on a small subnet.
const FEW: usize = 1024;
const PROBES: usize = 32;
/// Most addresses that one port may have.
const MOST: usize = 32;

/// A subnet, as far as its addresses are given out.
pub(crate) struct Range {
    pub id: String,
    pub net: IpNet,
    pools: Vec<Pool>,
    /// Hosts make their address themselves, from the MAC address (SLAAC).
    is_automatic: bool,
    /// Device owners that it is for; all when empty.
    service_types: Vec<String>,
}

/// Who takes addresses.
pub(crate) struct Seeker<'a> {
    pub network_id: &'a str,
    pub device_owner: &'a str,
    pub mac_address: &'a str,
    /// What it has already.
    pub held: &'a [FixedIp],
}

/// The subnets of a network in the order of their creation. The network is held.
pub(crate) fn ranges(context: &mut Context<'_, '_>, network_id: &str) -> Result<Vec<Range>, Failure> {
    let sql = "SELECT id, cidr, allocation_pools, ipv6_address_mode, service_types
        FROM subnets WHERE network_id = $1 ORDER BY created_at, id";
    let rows = context.tx.query(sql, &[Datum::from(network_id)])?;
    rows.iter().map(Range::from_row).collect()
}

/// Holds a network that the caller need not see.
pub(crate) fn hold(context: &mut Context<'_, '_>, network_id: &str) -> Result<Arc<Stored>, Failure> {
    context.tx.lock(Kind::Network, network_id)?.ok_or_else(|| not_found(Kind::Network, network_id))
}

/// One address of each IP version that the network has subnets of.
pub(crate) fn one_per_version(
    context: &mut Context<'_, '_>,
    ranges: &[Range],
    seeker: &Seeker<'_>,
) -> Result<Vec<FixedIp>, Failure> {
    let mut chosen = Vec::with_capacity(2);
    for is_v4 in [true, false] {
        let suits = |range: &&Range| range.net.addr().is_ipv4() == is_v4 && range.serves(seeker.device_owner);
        let suitable: Vec<&Range> = ranges.iter().filter(suits).collect();
        let before = chosen.len();
        for range in &suitable {
            if let Some(ip) = pick(context, range, seeker, &chosen)? {
                chosen.push(FixedIp { subnet_id: range.id.clone(), ip });
                break;
            }
        }
        if chosen.len() == before && !suitable.is_empty() {
            return Err(exhausted(seeker.network_id));
        }
    }
    if chosen.is_empty() && !ranges.is_empty() {
        return Err(exhausted(seeker.network_id));
    }
    Ok(chosen)
}

/// The addresses that were asked for, in that order.
pub(crate) fn as_wished(
    context: &mut Context<'_, '_>,
    ranges: &[Range],
    seeker: &Seeker<'_>,
    wishes: &[Wish],
) -> Result<Vec<FixedIp>, Failure> {
    if wishes.len() > MOST {
        let message = format!("fixed_ips has {} entries; a port can have {MOST} addresses", wishes.len());
        return Err(Failure::fault(Reason::InvalidInput, message));
    }
    let mut granted: Vec<Option<FixedIp>> = vec![None; wishes.len()];
    let mut chosen: Vec<FixedIp> = Vec::with_capacity(wishes.len());
    // Those named first, so that an address picked for one entry is not the one another names.
    for (wish, granted) in wishes.iter().zip(&mut granted) {
        let Some(ip) = wish.ip else { continue };
        let fixed = explicit(context, ranges, seeker, wish.subnet_id.as_deref(), ip)?;
        if chosen.contains(&fixed) {
            let message = format!("fixed_ips names the address {ip} twice");
            return Err(Failure::fault(Reason::InvalidInput, message));
        }
        chosen.push(fixed.clone());
        *granted = Some(fixed);
    }
    for (wish, granted) in wishes.iter().zip(&mut granted).filter(|(wish, _)| wish.ip.is_none()) {
        let range = on_network(context, ranges, seeker, wish.subnet_id.as_deref().unwrap_or_default())?;
        let is_kept = |held: &&FixedIp| held.subnet_id == range.id && !chosen.contains(held);
        let ip = match seeker.held.iter().find(is_kept) {
            Some(held) => held.ip,
            None => pick(context, range, seeker, &chosen)?.ok_or_else(|| exhausted(seeker.network_id))?,
        };
        let fixed = FixedIp { subnet_id: range.id.clone(), ip };
        chosen.push(fixed.clone());
        *granted = Some(fixed);
    }
    Ok(granted.into_iter().flatten().collect())
}

/// Enters the addresses of a port that has none yet.
pub(crate) fn record(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    let sql =
        "INSERT INTO ip_allocations (subnet_id, ip_address, network_id, port_id) VALUES ($1, $2, $3, $4)";
    for fixed in FixedIp::from_stored(port.json("fixed_ips")) {
        let (subnet, ip) = (fixed.subnet_id, fixed.ip.to_string());
        let params = [subnet.into(), ip.into(), port.text("network_id").into(), port.id().into()];
        context.tx.execute(sql, &params)?;
    }
    Ok(())
}

/// Enters the addresses of a port in place of those it had.
pub(crate) fn replace(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    context.tx.execute("DELETE FROM ip_allocations WHERE port_id = $1", &[Datum::from(port.id())])?;
    record(context, port)
}

impl Range {
    fn from_row(row: &Row) -> Result<Self, Failure> {
        let json = |at| -> Result<serde_json::Value, Failure> { parsed(row.text(at)?) };
        let service_types = json(4)?;
        let service_types = service_types.as_array().into_iter().flatten().filter_map(|owner| owner.as_str());
        Ok(Self {
            id: row.text(0)?.to_owned(),
            net: parsed(row.text(1)?)?,
            pools: Pool::from_stored(&json(2)?),
            is_automatic: matches!(row.opt_text(3)?, Some("slaac" | "dhcpv6-stateless")),
            service_types: service_types.map(str::to_owned).collect(),
        })
    }

    fn serves(&self, owner: &str) -> bool {
        self.service_types.is_empty() || self.service_types.iter().any(|served| served == owner)
    }

    /// The address that a host of this MAC address makes itself, where hosts do so. Routers do not.
    fn automatic(&self, seeker: &Seeker<'_>) -> Option<IpAddr> {
        let is_host = self.is_automatic && !device::is_managed(seeker.device_owner);
        if is_host { eui64(self.net, seeker.mac_address) } else { None }
    }
}

/// Reads what the store holds in its canonical form.
pub(crate) fn parsed<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::Store(Error::Bug(format!("'{text}' is stored where it cannot be"))))
}

/// An address that was asked for by itself.
fn explicit(
    context: &mut Context<'_, '_>,
    ranges: &[Range],
    seeker: &Seeker<'_>,
    subnet_id: Option<&str>,
    ip: IpAddr,
) -> Result<FixedIp, Failure> {
    let range = match subnet_id {
        Some(id) => on_network(context, ranges, seeker, id)?,
        None => ranges.iter().find(|range| range.net.contains(&ip)).ok_or_else(|| {
            let message = format!("No subnet of the network {} has the address {ip}", seeker.network_id);
            Failure::fault(Reason::InvalidIpForNetwork, message)
        })?,
    };
    let fixed = FixedIp { subnet_id: range.id.clone(), ip };
    if seeker.held.contains(&fixed) {
        return Ok(fixed);
    }
    if !is_usable(range.net, ip) || range.automatic(seeker).is_some_and(|own| own != ip) {
        let message =
            format!("The address {ip} cannot be given to a port on the subnet {}, {}", range.id, range.net);
        return Err(Failure::fault(Reason::InvalidIpForSubnet, message));
    }
    if is_taken(context, range, ip)? {
        let message = format!("The address {ip} of the network {} is in use", seeker.network_id);
        return Err(Failure::fault(Reason::IpAddressAlreadyAllocated, message));
    }
    Ok(fixed)
}

fn on_network<'a>(
    context: &mut Context<'_, '_>,
    ranges: &'a [Range],
    seeker: &Seeker<'_>,
    subnet_id: &str,
) -> Result<&'a Range, Failure> {
    if let Some(range) = ranges.iter().find(|range| range.id == subnet_id) {
        return Ok(range);
    }
    context.visible(Kind::Subnet, subnet_id)?;
    let message = format!("The subnet {subnet_id} is not one of the network {}", seeker.network_id);
    Err(Failure::fault(Reason::InvalidInput, message))
}

/// A free address that is not among those chosen already.
fn pick(
    context: &mut Context<'_, '_>,
    range: &Range,
    seeker: &Seeker<'_>,
    chosen: &[FixedIp],
) -> Result<Option<IpAddr>, Failure> {
    if let Some(own) = range.automatic(seeker) {
        let is_free = !chosen.iter().any(|other| other.ip == own) && !is_taken(context, range, own)?;
        return Ok(is_free.then_some(own));
    }
    let sql = format!("SELECT ip_address FROM ip_allocations WHERE subnet_id = $1 LIMIT {}", FEW + 1);
    let rows = context.tx.query(&sql, &[Datum::from(range.id.as_str())])?;
    if rows.len() <= FEW {
        return lowest(range, &rows, chosen);
    }
    for _ in 0..PROBES {
        let Some(ip) = random(&range.pools) else { return Ok(None) };
        if !chosen.iter().any(|other| other.ip == ip) && !is_taken(context, range, ip)? {
            return Ok(Some(ip));
        }
    }
    let sql = "SELECT ip_address FROM ip_allocations WHERE subnet_id = $1";
    let rows = context.tx.query(sql, &[Datum::from(range.id.as_str())])?;
    lowest(range, &rows, chosen)
}

fn lowest(range: &Range, rows: &[Row], chosen: &[FixedIp]) -> Result<Option<IpAddr>, Failure> {
    let mut taken: Vec<u128> = Vec::with_capacity(rows.len() + chosen.len());
    for row in rows {
        taken.push(number(parsed(row.text(0)?)?));
    }
    taken.extend(chosen.iter().filter(|fixed| fixed.subnet_id == range.id).map(|fixed| number(fixed.ip)));
    taken.sort_unstable();
    taken.dedup();
    Ok(first_free(&range.pools, &taken))
}

fn random(pools: &[Pool]) -> Option<IpAddr> {
    let size = |pool: &Pool| (number(pool.end) - number(pool.start)).saturating_add(1);
    let all = pools.iter().fold(0_u128, |sum, pool| sum.saturating_add(size(pool)));
    let mut at = Uuid::new_v4().as_u128().checked_rem(all)?;
    for pool in pools {
        if at < size(pool) {
            return Some(from_number(number(pool.start) + at, pool.start));
        }
        at -= size(pool);
    }
    None
}

fn is_taken(context: &mut Context<'_, '_>, range: &Range, ip: IpAddr) -> Result<bool, Failure> {
    let sql = "SELECT port_id FROM ip_allocations WHERE subnet_id = $1 AND ip_address = $2";
    context.exists(sql, &[Datum::from(range.id.as_str()), Datum::from(ip.to_string())])
}

/// RFC 4291, appendix A: the MAC address with ff:fe in its middle and the universal bit turned.
fn eui64(net: IpNet, mac: &str) -> Option<IpAddr> {
    let IpNet::V6(net) = net else { return None };
    let octets: Vec<u8> = mac.split(':').filter_map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    let [a, b, c, d, e, f] = octets.try_into().ok()?;
    let host = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Some(IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) | u128::from(host))))
}

fn exhausted(network_id: &str) -> Failure {
    let message =
        format!("No more addresses are free on the network {network_id}; add a subnet or delete ports");
    Failure::fault(Reason::IpAddressGenerationFailure, message)
}
