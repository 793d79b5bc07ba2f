//! Faults as Neutron shows them: `{"NeutronError": {"type", "message", "detail"}}`.

use crate::answer::Answer;
use http::StatusCode;
use karez_control::Failure;
use karez_model::{Fault, Reason};
use karez_store::Error;
use serde_json::json;

/// What every handler may end with instead of an answer.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The answer to a request that cannot be done.
pub(crate) fn answer(failure: &Failure) -> Answer {
    match failure {
        Failure::Fault(fault) => shown(fault),
        Failure::Store(Error::Unavailable(_)) => {
            let message =
                "The database is not available now; nothing was changed as far as is known. Try again.";
            shown(&Fault::new(Reason::ServiceUnavailable, message))
        }
        Failure::Store(_) => {
            let message = "Request failed: internal server error while processing your request.";
            shown(&Fault::new(Reason::HTTPInternalServerError, message))
        }
    }
}

fn shown(fault: &Fault) -> Answer {
    let body = json!({"NeutronError": {"type": fault.reason.name(), "message": fault.message, "detail": ""}});
    let mut answer = Answer::json(status(fault.reason), &body);
    answer.retry_after = (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
    answer
}

/// The status that clients expect for a reason.
pub(crate) fn status(reason: Reason) -> StatusCode {
    use Reason as R;
    match reason {
        R::HTTPBadRequest
        | R::MalformedRequestBody
        | R::BadRequest
        | R::InvalidInput
        // Neutron answers this one so, unlike the other objects that are in use.
        | R::EndpointGroupInUse
        | R::VPNStateInvalidToUpdate
        | R::RouterIsNotExternal
        | R::SubnetIsNotConnectedToRouter
        | R::IPsecSiteConnectionDpdIntervalValueError
        | R::IPsecSiteConnectionMtuError
        | R::IPsecSiteConnectionPeerCidrError
        | R::VPNPeerAddressNotResolved
        | R::ExternalNetworkHasNoSubnet
        | R::MissingPeerCidrs
        | R::InvalidEndpointGroup
        | R::PeerCidrsInvalid
        | R::MissingRequiredEndpointGroup
        | R::WrongEndpointGroupType
        | R::MixedIPVersionsForIPSecEndpoints
        | R::MixedIPVersionsForPeerCidrs
        | R::MixedIPVersionsForIPSecConnection
        | R::MissingEndpointForEndpointGroup
        | R::InvalidEndpointInEndpointGroup
        | R::NonExistingSubnetInEndpointGroup
        | R::IpsecValidationFailure
        | R::InvalidServiceType
        | R::ServiceProfileEmpty
        | R::InvalidRoutes
        | R::InvalidIpForSubnet
        | R::InvalidIpForNetwork
        | R::OutOfBoundsAllocationPool
        | R::InvalidAllocationPool
        | R::SecurityGroupInvalidPortRange
        | R::SecurityGroupRuleInvalidProtocol
        | R::SecurityGroupInvalidProtocolForPort
        | R::SecurityGroupRuleParameterConflict
        | R::SecurityGroupRemoteGroupAndRemoteIpPrefix => StatusCode::BAD_REQUEST,
        R::PolicyNotAuthorized | R::InvalidScope => StatusCode::FORBIDDEN,
        R::HTTPNotFound
        | R::VPNServiceNotFound
        | R::IKEPolicyNotFound
        | R::IPsecPolicyNotFound
        | R::IPsecSiteConnectionNotFound
        | R::VPNEndpointGroupNotFound
        | R::NoProviderFoundForFlavor
        | R::FlavorNotFound
        | R::ServiceProfileNotFound
        | R::ServiceProfileDriverNotFound
        | R::FlavorServiceProfileBindingNotFound
        | R::InvalidVPNAgent
        | R::NetworkNotFound
        | R::SubnetNotFound
        | R::PortNotFound
        | R::RouterNotFound
        | R::FloatingIPNotFound
        | R::SecurityGroupNotFound
        | R::SecurityGroupRuleNotFound
        | R::AgentNotFound
        | R::TagNotFound
        | R::AvailabilityZoneNotFound
        | R::RouterInterfaceNotFoundForSubnet
        | R::RouterInterfaceNotFound
        | R::ExternalGatewayForFloatingIPNotFound => StatusCode::NOT_FOUND,
        R::HTTPMethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        R::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        R::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        R::OverQuota
        | R::Conflict
        | R::IKEPolicyInUse
        | R::IPsecPolicyInUse
        | R::VPNServiceInUse
        | R::SubnetInUseByVPNService
        | R::SubnetInUseByIPsecSiteConnection
        | R::FlavorInUse
        | R::ServiceProfileInUse
        | R::FlavorServiceProfileBindingExists
        | R::RouterHostedByVPNAgent
        | R::NetworkInUse
        | R::SubnetInUse
        | R::PortInUse
        | R::ServicePortInUse
        | R::RouterInUse
        | R::RouterInterfaceInUseByFloatingIP
        | R::RouterExternalGatewayInUseByFloatingIp
        | R::RouterInterfaceInUseByRoute
        | R::IpAddressGenerationFailure
        | R::IpAddressAlreadyAllocated
        | R::MacAddressInUse
        | R::OverlappingAllocationPools
        | R::GatewayConflictWithAllocationPools
        | R::FloatingIPPortAlreadyAssociated
        | R::SecurityGroupInUse
        | R::SecurityGroupCannotRemoveDefault
        | R::SecurityGroupCannotUpdateDefault
        | R::SecurityGroupDefaultAlreadyExists
        | R::SecurityGroupRuleExists => StatusCode::CONFLICT,
        R::ServiceUnavailable | R::FlavorDisabled | R::ServiceProfileDisabled => StatusCode::SERVICE_UNAVAILABLE,
        R::HTTPInternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// There is nothing under this URL.
pub(crate) fn no_such_url() -> Failure {
    Failure::fault(Reason::HTTPNotFound, "The resource could not be found.")
}

/// The URL exists, and not for this verb.
pub(crate) fn wrong_verb(method: &http::Method) -> Failure {
    Failure::fault(
        Reason::HTTPMethodNotAllowed,
        format!("{} is not allowed for this resource", karez_model::parse::clip(method.as_str())),
    )
}
