//! Addresses on links: an exact set of those that reach beyond the link.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};

use crate::batch::Batch;
use crate::netlink::Netlink;
use crate::{Error, errno};

impl Netlink {
    /// The addresses of a link with their prefix lengths, without those that mean something on the link only
    /// (`fe80::/10`, `127.0.0.0/8`).
    ///
    /// # Errors
    ///
    /// [`Error::NoLink`], [`Error::System`].
    pub async fn addresses(&self, link: &str) -> Result<BTreeSet<IpNet>, Error> {
        let index = self.existing_link(link).await?.index;
        self.addresses_of(index).await
    }

    /// Which links, by their numbers, each address is on; the same as in [`Netlink::addresses`], of all links at once.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn holders(&self) -> Result<BTreeMap<IpAddr, BTreeSet<u32>>, Error> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.dump(request, "list addresses").await?;
        let mut holders = BTreeMap::<_, BTreeSet<_>>::new();
        for (index, net) in answers.into_iter().filter_map(observed) {
            holders.entry(net.addr()).or_default().insert(index);
        }
        Ok(holders)
    }

    /// Gives a link exactly these addresses: what is missing is added, what is surplus removed, what is there is left
    /// alone. One that cannot be added does not keep the others from it. IPv6 addresses skip duplicate address detection, so that all are usable when this returns.
    ///
    /// The host bits of the networks are the address: `10.0.0.1/24`.
    ///
    /// # Errors
    ///
    /// [`Error::NoLink`], [`Error::Denied`], [`Error::System`].
    pub async fn ensure_addresses(&self, link: &str, wanted: &BTreeSet<IpNet>) -> Result<bool, Error> {
        let index = self.existing_link(link).await?.index;
        let found = self.addresses_of(index).await?;
        let surplus: Vec<_> = found.difference(wanted).copied().collect();
        if surplus.iter().any(|address| matches!(address, IpNet::V4(_))) {
            // Else the first IPv4 address of a network takes all others of the network with it.
            self.namespace().set_sysctl(&format!("net/ipv4/conf/{link}/promote_secondaries"), "1")?;
        }
        let mut batch = Batch::default();
        for address in surplus {
            batch.add(self.remove_address(link, index, address).await);
        }
        for address in wanted.difference(&found) {
            batch.add(self.add_address(link, index, *address).await);
        }
        batch.end()
    }

    async fn addresses_of(&self, index: u32) -> Result<BTreeSet<IpNet>, Error> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.dump(request, "list addresses").await?;
        let of_link = answers.into_iter().filter_map(observed).filter(|(found, _)| *found == index);
        Ok(of_link.map(|(_, address)| address).collect())
    }

    async fn add_address(&self, link: &str, index: u32, address: IpNet) -> Result<bool, Error> {
        let mut request = message(index, address);
        if address.addr().is_ipv6() {
            request.header.flags |= AddressHeaderFlags::Nodad;
            request.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        match self.change(RouteNetlinkMessage::NewAddress(request), NLM_F_CREATE | NLM_F_EXCL).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::EEXIST) => Ok(false),
            Err(source) => Err(self.failed(format!("add address {address} to link {link}"), source)),
        }
    }

    async fn remove_address(&self, link: &str, index: u32, address: IpNet) -> Result<bool, Error> {
        match self.change(RouteNetlinkMessage::DelAddress(message(index, address)), 0).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::EADDRNOTAVAIL) => Ok(false),
            Err(source) => Err(self.failed(format!("remove address {address} from link {link}"), source)),
        }
    }
}

fn message(index: u32, address: IpNet) -> AddressMessage {
    match address {
        IpNet::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
    }
}

fn observed(message: RouteNetlinkMessage) -> Option<(u32, IpNet)> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    if message.header.scope != AddressScope::Universe {
        return None;
    }
    let (mut own, mut peer) = (None::<IpAddr>, None::<IpAddr>);
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(address) => own = Some(address),
            AddressAttribute::Address(address) => peer = Some(address),
            _ => {}
        }
    }
    // On a link between two points, IFA_ADDRESS is the other one's; IPv6 leaves IFA_LOCAL out where they are the same.
    Some((message.header.index, IpNet::new(own.or(peer)?, message.header.prefix_len).ok()?))
}
