//! Routes: ours, told apart from everybody else's by their protocol number.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::batch::Batch;
use crate::netlink::Netlink;
use crate::{Error, errno};

/// The number in a route's `protocol` that says that Karez made it. `/etc/iproute2/rt_protos` gives it to nobody.
pub const PROTOCOL: u8 = 200;

/// The routing table that is looked at when no rule says otherwise.
pub const MAIN_TABLE: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// The number of UDP among IP's protocols.
const UDP: u8 = 17;

/// The kernel's table of its own addresses.
const LOCAL_TABLE: u8 = 255;

/// The metric that the kernel gives to an IPv6 route that asks for none.
const IPV6_METRIC: u32 = 1024;

/// A route to one destination over one next hop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where packets go; host bits are none.
    pub destination: IpNet,
    /// The next router; without one the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The link that packets leave through; with a gateway it may be left to the kernel.
    pub link: Option<String>,
    /// The table that it is in; [`MAIN_TABLE`] unless said otherwise.
    pub table: u32,
    /// The lower one of two routes to the same destination wins. 0 is the kernel's default.
    pub metric: u32,
}

/// What the kernel would do with a packet that is not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// Send it by the link of this number, or nowhere.
    By(Option<u32>),
    /// It cannot be told.
    Unknown,
}

/// A route in the kernel's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRoute {
    /// The route; its link is always said.
    pub route: Route,
    /// Who made it; ours say [`PROTOCOL`].
    pub protocol: u8,
}

impl Route {
    /// To everywhere in the gateway's address family.
    pub fn default_via(gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), ..Self::to(everywhere(gateway)) }
    }

    /// To `destination`, over a router.
    pub fn via(destination: IpNet, gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), ..Self::to(destination) }
    }

    /// To `destination`, which is reached on the link itself.
    pub fn over(destination: IpNet, link: impl Into<String>) -> Self {
        Self { link: Some(link.into()), ..Self::to(destination) }
    }

    /// Over this link.
    #[must_use]
    pub fn link(self, link: impl Into<String>) -> Self {
        Self { link: Some(link.into()), ..self }
    }

    /// In this table.
    #[must_use]
    pub fn table(self, table: u32) -> Self {
        Self { table, ..self }
    }

    /// With this metric.
    #[must_use]
    pub fn metric(self, metric: u32) -> Self {
        Self { metric, ..self }
    }

    fn to(destination: IpNet) -> Self {
        Self { destination: destination.trunc(), gateway: None, link: None, table: MAIN_TABLE, metric: 0 }
    }

    /// What the kernel lets one route only have.
    fn place(&self) -> (IpNet, u32, u32) {
        let metric =
            if self.metric == 0 && self.destination.addr().is_ipv6() { IPV6_METRIC } else { self.metric };
        (self.destination, self.table, metric)
    }

    /// Whether a route that the kernel has is the one that is wanted.
    fn is(&self, found: &Self) -> bool {
        let link = self.link.is_none() || self.link == found.link;
        self.place() == found.place() && self.gateway == found.gateway && link
    }
}

impl Netlink {
    /// All unicast routes of all tables but the kernel's own `local` one; those over several next hops are left out.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn routes(&self) -> Result<Vec<ObservedRoute>, Error> {
        let links = self.links().await?;
        let name = |index: u32| links.iter().find(|link| link.index == index).map(|link| link.name.clone());
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            let answers = self.dump(RouteNetlinkMessage::GetRoute(request), "list routes").await?;
            routes.extend(answers.into_iter().filter_map(|answer| observed(answer, name)));
        }
        Ok(routes)
    }

    /// The number of the link by which a UDP packet of ours with these addresses, and this port at both ends, would leave now;
    /// none when no route leads there. The kernel looks it up, so that a table of any size costs the same. Rules that ask
    /// for protocol and ports (`ip rule … ipproto udp dport 4500`) are heeded.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn way(&self, from: IpAddr, to: IpAddr, port: u16) -> Result<Option<u32>, Error> {
        let mut request = question(to);
        request.header.source_prefix_length = request.header.destination_prefix_length;
        request.attributes.extend([
            RouteAttribute::Source(from.into()),
            RouteAttribute::IpProto(UDP),
            RouteAttribute::Sport(port),
            RouteAttribute::Dport(port),
        ]);
        self.leave(request, to).await
    }

    /// The number of the link by which a packet to this address would leave now, whatever protocol it is of, from this
    /// address of the machine, or without one from an address that the kernel chooses; none when no route leads there,
    /// and [`LOOPBACK`](crate::LOOPBACK) when the address is the machine's own.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn outlet(&self, from: Option<IpAddr>, to: IpAddr) -> Result<Option<u32>, Error> {
        let mut request = question(to);
        if let Some(from) = from {
            request.header.source_prefix_length = request.header.destination_prefix_length;
            request.attributes.push(RouteAttribute::Source(from.into()));
        }
        self.leave(request, to).await
    }

    /// The number of the link by which a packet that came in through the link of this number, from one address to another,
    /// would be forwarded now; none when it would not. Whether it would be let in at all is not certain from here when the
    /// link is down or the kernel does not take such a source for one that is there: then the answer is [`Forward::Unknown`].
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn forward(&self, link: u32, from: IpAddr, to: IpAddr) -> Result<Forward, Error> {
        let mut request = question(to);
        request.header.source_prefix_length = request.header.destination_prefix_length;
        request.attributes.extend([RouteAttribute::Source(from.into()), RouteAttribute::Iif(link)]);
        let refusals = [errno::ENETUNREACH, errno::EHOSTUNREACH, errno::EACCES];
        // The first also of routes of type blackhole; that is told apart by who has made them.
        let uncertain = [errno::EINVAL, errno::EXDEV, errno::ENODEV];
        match self.ask(RouteNetlinkMessage::GetRoute(request)).await {
            Ok(answers) => Ok(Forward::By(answers.into_iter().find_map(leaves_by))),
            Err(source) if refusals.iter().any(|refusal| errno::is(&source, *refusal)) => {
                Ok(Forward::By(None))
            }
            Err(source) if uncertain.iter().any(|one| errno::is(&source, *one)) => Ok(Forward::Unknown),
            Err(source) => Err(self.failed(format!("look up the route to {to}"), source)),
        }
    }

    async fn leave(&self, request: RouteMessage, to: IpAddr) -> Result<Option<u32>, Error> {
        // The last one for routes of type blackhole.
        let refusals = [errno::ENETUNREACH, errno::EHOSTUNREACH, errno::EACCES, errno::EINVAL];
        match self.ask(RouteNetlinkMessage::GetRoute(request)).await {
            Ok(answers) => Ok(answers.into_iter().find_map(leaves_by)),
            Err(source) if refusals.iter().any(|refusal| errno::is(&source, *refusal)) => Ok(None),
            Err(source) => Err(self.failed(format!("look up the route to {to}"), source)),
        }
    }

    /// Makes the route unless it is there, be it somebody else's. One of ours in its place (same destination, table
    /// and metric) is replaced in one step.
    ///
    /// # Errors
    ///
    /// [`Error::RouteTaken`] if somebody else's other route has its place; [`Error::NoLink`], [`Error::Denied`];
    /// [`Error::System`], also for a gateway that no link leads to.
    pub async fn ensure_route(&self, route: &Route) -> Result<bool, Error> {
        let found = self.routes().await?;
        self.put(route, &found).await
    }

    /// Makes exactly these routes ours: missing ones are added, our surplus ones removed; routes of others stay. A
    /// route that changes is replaced in one step. One that cannot be made does not keep the others from it.
    ///
    /// # Errors
    ///
    /// As [`Netlink::ensure_route`].
    pub async fn ensure_routes(&self, wanted: &BTreeSet<Route>) -> Result<bool, Error> {
        let found = self.routes().await?;
        let mut batch = Batch::default();
        // Gateways may be reached by routes of the same set.
        let (direct, routed): (Vec<_>, Vec<_>) = wanted.iter().partition(|route| route.gateway.is_none());
        for route in direct.into_iter().chain(routed) {
            batch.add(self.put(route, &found).await);
        }
        for old in found.iter().filter(|found| found.protocol == PROTOCOL) {
            if !wanted.iter().any(|route| route.place() == old.route.place()) {
                batch.add(self.remove_observed(old).await);
            }
        }
        batch.end()
    }

    /// Removes a route of ours; `false` when it was not there.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::System`].
    pub async fn remove_route(&self, route: &Route) -> Result<bool, Error> {
        let mut batch = Batch::default();
        for found in self.routes().await? {
            if found.protocol == PROTOCOL && route.is(&found.route) {
                batch.add(self.remove_observed(&found).await);
            }
        }
        batch.end()
    }

    async fn put(&self, route: &Route, found: &[ObservedRoute]) -> Result<bool, Error> {
        let in_place: Vec<_> = found.iter().filter(|found| found.route.place() == route.place()).collect();
        if in_place.iter().any(|found| route.is(&found.route)) {
            return Ok(false);
        }
        let flags = match in_place.first() {
            None => NLM_F_EXCL,
            Some(found) if found.protocol == PROTOCOL => NLM_F_REPLACE,
            Some(found) => {
                return Err(Error::RouteTaken {
                    namespace: self.namespace().to_string(),
                    destination: route.destination.to_string(),
                    protocol: found.protocol,
                });
            }
        };
        let message = self.message(route).await?;
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | flags)
            .await
            .map_err(|source| self.failed(format!("add the route to {}", route.destination), source))?;
        Ok(true)
    }

    async fn remove_observed(&self, found: &ObservedRoute) -> Result<bool, Error> {
        let mut message = match self.message(&found.route).await {
            Ok(message) => message,
            // The link went away, and the route with it.
            Err(Error::NoLink { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        message.header.protocol = RouteProtocol::from(found.protocol);
        match self.change(RouteNetlinkMessage::DelRoute(message), 0).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::ESRCH) => Ok(false),
            Err(source) => {
                Err(self.failed(format!("remove the route to {}", found.route.destination), source))
            }
        }
    }

    async fn message(&self, route: &Route) -> Result<RouteMessage, Error> {
        let mut message = match route.destination {
            IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(net.addr(), net.prefix_len())
                .protocol(RouteProtocol::Other(PROTOCOL))
                .table_id(route.table)
                .build(),
            IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(net.addr(), net.prefix_len())
                .protocol(RouteProtocol::Other(PROTOCOL))
                .table_id(route.table)
                .build(),
        };
        if let Some(gateway) = route.gateway {
            message.attributes.push(RouteAttribute::Gateway(gateway.into()));
        } else if route.destination.addr().is_ipv4() {
            message.header.scope = RouteScope::Link;
        }
        if let Some(link) = &route.link {
            message.attributes.push(RouteAttribute::Oif(self.existing_link(link).await?.index));
        }
        if route.metric != 0 {
            message.attributes.push(RouteAttribute::Priority(route.metric));
        }
        Ok(message)
    }
}

/// Where a packet to this address goes.
fn question(to: IpAddr) -> RouteMessage {
    let mut request = RouteMessage::default();
    (request.header.address_family, request.header.destination_prefix_length) =
        if to.is_ipv4() { (AddressFamily::Inet, 32) } else { (AddressFamily::Inet6, 128) };
    request.attributes = vec![RouteAttribute::Destination(to.into())];
    request
}

fn leaves_by(message: RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    message.attributes.into_iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(index),
        _ => None,
    })
}

fn everywhere(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

fn observed(message: RouteNetlinkMessage, name: impl Fn(u32) -> Option<String>) -> Option<ObservedRoute> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.table == LOCAL_TABLE {
        return None;
    }
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut destination, mut gateway, mut index, mut metric) = (unspecified, None, None, 0);
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(found) => destination = address(found)?,
            RouteAttribute::Gateway(found) => gateway = Some(address(found)?),
            RouteAttribute::Oif(found) => index = Some(*found),
            RouteAttribute::Priority(found) => metric = *found,
            RouteAttribute::Table(found) => table = *found,
            RouteAttribute::MultiPath(_) => return None,
            _ => {}
        }
    }
    let destination = IpNet::new(destination, header.destination_prefix_length).ok()?;
    let route = Route { destination, gateway, link: Some(name(index?)?), table, metric };
    Some(ObservedRoute { route, protocol: header.protocol.into() })
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
