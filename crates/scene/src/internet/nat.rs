//! A box that translates addresses, between the internet and a segment of its own.

use super::{Segment, forward, prefixes};
use crate::{Error, Ground};
use ipnet::{IpNet, Ipv4Net};
use karez_net::{LinkSettings, Route};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The box's link to the internet.
const OUTSIDE: &str = "outside";

pub(super) fn build(
    ground: &Ground,
    internet: &Segment,
    label: &str,
    outside: Ipv4Addr,
    inside: Ipv4Net,
) -> Result<Segment, Error> {
    let none = || Error::Unexpected("this segment of the internet has no IPv4".to_owned());
    let prefix =
        internet.prefixes().iter().find(|prefix| prefix.network.addr().is_ipv4()).ok_or_else(none)?;
    let address = IpNet::new(outside.into(), prefix.network.prefix_len());
    let address = address.map_err(|error| Error::Unexpected(error.to_string()))?;

    let netlink = ground.namespace(label)?;
    forward(&netlink)?;
    internet.join(label, &netlink, OUTSIDE, LinkSettings::up())?;
    let segment = Segment::build(ground, &netlink, "inside", &prefixes(&[inside.into()])?)?;
    ground.wait_for(async {
        netlink.ensure_addresses(OUTSIDE, &[address].into()).await?;
        netlink.ensure_route(&Route::default_via(prefix.gateway)).await
    })?;
    let rules = format!(
        "table ip box {{ chain hide {{ type nat hook postrouting priority srcnat; oifname \"{OUTSIDE}\" masquerade; }}; }}"
    );
    let mut nft = ground.start_in(netlink.namespace(), "nft", &[&rules], &ground.fresh_file("nft"))?;
    nft.succeeded(Duration::from_secs(10))?;
    Ok(segment)
}
