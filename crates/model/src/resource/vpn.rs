//! The five VPN resources.

use super::{ADMIN_STATE_UP, DESCRIPTION, Family, ID, Kind, NAME, PROJECT_ID, Resource};
use crate::attribute::{Attribute, Field, Preset, Type};
use crate::fault::Reason;

const AUTH: Type = Type::Enum(&["sha1", "sha256", "sha384", "sha512", "aes-xcbc", "aes-cmac"]);

const ENCRYPTION: Type = Type::Enum(&[
    "3des",
    "aes-128",
    "aes-192",
    "aes-256",
    "aes-128-ctr",
    "aes-192-ctr",
    "aes-256-ctr",
    "aes-128-ccm-8",
    "aes-192-ccm-8",
    "aes-256-ccm-8",
    "aes-128-ccm-12",
    "aes-192-ccm-12",
    "aes-256-ccm-12",
    "aes-128-ccm-16",
    "aes-192-ccm-16",
    "aes-256-ccm-16",
    "aes-128-gcm-8",
    "aes-192-gcm-8",
    "aes-256-gcm-8",
    "aes-128-gcm-12",
    "aes-192-gcm-12",
    "aes-256-gcm-12",
    "aes-128-gcm-16",
    "aes-192-gcm-16",
    "aes-256-gcm-16",
]);

const GROUP: Type = Type::Enum(&[
    "group2", "group5", "group14", "group15", "group16", "group17", "group18", "group19", "group20",
    "group21", "group22", "group23", "group24", "group25", "group26", "group27", "group28", "group29",
    "group30", "group31",
]);

/// The lifetime of an SA. Below 60 s a rekey could not be done in time.
const LIFETIME: Attribute = Attribute::new(
    "lifetime",
    Type::Object(&[
        Field { name: "units", alias: None, ty: Type::Enum(&["seconds"]), default: Preset::Text("seconds") },
        Field { name: "value", alias: None, ty: Type::Int(60, i32::MAX as i64), default: Preset::Int(3600) },
    ]),
    "How long the SA lives before it is renewed; keys that are not given keep their default or previous value.",
)
.default(Preset::Fields)
.put()
.echo();

const AUTH_ALGORITHM: Attribute =
    Attribute::new("auth_algorithm", AUTH, "Integrity algorithm, and the PRF of IKE.")
        .default(Preset::Text("sha1"))
        .put();

const ENCRYPTION_ALGORITHM: Attribute = Attribute::new(
    "encryption_algorithm",
    ENCRYPTION,
    "Encryption algorithm; CCM and GCM bring their own integrity.",
)
.default(Preset::Text("aes-128"))
.put();

const PFS: Attribute =
    Attribute::new("pfs", GROUP, "Diffie-Hellman group, by its number in IANA's IKEv2 transform type 4.")
        .default(Preset::Text("group5"))
        .put();

pub(super) static IKE_POLICY: Resource = Resource {
    kind: Kind::IkePolicy,
    member: "ikepolicy",
    collection: "ikepolicies",
    path: "vpn/ikepolicies",
    table: "ikepolicies",
    family: Family::Vpn,
    not_found: Reason::IKEPolicyNotFound,
    quota: Some(("ikepolicy", -1)),
    doc: "How the IKE SA is negotiated.",
    attributes: &[
        ID,
        PROJECT_ID,
        NAME,
        DESCRIPTION,
        AUTH_ALGORITHM,
        ENCRYPTION_ALGORITHM,
        Attribute::new(
            "phase1_negotiation_mode",
            Type::Enum(&["main", "aggressive"]),
            "IKEv1 only: main mode, or aggressive mode, which shows identities.",
        )
        .default(Preset::Text("main"))
        .put()
        .alias("phase_1_negotiation_mode"),
        LIFETIME,
        Attribute::new("ike_version", Type::Enum(&["v1", "v2"]), "IKE version.")
            .default(Preset::Text("v1"))
            .put(),
        PFS,
    ],
};

pub(super) static IPSEC_POLICY: Resource = Resource {
    kind: Kind::IpsecPolicy,
    member: "ipsecpolicy",
    collection: "ipsecpolicies",
    path: "vpn/ipsecpolicies",
    table: "ipsecpolicies",
    family: Family::Vpn,
    not_found: Reason::IPsecPolicyNotFound,
    quota: Some(("ipsecpolicy", -1)),
    doc: "How the child SAs of a tunnel are negotiated.",
    attributes: &[
        ID,
        PROJECT_ID,
        NAME,
        DESCRIPTION,
        Attribute::new(
            "transform_protocol",
            Type::Enum(&["esp", "ah", "ah-esp"]),
            "ESP or AH. `ah-esp` is accepted here and refused when a connection uses the policy.",
        )
        .default(Preset::Text("esp"))
        .put(),
        AUTH_ALGORITHM,
        ENCRYPTION_ALGORITHM,
        Attribute::new("encapsulation_mode", Type::Enum(&["tunnel", "transport"]), "IPsec mode.")
            .default(Preset::Text("tunnel"))
            .put(),
        LIFETIME,
        PFS,
    ],
};

const STATUS: Attribute = Attribute::new(
    "status",
    Type::Text(16),
    "`PENDING_CREATE` until something is known, then `ACTIVE`, `DOWN` or `ERROR`.",
);

const STATUS_REASON: Attribute = Attribute::new(
    "status_reason",
    Type::Text(32),
    "Why the status is what it is, as one of the known reasons; null when all is well.",
)
.nullable();

const STATUS_DETAIL: Attribute = Attribute::new(
    "status_detail",
    Type::Text(4096),
    "The reason in a sentence or two: what is wrong and what would mend it.",
)
.nullable();

pub(super) static VPN_SERVICE: Resource = Resource {
    kind: Kind::VpnService,
    member: "vpnservice",
    collection: "vpnservices",
    path: "vpn/vpnservices",
    table: "vpnservices",
    family: Family::Vpn,
    not_found: Reason::VPNServiceNotFound,
    quota: Some(("vpnservice", -1)),
    doc: "VPN on a router: the end of tunnels on this side.",
    attributes: &[
        ID,
        NAME,
        DESCRIPTION,
        PROJECT_ID,
        Attribute::new(
            "subnet_id",
            Type::Uuid,
            "The one local subnet of all connections; null when connections bring endpoint groups.",
        )
        .default(Preset::Null),
        Attribute::new("router_id", Type::Uuid, "The router; it needs an external gateway.").required(),
        Attribute::new("flavor_id", Type::Uuid, "The flavor that chooses the provider.")
            .default(Preset::Null),
        ADMIN_STATE_UP,
        Attribute::new("external_v4_ip", Type::Address, "First IPv4 address of the router's gateway.")
            .nullable(),
        Attribute::new("external_v6_ip", Type::Address, "First IPv6 address of the router's gateway.")
            .nullable(),
        STATUS,
        STATUS_REASON,
        STATUS_DETAIL,
    ],
};

pub(super) static ENDPOINT_GROUP: Resource = Resource {
    kind: Kind::EndpointGroup,
    member: "endpoint_group",
    collection: "endpoint_groups",
    path: "vpn/endpoint-groups",
    table: "endpoint_groups",
    family: Family::Vpn,
    not_found: Reason::VPNEndpointGroupNotFound,
    quota: Some(("endpoint_group", -1)),
    doc: "What a connection joins: local subnets, or peer CIDRs.",
    attributes: &[
        ID,
        PROJECT_ID,
        NAME,
        DESCRIPTION,
        Attribute::new(
            "type",
            Type::Enum(&["subnet", "cidr", "vlan", "network", "router"]),
            "What the endpoints are; a connection takes `subnet` locally and `cidr` for the peer.",
        )
        .required()
        .alias("endpoint_type")
        .column("endpoint_type"),
        Attribute::new(
            "endpoints",
            Type::Anything,
            "The endpoints in the order given; one bare text will do.",
        )
        .default(Preset::Empty)
        .nullable(),
    ],
};

pub(super) static IPSEC_SITE_CONNECTION: Resource = Resource {
    kind: Kind::IpsecSiteConnection,
    member: "ipsec_site_connection",
    collection: "ipsec_site_connections",
    path: "vpn/ipsec-site-connections",
    table: "ipsec_site_connections",
    family: Family::Vpn,
    not_found: Reason::IPsecSiteConnectionNotFound,
    quota: Some(("ipsec_site_connection", -1)),
    doc: "A tunnel between a VPN service and a peer.",
    attributes: &[
        ID,
        PROJECT_ID,
        NAME,
        DESCRIPTION,
        Attribute::new("peer_address", Type::Line(255), "The peer's IPv4 or IPv6 address, or its host name.")
            .required()
            .put(),
        Attribute::new(
            "peer_id",
            Type::Line(255),
            "The peer's identity: address, host name, e-mail or key id.",
        )
        .required()
        .put(),
        Attribute::new("local_id", Type::Line(255), "Our identity; empty for the tunnel's outer address.")
            .default(Preset::Text(""))
            .put(),
        Attribute::new("route_mode", Type::Text(8), "Always `static`."),
        Attribute::new(
            "mtu",
            Type::Int(0, 65_535),
            "MTU of the tunnel: 68 or more with IPv4, 1280 with IPv6; 0 for no limit.",
        )
        .default(Preset::Int(1500))
        .put(),
        Attribute::new("auth_mode", Type::Text(5), "Always `psk`."),
        Attribute::new(
            "psk",
            Type::Secret(0, 255),
            "The pre-shared key. Shown only to those who may use it.",
        )
        .required()
        .put()
        .veiled(),
        Attribute::new(
            "initiator",
            Type::Enum(&["bi-directional", "response-only"]),
            "Whether this side also starts the negotiation.",
        )
        .default(Preset::Text("bi-directional"))
        .put(),
        Attribute::new(
            "dpd",
            Type::Object(&[
                Field {
                    name: "action",
                    alias: Some("actions"),
                    ty: Type::Enum(&["hold", "clear", "restart", "disabled", "restart-by-peer"]),
                    default: Preset::Text("hold"),
                },
                Field {
                    name: "interval",
                    alias: None,
                    ty: Type::Int(0, i32::MAX as i64),
                    default: Preset::Int(30),
                },
                Field {
                    name: "timeout",
                    alias: None,
                    ty: Type::Int(0, i32::MAX as i64),
                    default: Preset::Int(120),
                },
            ]),
            "Dead peer detection, in seconds; the timeout must be greater than the interval.",
        )
        .default(Preset::Fields)
        .put(),
        ADMIN_STATE_UP,
        STATUS,
        Attribute::new("vpnservice_id", Type::Uuid, "The VPN service on this side.").required(),
        Attribute::new("ikepolicy_id", Type::Uuid, "The IKE policy.").required(),
        Attribute::new("ipsecpolicy_id", Type::Uuid, "The IPsec policy.").required(),
        Attribute::new(
            "peer_cidrs",
            Type::Cidrs,
            "The peer's networks, when the service has a subnet; in the order given.",
        )
        .default(Preset::Empty)
        .nullable()
        .put(),
        Attribute::new("local_ep_group_id", Type::Uuid, "Local subnets, when the service has no subnet.")
            .default(Preset::Null)
            .put(),
        Attribute::new("peer_ep_group_id", Type::Uuid, "The peer's CIDRs, when the service has no subnet.")
            .default(Preset::Null)
            .put(),
        STATUS_REASON,
        STATUS_DETAIL,
    ],
};
