//! What ports are for, as their `device_owner` says.

/// A router's port on one of its subnets. Its `device_id` is the router.
pub(crate) const ROUTER_INTERFACE: &str = "network:router_interface";

/// A router's port on its external network. Its `device_id` is the router.
pub(crate) const ROUTER_GATEWAY: &str = "network:router_gateway";

/// Holds the outside address of a floating IP, which is its `device_id`.
pub(crate) const FLOATING_IP: &str = "network:floatingip";

/// Ports that serve a network and go with it, as an SQL list.
pub(crate) const SERVING: &str = "('network:dhcp', 'network:distributed')";

/// Whether only the deployment itself may have ports of this owner: routers, DHCP, metadata.
pub(crate) fn is_reserved(owner: &str) -> bool {
    owner.starts_with("network:")
}

/// Whether a port of this owner comes and goes with a router or a floating IP.
pub(crate) fn is_managed(owner: &str) -> bool {
    is_routers(owner) || owner == FLOATING_IP
}

/// Whether a port of this owner belongs to a router.
pub(crate) fn is_routers(owner: &str) -> bool {
    matches!(owner, ROUTER_INTERFACE | ROUTER_GATEWAY)
}
