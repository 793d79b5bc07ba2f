//! Interfaces of routers: their ports on the subnets that they connect.

use super::allocation::{self, parsed};
use super::fixed_ip::{FixedIp, Wish};
use super::router::changeable;
use super::service_port::{self, Service};
use super::{device, route};
use crate::context::Context;
use crate::vpn::guard;
use crate::{Control, Failure, quota};
use ipnet::IpNet;
use karez_model::resource::Route;
use karez_model::{Caller, Kind, Object, Reason};
use karez_store::Datum;
use std::sync::Arc;

/// What an interface is, or is to be, on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceOf {
    /// A subnet, by its id; the interface has the subnet's gateway address.
    Subnet(String),
    /// A port, by its id.
    Port(String),
    /// A port and a subnet of it.
    Both {
        /// The subnet's id.
        subnet: String,
        /// The port's id.
        port: String,
    },
}

/// An interface of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The router.
    pub router_id: String,
    /// The project of the port.
    pub project_id: String,
    /// The port.
    pub port_id: String,
    /// The network of the port.
    pub network_id: String,
    /// The subnet that was named, or the first one of the port.
    pub subnet_id: String,
    /// The subnets that were connected or taken off.
    pub subnet_ids: Vec<String>,
}

impl Control {
    /// Connects a router to a subnet, or to those of a port.
    ///
    /// # Errors
    /// [`Reason::RouterNotFound`], [`Reason::SubnetNotFound`], [`Reason::PortNotFound`], policy,
    /// quota; [`Reason::BadRequest`] for what cannot be connected, [`Reason::IpAddressAlreadyAllocated`] and
    /// [`Reason::PortInUse`] for what is taken.
    pub async fn add_router_interface(
        &self,
        caller: &Arc<Caller>,
        router_id: &str,
        of: InterfaceOf,
    ) -> Result<Interface, Failure> {
        let router_id = router_id.to_owned();
        self.writing(caller, move |context| {
            let port = match &of {
                InterfaceOf::Subnet(id) => add_on_subnet(context, &router_id, id)?,
                InterfaceOf::Port(id) => add_port(context, &router_id, id)?,
                InterfaceOf::Both { .. } => {
                    return Err(bad_request("Give either a subnet_id or a port_id, not both"));
                }
            };
            context.tx.bump_router(&router_id)?;
            Ok(Interface::new(&router_id, &port))
        })
        .await
    }

    /// Takes a router off a subnet, or off those of a port. The port is deleted, unless it has
    /// other subnets.
    ///
    /// # Errors
    /// [`Reason::RouterNotFound`], policy, [`Reason::RouterInterfaceNotFoundForSubnet`],
    /// [`Reason::RouterInterfaceNotFound`]; a conflict that names VPN services, connections,
    /// floating IPs or routes that need the interface.
    pub async fn remove_router_interface(
        &self,
        caller: &Arc<Caller>,
        router_id: &str,
        of: InterfaceOf,
    ) -> Result<Interface, Failure> {
        let router_id = router_id.to_owned();
        self.writing(caller, move |context| {
            let router = changeable(context, &router_id)?;
            let (port, subnet) = match &of {
                InterfaceOf::Subnet(id) => (port_on(context, &router, id)?, Some(id)),
                InterfaceOf::Port(id) => (port_of(context, &router, id)?, None),
                InterfaceOf::Both { subnet, port } => (port_of(context, &router, port)?, Some(subnet)),
            };
            let mut interface = Interface::new(&router_id, &port);
            if let Some(subnet) = subnet {
                if !interface.subnet_ids.contains(subnet) {
                    return Err(bad_request(format!("The port {} is not on the subnet {subnet}", port.id())));
                }
                interface.subnet_id.clone_from(subnet);
            }
            if let InterfaceOf::Subnet(subnet) = &of {
                interface.subnet_ids = vec![subnet.clone()];
            }
            for subnet in &interface.subnet_ids {
                guard::router_interface(context, &router, subnet)?;
                check_unused(context, &router, subnet)?;
            }
            take_off(context, port, &interface.subnet_ids)?;
            context.tx.bump_router(&router_id)?;
            Ok(interface)
        })
        .await
    }
}

impl Interface {
    fn new(router_id: &str, port: &Object) -> Self {
        let fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
        let subnet_ids: Vec<String> = fixed_ips.into_iter().map(|fixed| fixed.subnet_id).collect();
        Self {
            router_id: router_id.to_owned(),
            project_id: port.project_id().to_owned(),
            port_id: port.id().to_owned(),
            network_id: port.text("network_id").to_owned(),
            subnet_id: subnet_ids.first().cloned().unwrap_or_default(),
            subnet_ids,
        }
    }
}

/// A new port with the gateway address of a subnet. The quota is held before the router, as
/// elsewhere.
fn add_on_subnet(context: &mut Context<'_, '_>, router_id: &str, subnet_id: &str) -> Result<Object, Failure> {
    let router = context.visible(Kind::Router, router_id)?;
    let subnet = context.visible(Kind::Subnet, subnet_id)?;
    quota::check_one(context, Kind::Port, router.project_id(), 1)?;
    let router = changeable(context, router_id)?;
    let network_id = subnet.text("network_id");
    context.tx.lock(Kind::Network, network_id)?;
    // Held as well, so that its gateway address stays what it is.
    let subnet = context.visible_locked(Kind::Subnet, subnet_id)?;
    if !context.is_admin() && context.caller.project_id() != Some(subnet.project_id()) {
        return Err(bad_request(format!(
            "The subnet {subnet_id} is of another project, so its gateway address is not yours to take; add a port of yours"
        )));
    }
    if subnet.opt_text("ipv6_ra_mode").is_none() && subnet.opt_text("ipv6_address_mode").is_some() {
        return Err(bad_request(format!(
            "The subnet {subnet_id} has an ipv6_address_mode without ipv6_ra_mode: a router outside advertises it"
        )));
    }
    let Some(gateway) = subnet.opt_text("gateway_ip") else {
        return Err(bad_request(format!(
            "The subnet {subnet_id} has no gateway_ip that the router could take"
        )));
    };
    let connected = route::connected(context, router_id)?;
    route::check_distinct(&connected, subnet_id, parsed(subnet.text("cidr"))?)?;
    let service = Service {
        owner: device::ROUTER_INTERFACE,
        device_id: router_id,
        project_id: router.project_id(),
        status: "ACTIVE",
    };
    let wish = Wish { subnet_id: Some(subnet_id.to_owned()), ip: Some(parsed(gateway)?) };
    let ranges = allocation::ranges(context, network_id)?;
    service_port::add(context, network_id, &ranges, &service, Some(&[wish]))
}

/// A port that exists and that nothing else uses.
fn add_port(context: &mut Context<'_, '_>, router_id: &str, port_id: &str) -> Result<Object, Failure> {
    changeable(context, router_id)?;
    let port = context.visible_locked(Kind::Port, port_id)?;
    let user = port.text("device_id");
    if !user.is_empty() || device::is_reserved(port.text("device_owner")) {
        let message = format!("The port {port_id} is in use by the device '{user}'");
        return Err(Failure::fault(Reason::PortInUse, message));
    }
    let fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
    if fixed_ips.is_empty() {
        return Err(bad_request(format!("The port {port_id} has no address that the router could take")));
    }
    if fixed_ips.iter().filter(|fixed| fixed.ip.is_ipv4()).count() > 1 {
        return Err(bad_request(format!(
            "The port {port_id} has more than one IPv4 address; a router needs one"
        )));
    }
    let connected = route::connected(context, router_id)?;
    for fixed in &fixed_ips {
        let subnet = context.existing(Kind::Subnet, &fixed.subnet_id)?;
        route::check_distinct(&connected, &fixed.subnet_id, parsed(subnet.text("cidr"))?)?;
    }
    let mut port = port.object.clone();
    port.set("device_id", router_id);
    port.set("device_owner", device::ROUTER_INTERFACE);
    port.set("status", "ACTIVE");
    Ok(context.tx.update(port)?)
}

fn port_on(context: &mut Context<'_, '_>, router: &Object, subnet_id: &str) -> Result<Object, Failure> {
    let sql = "SELECT id FROM ports JOIN ip_allocations ON port_id = id
        WHERE device_id = $1 AND device_owner = $2 AND subnet_id = $3";
    let params = [router.id().into(), device::ROUTER_INTERFACE.into(), subnet_id.into()];
    match context.column(sql, &params)?.first() {
        Some(port) => port_of(context, router, port),
        None => Err(Failure::fault(
            Reason::RouterInterfaceNotFoundForSubnet,
            format!("The router {} has no interface on the subnet {subnet_id}", router.id()),
        )),
    }
}

fn port_of(context: &mut Context<'_, '_>, router: &Object, port_id: &str) -> Result<Object, Failure> {
    let is_interface = |port: &Object| {
        port.text("device_id") == router.id() && port.text("device_owner") == device::ROUTER_INTERFACE
    };
    match context.tx.lock(Kind::Port, port_id)? {
        Some(port) if is_interface(&port) => Ok(port.object.clone()),
        Some(_) | None => Err(Failure::fault(
            Reason::RouterInterfaceNotFound,
            format!("The router {} has no interface with the port {port_id}", router.id()),
        )),
    }
}

/// A port that has other subnets stays on those.
fn take_off(context: &mut Context<'_, '_>, port: Object, subnet_ids: &[String]) -> Result<(), Failure> {
    let mut fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
    fixed_ips.retain(|fixed| !subnet_ids.contains(&fixed.subnet_id));
    if fixed_ips.is_empty() {
        context.tx.delete(Kind::Port, port.id())?;
        return Ok(());
    }
    let mut port = port;
    port.set("fixed_ips", FixedIp::to_stored(&fixed_ips));
    let port = context.tx.update(port)?;
    allocation::replace(context, &port)
}

/// Floating IPs and routes need the interface of their subnet.
fn check_unused(context: &mut Context<'_, '_>, router: &Object, subnet_id: &str) -> Result<(), Failure> {
    let sql = "SELECT f.id FROM floatingips f
        JOIN ip_allocations a ON a.port_id = f.port_id AND a.ip_address = f.fixed_ip_address
        WHERE f.router_id = $1 AND a.subnet_id = $2 ORDER BY f.id LIMIT 5";
    let users = context.column(sql, &[Datum::from(router.id()), Datum::from(subnet_id)])?;
    if !users.is_empty() {
        return Err(Failure::fault(
            Reason::RouterInterfaceInUseByFloatingIP,
            format!(
                "The floating IP(s) {} lead to the subnet {subnet_id}; disassociate them first",
                users.join(", ")
            ),
        ));
    }
    let net: IpNet = parsed(context.existing(Kind::Subnet, subnet_id)?.text("cidr"))?;
    let routes = Route::from_stored(router.json("routes"));
    match routes.iter().find(|route| net.contains(&route.nexthop)) {
        None => Ok(()),
        Some(route) => Err(Failure::fault(
            Reason::RouterInterfaceInUseByRoute,
            format!(
                "The route to {} by {} needs the interface on the subnet {subnet_id}; remove it first",
                route.destination, route.nexthop
            ),
        )),
    }
}

fn bad_request(message: impl Into<String>) -> Failure {
    Failure::fault(Reason::BadRequest, message)
}
