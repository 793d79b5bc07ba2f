//! Faults: why a request could not be done, in a closed vocabulary.
//!
//! A [`Reason`] says what kind of fault it is and thereby whose; the message says which field,
//! which value, what is allowed and what to do. How a reason looks on the wire is the business of
//! the `api` room.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a request was refused. The names are those that the clients of Neutron know.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name as it is written in code and on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// A malformed request: envelope, unknown or read-only attribute, value out of bounds.
    HTTPBadRequest,
    /// The body is not JSON.
    MalformedRequestBody,
    /// A malformed request that Neutron reports from below its attribute checks.
    BadRequest,
    /// A value that cannot be converted to the attribute's type.
    InvalidInput,
    /// The caller's roles do not allow this.
    PolicyNotAuthorized,
    /// The caller's token has the wrong scope (system instead of project).
    InvalidScope,
    /// Nothing is found under this URL, or nothing that the caller may know of.
    HTTPNotFound,
    /// The URL exists and this verb does not.
    HTTPMethodNotAllowed,
    /// The body is larger than the server accepts.
    RequestEntityTooLarge,
    /// The client took too long to send its request.
    RequestTimeout,
    /// A quota would be exceeded.
    OverQuota,
    /// A bug of ours.
    HTTPInternalServerError,
    /// Something that the server depends on is away; try again.
    ServiceUnavailable,
    /// Conflicts with the state of another object.
    Conflict,

    /// No such VPN service.
    VPNServiceNotFound,
    /// No such IKE policy.
    IKEPolicyNotFound,
    /// No such IPsec policy.
    IPsecPolicyNotFound,
    /// No such IPsec site connection.
    IPsecSiteConnectionNotFound,
    /// No such endpoint group.
    VPNEndpointGroupNotFound,
    /// The IKE policy is used by a connection.
    IKEPolicyInUse,
    /// The IPsec policy is used by a connection.
    IPsecPolicyInUse,
    /// The VPN service is used by a connection.
    VPNServiceInUse,
    /// The endpoint group is used by a connection.
    EndpointGroupInUse,
    /// The object is pending and this change has to wait.
    VPNStateInvalidToUpdate,
    /// The router has no external gateway.
    RouterIsNotExternal,
    /// The subnet has no port on the router.
    SubnetIsNotConnectedToRouter,
    /// DPD timeout is not greater than its interval.
    IPsecSiteConnectionDpdIntervalValueError,
    /// MTU below the minimum of the IP version.
    IPsecSiteConnectionMtuError,
    /// A peer CIDR that cannot be used.
    IPsecSiteConnectionPeerCidrError,
    /// The peer's host name has no address.
    VPNPeerAddressNotResolved,
    /// The router's gateway has no address of the peer's IP version.
    ExternalNetworkHasNoSubnet,
    /// The service has a subnet, so the connection needs peer CIDRs.
    MissingPeerCidrs,
    /// The service has a subnet, so endpoint groups cannot be used.
    InvalidEndpointGroup,
    /// The service has no subnet, so peer CIDRs cannot be used.
    PeerCidrsInvalid,
    /// The service has no subnet, so both endpoint groups are needed.
    MissingRequiredEndpointGroup,
    /// An endpoint group of the wrong type.
    WrongEndpointGroupType,
    /// IPv4 and IPv6 in one endpoint group.
    MixedIPVersionsForIPSecEndpoints,
    /// IPv4 and IPv6 in the peer CIDRs.
    MixedIPVersionsForPeerCidrs,
    /// IPv4 on one side and IPv6 on the other.
    MixedIPVersionsForIPSecConnection,
    /// An endpoint group without endpoints.
    MissingEndpointForEndpointGroup,
    /// An endpoint that is not what the group's type asks for, or given twice.
    InvalidEndpointInEndpointGroup,
    /// A subnet endpoint that the caller cannot see.
    NonExistingSubnetInEndpointGroup,
    /// A combination that the IPsec engine cannot do.
    IpsecValidationFailure,
    /// A VPN service uses the subnet on this router.
    SubnetInUseByVPNService,
    /// A connection's local endpoint group uses the subnet on this router.
    SubnetInUseByIPsecSiteConnection,
    /// No provider for the flavor's driver.
    NoProviderFoundForFlavor,
    /// No such flavor.
    FlavorNotFound,
    /// The flavor is disabled.
    FlavorDisabled,
    /// The flavor is used by a VPN service.
    FlavorInUse,
    /// No such service profile.
    ServiceProfileNotFound,
    /// The service profile is disabled.
    ServiceProfileDisabled,
    /// The service profile is bound to a flavor.
    ServiceProfileInUse,
    /// A service profile needs a driver or metainfo.
    ServiceProfileEmpty,
    /// The flavor already has this service profile.
    FlavorServiceProfileBindingExists,
    /// The flavor does not have this service profile.
    FlavorServiceProfileBindingNotFound,
    /// The driver of a service profile is not known.
    ServiceProfileDriverNotFound,
    /// The flavor belongs to another type of service.
    InvalidServiceType,
    /// Not an agent that can run VPN services.
    InvalidVPNAgent,
    /// Another agent hosts the router.
    RouterHostedByVPNAgent,

    /// No such network.
    NetworkNotFound,
    /// No such subnet.
    SubnetNotFound,
    /// No such port.
    PortNotFound,
    /// No such router.
    RouterNotFound,
    /// No such floating IP.
    FloatingIPNotFound,
    /// No such security group.
    SecurityGroupNotFound,
    /// No such security group rule.
    SecurityGroupRuleNotFound,
    /// No such agent.
    AgentNotFound,
    /// No such tag on the object.
    TagNotFound,
    /// No such availability zone.
    AvailabilityZoneNotFound,
    /// The network still has ports.
    NetworkInUse,
    /// The subnet still has ports, or is an endpoint of a group.
    SubnetInUse,
    /// The port is in use.
    PortInUse,
    /// The port belongs to a router and is removed through it.
    ServicePortInUse,
    /// The router is in use by interfaces or VPN services.
    RouterInUse,
    /// The router has no interface on this subnet.
    RouterInterfaceNotFoundForSubnet,
    /// The router has no such interface.
    RouterInterfaceNotFound,
    /// A floating IP needs this router interface.
    RouterInterfaceInUseByFloatingIP,
    /// A floating IP needs the router's gateway.
    RouterExternalGatewayInUseByFloatingIp,
    /// A route of the router needs this interface.
    RouterInterfaceInUseByRoute,
    /// A route whose next hop cannot be reached.
    InvalidRoutes,
    /// The network has no free address.
    IpAddressGenerationFailure,
    /// The address is taken.
    IpAddressAlreadyAllocated,
    /// The address is not in the subnet, or cannot be given to a port.
    InvalidIpForSubnet,
    /// The address is not on the network.
    InvalidIpForNetwork,
    /// The MAC address is taken on this network.
    MacAddressInUse,
    /// An allocation pool outside its subnet.
    OutOfBoundsAllocationPool,
    /// Two allocation pools overlap.
    OverlappingAllocationPools,
    /// An allocation pool that cannot be used.
    InvalidAllocationPool,
    /// The gateway address is inside an allocation pool.
    GatewayConflictWithAllocationPools,
    /// The floating IP's port has no fixed address that can be used.
    FloatingIPPortAlreadyAssociated,
    /// No router connects the floating IP's network and the port's subnet.
    ExternalGatewayForFloatingIPNotFound,
    /// The security group is used by a port.
    SecurityGroupInUse,
    /// The default security group stays as it is.
    SecurityGroupCannotRemoveDefault,
    /// The default security group keeps its name.
    SecurityGroupCannotUpdateDefault,
    /// Only the server makes a security group called `default`.
    SecurityGroupDefaultAlreadyExists,
    /// The same security group rule exists.
    SecurityGroupRuleExists,
    /// A port range that makes no sense.
    SecurityGroupInvalidPortRange,
    /// A protocol that is not known.
    SecurityGroupRuleInvalidProtocol,
    /// Ports given for a protocol that has none.
    SecurityGroupInvalidProtocolForPort,
    /// A remote prefix of the wrong IP version.
    SecurityGroupRuleParameterConflict,
    /// Remote prefix and remote group given together.
    SecurityGroupRemoteGroupAndRemoteIpPrefix,
}

/// A refused request: the reason and, in words, the field, the value, what is allowed and what
/// to do. The message never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind of fault.
    pub reason: Reason,
    /// For the person who sent the request.
    pub message: String,
}

impl Fault {
    /// A fault with its explanation.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// A malformed request ([`Reason::HTTPBadRequest`]).
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::HTTPBadRequest, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.message)
    }
}

impl std::error::Error for Fault {}
