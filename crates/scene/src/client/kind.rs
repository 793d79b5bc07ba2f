//! The kinds of objects that scenes are made of.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network.
    Network,
    /// A subnet.
    Subnet,
    /// A port.
    Port,
    /// A router.
    Router,
    /// A VPN service.
    Service,
    /// An IKE policy.
    IkePolicy,
    /// An IPsec policy.
    IpsecPolicy,
    /// An endpoint group.
    EndpointGroup,
    /// An IPsec site connection.
    Connection,
}

impl Kind {
    /// The path of the collection.
    pub(super) fn path(self) -> String {
        let path = match self {
            Self::Network => "networks",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Router => "routers",
            Self::Service => "vpn/vpnservices",
            Self::IkePolicy => "vpn/ikepolicies",
            Self::IpsecPolicy => "vpn/ipsecpolicies",
            Self::EndpointGroup => "vpn/endpoint-groups",
            Self::Connection => "vpn/ipsec-site-connections",
        };
        format!("/v2.0/{path}")
    }

    pub(super) fn one(self, id: &str) -> String {
        format!("{}/{id}", self.path())
    }

    /// The envelope of one.
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Router => "router",
            Self::Service => "vpnservice",
            Self::IkePolicy => "ikepolicy",
            Self::IpsecPolicy => "ipsecpolicy",
            Self::EndpointGroup => "endpoint_group",
            Self::Connection => "ipsec_site_connection",
        }
    }

    /// The envelope of many.
    pub(super) const fn collection(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Router => "routers",
            Self::Service => "vpnservices",
            Self::IkePolicy => "ikepolicies",
            Self::IpsecPolicy => "ipsecpolicies",
            Self::EndpointGroup => "endpoint_groups",
            Self::Connection => "ipsec_site_connections",
        }
    }
}
