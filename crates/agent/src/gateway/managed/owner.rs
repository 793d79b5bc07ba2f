//! Which node a router is on.
//!
//! All namespaces of a machine are listed in one place, and a machine may have several nodes. So each router's
//! namespace has a link, a bridge that is down, whose name holds the number of the node's namespace. A router without
//! one is half made and nobody's.

use crate::gateway::{GatewayError, names, of};
use karez_engine::RouterId;
use karez_net::{Error, Link, LinkSettings, Namespace, Netlink};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// A node, by the number of its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(u64);

impl Owner {
    pub(super) fn of(node: &Netlink) -> Result<Self, GatewayError> {
        let namespace = node.namespace();
        let number = namespace.as_fd().try_clone_to_owned().and_then(|file| File::from(file).metadata());
        let failed = |error| GatewayError(format!("cannot tell which namespace {namespace} is: {error}"));
        Ok(Self(number.map_err(failed)?.ino()))
    }

    /// Makes a router this node's; returns whether it was not before.
    ///
    /// # Errors
    /// When it is another node's that still has it.
    pub(super) async fn claim(self, router: RouterId, inside: &Netlink) -> Result<bool, GatewayError> {
        let links = inside.links().await.map_err(of(router))?;
        let owners: Vec<_> = owners(&links).collect();
        if owners == [self] {
            return Ok(false);
        }
        let others = owners.into_iter().filter(|owner| *owner != self);
        // Links to a node's namespace go with it: without any, there is nobody left to ask.
        let is_linked = links.iter().any(|link| names::outside(&link.name).is_some());
        for other in others {
            if is_linked {
                return Err(GatewayError(format!(
                    "router {router}: namespace {} is in use by another node of this machine; remove the router there",
                    inside.namespace()
                )));
            }
            inside.remove_link(&names::owner(other.0)).await.map_err(of(router))?;
        }
        inside.ensure_bridge(&names::owner(self.0), &LinkSettings::default()).await.map_err(of(router))?;
        Ok(true)
    }

    /// Whether a namespace holds a router of this node.
    pub(super) async fn has(self, namespace: &str) -> Result<bool, Error> {
        let inside = Netlink::open(&Namespace::open(namespace)?).await?;
        Ok(owners(&inside.links().await?).any(|owner| owner == self))
    }

    /// Whether a namespace holds no router of another node.
    pub(super) async fn may_remove(self, inside: &Netlink) -> Result<bool, Error> {
        Ok(owners(&inside.links().await?).all(|owner| owner == self))
    }
}

fn owners(links: &[Link]) -> impl Iterator<Item = Owner> {
    links.iter().filter_map(|link| names::owner_in(&link.name)).map(Owner)
}
