//! What can go wrong, in whose hands it is, and what to do about it.

use std::io;

/// Why an operation on the network of this machine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's name for a namespace is not one file name.
    #[error("{name:?} cannot name a network namespace: it has to be one file name of at most 255 bytes")]
    NamespaceName {
        /// The name as given.
        name: String,
    },
    /// No namespace of this name is mounted in `/run/netns`.
    #[error("there is no network namespace {name}")]
    NoNamespace {
        /// The name as given.
        name: String,
    },
    /// The caller's name for a link is not one that the kernel takes.
    #[error("{name:?} cannot name a link: it has to be 1 to 15 bytes without '/', ':' and white space")]
    LinkName {
        /// The name as given.
        name: String,
    },
    /// The link does not exist, or no longer.
    #[error("namespace {namespace} has no link {link}")]
    NoLink {
        /// Where it was looked for.
        namespace: String,
        /// Its name.
        link: String,
    },
    /// A link of that name exists and is of another kind, so it is not ours to change or to replace.
    #[error(
        "link {link} in namespace {namespace} is not a {wanted} but a {found}; choose another name or remove it"
    )]
    OtherKind {
        /// Where it is.
        namespace: String,
        /// Its name.
        link: String,
        /// The kind that was asked for.
        wanted: String,
        /// The kind that it is of.
        found: String,
    },
    /// Another route has the same destination, table and metric, and is not ours to replace.
    #[error(
        "namespace {namespace} already has another route to {destination} with the same table and metric, made by \
         protocol {protocol}; remove it or ask for another metric"
    )]
    RouteTaken {
        /// Where it is.
        namespace: String,
        /// Its destination.
        destination: String,
        /// The number of who made it, as in `/etc/iproute2/rt_protos`.
        protocol: u8,
    },
    /// A path that does not name a setting of the network, such as `net/ipv4/ip_forward`.
    #[error("{path:?} is not the path of a network setting; it has to begin with \"net/\" and stay below it")]
    SysctlPath {
        /// The path as given.
        path: String,
    },
    /// The process lacks the privilege for it.
    #[error(
        "may not {operation} in namespace {namespace}: this needs root, or the capabilities CAP_NET_ADMIN and \
         CAP_SYS_ADMIN"
    )]
    Denied {
        /// Where it was tried.
        namespace: String,
        /// What was tried.
        operation: String,
    },
    /// The kernel refused for another reason.
    #[error("cannot {operation} in namespace {namespace}: {source}")]
    System {
        /// Where it was tried.
        namespace: String,
        /// What was tried.
        operation: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The program `nft` is missing.
    #[error("the program nft was not found; install the package nftables")]
    NoNft,
    /// `nft` did not do as it was told.
    #[error("nft could not {operation} in namespace {namespace}: {reason}")]
    Nft {
        /// Where it was tried.
        namespace: String,
        /// What was tried.
        operation: String,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// The kernel's answer to an operation, with the missing privilege told apart from the rest.
    pub(crate) fn system(
        namespace: impl ToString,
        operation: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (namespace, operation, source) = (namespace.to_string(), operation.into(), source.into());
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::Denied { namespace, operation };
        }
        Self::System { namespace, operation, source }
    }
}
