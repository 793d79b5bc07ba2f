//! The core subset: what clients of a VPN service need around it.

use super::shape::{
    address_pairs, external_gateway, fixed_ips, host_routes, metainfo, pools, protocol, routes,
};
use super::{ADMIN_STATE_UP, DESCRIPTION, Family, ID, Kind, NAME, PROJECT_ID, Resource};
use crate::attribute::{Attribute, Preset, Type};
use crate::fault::Reason;

const TAGS: Attribute =
    Attribute::new("tags", Type::Derived, "Its tags; changed under `/tags` of the object.");
const CORE_STATUS: Attribute = Attribute::new("status", Type::Text(16), "The object's state.");
const HINTS: Attribute =
    Attribute::new("availability_zone_hints", Type::Texts, "Where the object should be placed.")
        .default(Preset::Empty);
const ZONES: Attribute = Attribute::new("availability_zones", Type::Derived, "Where the object is placed.");
const PORT_SECURITY: Attribute =
    Attribute::new("port_security_enabled", Type::Bool, "Whether security groups apply.")
        .default(Preset::Bool(true))
        .put();

pub(super) static NETWORK: Resource = Resource {
    kind: Kind::Network,
    member: "network",
    collection: "networks",
    path: "networks",
    table: "networks",
    family: Family::Core,
    not_found: Reason::NetworkNotFound,
    quota: Some(("network", 100)),
    doc: "A layer-2 network.",
    attributes: &[
        ID,
        NAME,
        PROJECT_ID,
        ADMIN_STATE_UP,
        Attribute::new("mtu", Type::Int(68, 65_535), "Largest packet on the network.")
            .default(Preset::Int(1500))
            .put(),
        CORE_STATUS,
        Attribute::new("subnets", Type::Derived, "Ids of its subnets."),
        Attribute::new("shared", Type::Bool, "Whether every project may use it.")
            .default(Preset::Bool(false))
            .put()
            .guarded(),
        Attribute::new("router:external", Type::Bool, "Whether routers may have their gateway on it.")
            .default(Preset::Bool(false))
            .put()
            .column("router_external")
            .guarded(),
        Attribute::new("is_default", Type::Bool, "Whether it is the default external network.")
            .default(Preset::Bool(false))
            .put()
            .guarded(),
        HINTS,
        ZONES,
        PORT_SECURITY,
        DESCRIPTION,
        Attribute::new("provider:network_type", Type::Name(32), "How the network is made.")
            .default(Preset::Null)
            .column("provider_network_type")
            .guarded()
            .veiled(),
        Attribute::new("provider:physical_network", Type::Name(64), "The physical network below it.")
            .default(Preset::Null)
            .column("provider_physical_network")
            .guarded()
            .veiled(),
        Attribute::new("provider:segmentation_id", Type::Int(0, 16_777_215), "Its VLAN or tunnel id.")
            .default(Preset::Null)
            .column("provider_segmentation_id")
            .guarded()
            .veiled(),
        TAGS,
    ],
};

pub(super) static SUBNET: Resource = Resource {
    kind: Kind::Subnet,
    member: "subnet",
    collection: "subnets",
    path: "subnets",
    table: "subnets",
    family: Family::Core,
    not_found: Reason::SubnetNotFound,
    quota: Some(("subnet", 100)),
    doc: "An address range on a network.",
    attributes: &[
        ID,
        NAME,
        PROJECT_ID,
        Attribute::new("network_id", Type::Uuid, "The network.").required(),
        Attribute::new("ip_version", Type::Int(4, 6), "4 or 6; taken from the CIDR when not given.")
            .default(Preset::Null),
        Attribute::new("cidr", Type::Cidr, "The range.").required(),
        Attribute::new(
            "gateway_ip",
            Type::Address,
            "The router's address; the first one when not given; null for none.",
        )
        .default(Preset::Null)
        .put(),
        Attribute::new(
            "allocation_pools",
            Type::Custom(pools, POOLS),
            "What ports get their addresses from.",
        )
        .default(Preset::Null)
        .put(),
        Attribute::new("enable_dhcp", Type::Bool, "Whether DHCP is offered.")
            .default(Preset::Bool(true))
            .put(),
        Attribute::new("dns_nameservers", Type::Texts, "Name servers for DHCP.")
            .default(Preset::Empty)
            .nullable()
            .put(),
        Attribute::new("host_routes", Type::Custom(host_routes, ROUTES), "Routes for DHCP.")
            .default(Preset::Empty)
            .nullable()
            .put(),
        Attribute::new(
            "ipv6_address_mode",
            Type::Enum(&["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]),
            "How addresses are given.",
        )
        .default(Preset::Null),
        Attribute::new(
            "ipv6_ra_mode",
            Type::Enum(&["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]),
            "How routers advertise.",
        )
        .default(Preset::Null),
        Attribute::new("subnetpool_id", Type::Uuid, "Always null: there are no subnet pools.").nullable(),
        Attribute::new("service_types", Type::Texts, "Device owners that the subnet is for.")
            .default(Preset::Empty)
            .put(),
        DESCRIPTION,
        TAGS,
    ],
};

const POOLS: &str = r#"{"type":"array","items":{"type":"object","properties":{"start":{"type":"string"},"end":{"type":"string"}}}}"#;
const ROUTES: &str = r#"{"type":"array","items":{"type":"object","properties":{"destination":{"type":"string"},"nexthop":{"type":"string"}}}}"#;
const FIXED_IPS: &str = r#"{"type":"array","items":{"type":"object","properties":{"subnet_id":{"type":"string"},"ip_address":{"type":"string"}}}}"#;
const PAIRS: &str = r#"{"type":"array","items":{"type":"object","properties":{"ip_address":{"type":"string"},"mac_address":{"type":"string"}}}}"#;
const GATEWAY: &str = r#"{"type":["object","null"],"properties":{"network_id":{"type":"string"},"enable_snat":{"type":"boolean"},"external_fixed_ips":{"type":"array","items":{"type":"object"}}}}"#;
const ANY: &str = "{}";

pub(super) static PORT: Resource = Resource {
    kind: Kind::Port,
    member: "port",
    collection: "ports",
    path: "ports",
    table: "ports",
    family: Family::Core,
    not_found: Reason::PortNotFound,
    quota: Some(("port", 500)),
    doc: "An attachment to a network, with its addresses.",
    attributes: &[
        ID,
        NAME,
        PROJECT_ID,
        Attribute::new("network_id", Type::Uuid, "The network.").required(),
        Attribute::new("mac_address", Type::Mac, "Its MAC address; made when not given.")
            .default(Preset::Null)
            .put(),
        ADMIN_STATE_UP,
        CORE_STATUS,
        Attribute::new("device_id", Type::Text(255), "What is attached.").default(Preset::Text("")).put(),
        Attribute::new("device_owner", Type::Text(255), "What kind of thing is attached.")
            .default(Preset::Text(""))
            .put(),
        Attribute::new(
            "fixed_ips",
            Type::Custom(fixed_ips, FIXED_IPS),
            "Its addresses; chosen when not given.",
        )
        .default(Preset::Null)
        .put(),
        Attribute::new(
            "security_groups",
            Type::Texts,
            "Ids of its security groups; the default one when not given.",
        )
        .default(Preset::Null)
        .put(),
        Attribute::new(
            "allowed_address_pairs",
            Type::Custom(address_pairs, PAIRS),
            "Other addresses it may use.",
        )
        .default(Preset::Empty)
        .nullable()
        .put(),
        PORT_SECURITY,
        DESCRIPTION,
        Attribute::new("binding:vnic_type", Type::Name(64), "How it is attached.")
            .default(Preset::Text("normal"))
            .put()
            .column("binding_vnic_type"),
        Attribute::new("binding:host_id", Type::Text(255), "The host it is on.")
            .default(Preset::Text(""))
            .put()
            .column("binding_host_id")
            .guarded()
            .veiled(),
        TAGS,
    ],
};

pub(super) static ROUTER: Resource = Resource {
    kind: Kind::Router,
    member: "router",
    collection: "routers",
    path: "routers",
    table: "routers",
    family: Family::Extension,
    not_found: Reason::RouterNotFound,
    quota: Some(("router", 10)),
    doc: "A router with its external gateway and extra routes.",
    attributes: &[
        ID,
        NAME,
        PROJECT_ID,
        DESCRIPTION,
        ADMIN_STATE_UP,
        CORE_STATUS,
        Attribute::new(
            "external_gateway_info",
            Type::Custom(external_gateway, GATEWAY),
            "Its gateway: network, addresses, SNAT.",
        )
        .default(Preset::Null)
        .put(),
        Attribute::new("routes", Type::Custom(routes, ROUTES), "Extra routes; PUT replaces all of them.")
            .default(Preset::Empty)
            .nullable()
            .put(),
        Attribute::new("distributed", Type::Bool, "Always false: routers here are not distributed.")
            .default(Preset::Bool(false))
            .put()
            .guarded(),
        Attribute::new("ha", Type::Bool, "Always false.").default(Preset::Bool(false)).put().guarded(),
        HINTS,
        ZONES,
        Attribute::new("flavor_id", Type::Uuid, "Its flavor.").default(Preset::Null),
        TAGS,
    ],
};

pub(super) static FLOATING_IP: Resource = Resource {
    kind: Kind::FloatingIp,
    member: "floatingip",
    collection: "floatingips",
    path: "floatingips",
    table: "floatingips",
    family: Family::Extension,
    not_found: Reason::FloatingIPNotFound,
    quota: Some(("floatingip", 50)),
    doc: "An outside address that is translated to a port's.",
    attributes: &[
        ID,
        PROJECT_ID,
        DESCRIPTION,
        Attribute::new("floating_network_id", Type::Uuid, "The external network.").required(),
        Attribute::new("subnet_id", Type::Uuid, "The subnet to take the address from.").default(Preset::Null),
        Attribute::new("floating_ip_address", Type::Address, "The outside address; chosen when not given.")
            .default(Preset::Null)
            .guarded(),
        Attribute::new("port_id", Type::Uuid, "The port it leads to.").default(Preset::Null).put(),
        Attribute::new("fixed_ip_address", Type::Address, "The port's address it leads to.")
            .default(Preset::Null)
            .put(),
        Attribute::new("router_id", Type::Uuid, "The router that translates.").nullable(),
        CORE_STATUS,
        TAGS,
    ],
};

pub(super) static SECURITY_GROUP: Resource = Resource {
    kind: Kind::SecurityGroup,
    member: "security_group",
    collection: "security_groups",
    path: "security-groups",
    table: "security_groups",
    family: Family::Extension,
    not_found: Reason::SecurityGroupNotFound,
    quota: Some(("security_group", 10)),
    doc: "A set of filter rules for ports.",
    attributes: &[
        ID,
        NAME,
        PROJECT_ID,
        DESCRIPTION,
        Attribute::new("stateful", Type::Bool, "Whether answers pass by themselves.")
            .default(Preset::Bool(true))
            .put(),
        Attribute::new("security_group_rules", Type::Derived, "Its rules."),
        TAGS,
    ],
};

pub(super) static SECURITY_GROUP_RULE: Resource = Resource {
    kind: Kind::SecurityGroupRule,
    member: "security_group_rule",
    collection: "security_group_rules",
    path: "security-group-rules",
    table: "security_group_rules",
    family: Family::Extension,
    not_found: Reason::SecurityGroupRuleNotFound,
    quota: Some(("security_group_rule", 100)),
    doc: "One filter rule.",
    attributes: &[
        ID,
        PROJECT_ID,
        Attribute::new("security_group_id", Type::Uuid, "The group that it belongs to.").required(),
        Attribute::new("direction", Type::Enum(&["ingress", "egress"]), "Into or out of the port.")
            .required(),
        Attribute::new("ethertype", Type::Enum(&["IPv4", "IPv6"]), "IP version.")
            .default(Preset::Text("IPv4")),
        Attribute::new("protocol", Type::Custom(protocol, ANY), "Protocol by name or number; null for any.")
            .default(Preset::Null),
        Attribute::new("port_range_min", Type::Int(0, 65_535), "First port, or ICMP type.")
            .default(Preset::Null),
        Attribute::new("port_range_max", Type::Int(0, 65_535), "Last port, or ICMP code.")
            .default(Preset::Null),
        Attribute::new("remote_ip_prefix", Type::Cidr, "The other side's range.").default(Preset::Null),
        Attribute::new("remote_group_id", Type::Uuid, "The other side's security group.")
            .default(Preset::Null),
        DESCRIPTION_FIXED,
    ],
};

const DESCRIPTION_FIXED: Attribute =
    Attribute::new("description", Type::Text(255), "A description for people.").default(Preset::Text(""));

pub(super) static FLAVOR: Resource = Resource {
    kind: Kind::Flavor,
    member: "flavor",
    collection: "flavors",
    path: "flavors",
    table: "flavors",
    family: Family::Operator,
    not_found: Reason::FlavorNotFound,
    quota: None,
    doc: "A choice of service that operators offer.",
    attributes: &[
        ID,
        NAME,
        Attribute::new("description", Type::Text(1024), "A description for people.")
            .default(Preset::Text(""))
            .put(),
        Attribute::new("service_type", Type::Name(255), "The type of service; `VPN` here.").required(),
        Attribute::new("service_profiles", Type::Derived, "Ids of its service profiles."),
        Attribute::new("enabled", Type::Bool, "Whether it can be chosen.").default(Preset::Bool(true)).put(),
    ],
};

pub(super) static SERVICE_PROFILE: Resource = Resource {
    kind: Kind::ServiceProfile,
    member: "service_profile",
    collection: "service_profiles",
    path: "service_profiles",
    table: "service_profiles",
    family: Family::Operator,
    not_found: Reason::ServiceProfileNotFound,
    quota: None,
    doc: "What stands behind a flavor.",
    attributes: &[
        ID,
        Attribute::new("description", Type::Text(1024), "A description for people.")
            .default(Preset::Text(""))
            .put(),
        Attribute::new("driver", Type::Text(1024), "The provider's driver.").default(Preset::Text("")).put(),
        Attribute::new("enabled", Type::Bool, "Whether it can be used.").default(Preset::Bool(true)).put(),
        Attribute::new("metainfo", Type::Custom(metainfo, ANY), "Anything the driver needs to know.")
            .default(Preset::Text(""))
            .put(),
    ],
};

pub(super) static AGENT: Resource = Resource {
    kind: Kind::Agent,
    member: "agent",
    collection: "agents",
    path: "agents",
    table: "agents",
    family: Family::Operator,
    not_found: Reason::AgentNotFound,
    quota: None,
    doc: "A node that runs routers and their tunnels.",
    attributes: &[
        ID,
        Attribute::new("agent_type", Type::Text(255), "`VPN Agent`."),
        Attribute::new("binary", Type::Text(255), "The program.").column("binary_name"),
        Attribute::new("topic", Type::Text(255), "Always the host's own."),
        Attribute::new("host", Type::Text(255), "The host that it runs on."),
        ADMIN_STATE_UP_PUT,
        Attribute::new("alive", Type::Bool, "Whether its lease holds."),
        Attribute::new("created_at", Type::Time, "When it first came."),
        Attribute::new("started_at", Type::Time, "When it last started."),
        Attribute::new("heartbeat_timestamp", Type::Time, "When it was last heard of.")
            .column("heartbeat_at"),
        Attribute::new("configurations", Type::Derived, "What it says of itself."),
        Attribute::new("description", Type::Text(255), "A description for people.").nullable().put(),
        Attribute::new("availability_zone", Type::Text(255), "Its availability zone.").nullable(),
        Attribute::new("resources_synced", Type::Bool, "Whether it runs what it should.").nullable(),
    ],
};

const ADMIN_STATE_UP_PUT: Attribute =
    Attribute::new("admin_state_up", Type::Bool, "Whether it may be given work.").put();
