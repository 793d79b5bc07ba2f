//! The resources: one table of typed attributes each. Parsing, checking, storing, filtering,
//! sorting, rendering and the API document all read these tables.

mod core;
mod shape;
mod vpn;

use crate::{Attribute, Reason};

pub use shape::{Pool, Route};

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Proposal and lifetime of the IKE SA.
    IkePolicy,
    /// Proposal and lifetime of the child SAs.
    IpsecPolicy,
    /// VPN on one router.
    VpnService,
    /// A set of local subnets or peer CIDRs.
    EndpointGroup,
    /// A tunnel to one peer.
    IpsecSiteConnection,
    /// A layer-2 network.
    Network,
    /// An address range on a network.
    Subnet,
    /// An attachment to a network.
    Port,
    /// A router with its gateway.
    Router,
    /// An outside address for a port.
    FloatingIp,
    /// A set of filter rules.
    SecurityGroup,
    /// One filter rule.
    SecurityGroupRule,
    /// A choice of service that operators offer.
    Flavor,
    /// What stands behind a flavor.
    ServiceProfile,
    /// A node that runs routers.
    Agent,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::IkePolicy,
        Self::IpsecPolicy,
        Self::VpnService,
        Self::EndpointGroup,
        Self::IpsecSiteConnection,
        Self::Network,
        Self::Subnet,
        Self::Port,
        Self::Router,
        Self::FloatingIp,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
        Self::Flavor,
        Self::ServiceProfile,
        Self::Agent,
    ];

    /// The description of this kind.
    #[must_use]
    pub const fn resource(self) -> &'static Resource {
        match self {
            Self::IkePolicy => &vpn::IKE_POLICY,
            Self::IpsecPolicy => &vpn::IPSEC_POLICY,
            Self::VpnService => &vpn::VPN_SERVICE,
            Self::EndpointGroup => &vpn::ENDPOINT_GROUP,
            Self::IpsecSiteConnection => &vpn::IPSEC_SITE_CONNECTION,
            Self::Network => &core::NETWORK,
            Self::Subnet => &core::SUBNET,
            Self::Port => &core::PORT,
            Self::Router => &core::ROUTER,
            Self::FloatingIp => &core::FLOATING_IP,
            Self::SecurityGroup => &core::SECURITY_GROUP,
            Self::SecurityGroupRule => &core::SECURITY_GROUP_RULE,
            Self::Flavor => &core::FLAVOR,
            Self::ServiceProfile => &core::SERVICE_PROFILE,
            Self::Agent => &core::AGENT,
        }
    }
}

/// Which of the two halves of Neutron a resource comes from: they differ in how they name a
/// malformed body and in the bookkeeping that they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The VPN resources: no bookkeeping, no bulk create.
    Vpn,
    /// Networks, subnets, ports: bookkeeping, bulk create.
    Core,
    /// Routers and everything else: bookkeeping.
    Extension,
    /// Owned by the deployment, not by a project: no bookkeeping.
    Operator,
}

/// One kind of resource as clients see it and as it is stored.
#[derive(Debug)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// The key of one object: `ikepolicy`.
    pub member: &'static str,
    /// The key of a list: `ikepolicies`.
    pub collection: &'static str,
    /// Below `/v2.0/`: `vpn/ikepolicies`.
    pub path: &'static str,
    /// The table that it is stored in.
    pub table: &'static str,
    /// Which half of Neutron.
    pub family: Family,
    /// What to answer when an id is not found.
    pub not_found: Reason,
    /// The name and default of its quota.
    pub quota: Option<(&'static str, i64)>,
    /// Its attributes in the order in which they are shown.
    pub attributes: &'static [Attribute],
    /// One sentence for the API document.
    pub doc: &'static str,
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Resource {
    /// Where an attribute of this name stands in the table.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|attribute| attribute.name == name)
    }

    /// The attribute that goes by this name or alias.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.is_called(name))
    }

    /// Whether its objects belong to projects.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        !matches!(self.family, Family::Operator)
    }

    /// Whether its objects show `created_at`, `updated_at` and `revision_number`.
    #[must_use]
    pub fn has_bookkeeping(&self) -> bool {
        matches!(self.family, Family::Core | Family::Extension)
    }

    /// Whether its objects can be tagged.
    #[must_use]
    pub fn is_taggable(&self) -> bool {
        self.position("tags").is_some()
    }

    /// The resource of a collection name, as in quotas, tags and URLs.
    #[must_use]
    pub fn by_collection(collection: &str) -> Option<&'static Self> {
        Kind::ALL.iter().map(|kind| kind.resource()).find(|resource| resource.collection == collection)
    }
}

const ID: Attribute = Attribute::new("id", crate::Type::Uuid, "The object's id, made by the server.");
const PROJECT_ID: Attribute = Attribute::new(
    "project_id",
    crate::Type::Text(255),
    "The project that owns the object; also shown and accepted as `tenant_id`.",
)
.default(crate::attribute::Preset::Text(""))
.alias("tenant_id");
const NAME: Attribute =
    Attribute::new("name", crate::Type::Name(255), "A name for people; it need not be unique.")
        .default(crate::attribute::Preset::Text(""))
        .put();
const DESCRIPTION: Attribute =
    Attribute::new("description", crate::Type::Text(255), "A description for people.")
        .default(crate::attribute::Preset::Text(""))
        .put();
const ADMIN_STATE_UP: Attribute =
    Attribute::new("admin_state_up", crate::Type::Bool, "Whether the object should work.")
        .default(crate::attribute::Preset::Bool(true))
        .put();
