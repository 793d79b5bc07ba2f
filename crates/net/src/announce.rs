//! Telling the neighbours where an address now is.

use rtnetlink::LinkUnspec;
use rtnetlink::packet_route::RouteNetlinkMessage;

use crate::Error;
use crate::netlink::Netlink;

impl Netlink {
    /// Has the kernel tell everybody on the link which hardware address its IP addresses have (gratuitous ARP,
    /// unsolicited neighbour advertisements), after an address moved here from another machine or link.
    ///
    /// The kernel does so by itself when a link's hardware address changes, if `arp_notify` and `ndisc_notify` say so;
    /// here it is "changed" to what it is. Those two settings stay on for the link. What the namespace has learnt about
    /// its neighbours on the link is forgotten, and learnt again with the next packet.
    ///
    /// # Errors
    ///
    /// [`Error::NoLink`], [`Error::Denied`]; [`Error::System`], also for a link without a hardware address.
    pub async fn announce(&self, link: &str) -> Result<(), Error> {
        let found = self.existing_link(link).await?;
        self.namespace().set_sysctl(&format!("net/ipv4/conf/{link}/arp_notify"), "1")?;
        self.set_ipv6(link, "ndisc_notify", "1")?;
        let address = found.mac.map(|mac| mac.octets().to_vec()).unwrap_or_default();
        let request = LinkUnspec::new_with_index(found.index).address(address).build();
        self.change(RouteNetlinkMessage::SetLink(request), 0)
            .await
            .map_err(|source| self.failed(format!("announce the addresses of link {link}"), source))
    }
}
