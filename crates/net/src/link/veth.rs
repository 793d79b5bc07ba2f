//! Pairs of links: what goes in at one end comes out at the other, usually in another namespace.

use std::os::fd::{AsFd, AsRawFd};

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::packet_route::nsid::{NsidAttribute, NsidMessage};
use rtnetlink::{LinkUnspec, LinkVeth};

use super::{Link, LinkKind, LinkSettings};
use crate::netlink::Netlink;
use crate::{Error, errno};

/// One end of a pair.
#[derive(Debug, Clone)]
pub struct VethEnd<'a> {
    /// The namespace that it is in.
    pub netlink: &'a Netlink,
    /// Its name there.
    pub name: &'a str,
    /// What it is to be like.
    pub settings: LinkSettings,
}

/// Makes these two ends one pair, and gives each its settings. An end whose other end is elsewhere is replaced.
///
/// # Errors
///
/// [`Error::OtherKind`] if one of the names belongs to something that is not a pair; [`Error::NoLink`] if a bridge is
/// missing; [`Error::LinkName`], [`Error::Denied`], [`Error::System`].
pub async fn ensure_veth(one: &VethEnd<'_>, other: &VethEnd<'_>) -> Result<bool, Error> {
    let joined = match (one.existing().await?, other.existing().await?) {
        (Some(left), Some(right)) => {
            one.leads_to(&left, other, &right).await? && other.leads_to(&right, one, &left).await?
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    };
    if !joined {
        one.netlink.remove_link(one.name).await?;
        other.netlink.remove_link(other.name).await?;
        create(one, other).await?;
    }
    let left = one.netlink.ensure_link(one.name, &one.settings).await?;
    let right = other.netlink.ensure_link(other.name, &other.settings).await?;
    Ok(!joined || left || right)
}

impl VethEnd<'_> {
    async fn existing(&self) -> Result<Option<Link>, Error> {
        let link = self.netlink.link(self.name).await?;
        if let Some(link) = &link {
            self.netlink.check_kind(link, LinkKind::Veth)?;
        }
        Ok(link)
    }

    /// Whether `link`, which is this end, has `there` for its other end. Numbers of links alone do not tell: they
    /// repeat from namespace to namespace.
    async fn leads_to(&self, link: &Link, other: &VethEnd<'_>, there: &Link) -> Result<bool, Error> {
        let Some(peer) = link.peer else { return Ok(false) };
        if peer.index != there.index {
            return Ok(false);
        }
        Ok(match peer.namespace {
            Some(id) => self.netlink.number_of(other.netlink).await? == Some(id),
            None => self.same_namespace(other),
        })
    }

    fn same_namespace(&self, other: &VethEnd<'_>) -> bool {
        let identity = |end: &VethEnd<'_>| {
            nix::sys::stat::fstat(end.netlink.namespace()).ok().map(|status| (status.st_dev, status.st_ino))
        };
        identity(self).is_some_and(|own| identity(other) == Some(own))
    }
}

impl Netlink {
    /// The number that this namespace has for another one, if it has one: `RTM_GETNSID`.
    async fn number_of(&self, other: &Netlink) -> Result<Option<i32>, Error> {
        let mut request = NsidMessage::default();
        let Ok(descriptor) = u32::try_from(other.namespace().as_fd().as_raw_fd()) else { return Ok(None) };
        request.attributes.push(NsidAttribute::Fd(descriptor));
        let answers = self.ask(RouteNetlinkMessage::GetNsId(request)).await.map_err(|source| {
            self.failed(format!("ask for the number of namespace {}", other.namespace()), source)
        })?;
        Ok(answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewNsId(message) => message.attributes.into_iter().find_map(|attribute| {
                // The kernel's word for "has none" is -1.
                if let NsidAttribute::Id(id @ 0..) = attribute { Some(id) } else { None }
            }),
            _ => None,
        }))
    }
}

/// Both ends appear where they belong and under their names in one step: no half of a pair is ever seen elsewhere.
async fn create(one: &VethEnd<'_>, other: &VethEnd<'_>) -> Result<(), Error> {
    let descriptor = other.netlink.namespace().as_fd().as_raw_fd();
    let peer = LinkUnspec::new_with_name(other.name).setns_by_fd(descriptor).build();
    let request =
        LinkVeth::new(one.name, other.name).set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
    let made = one.netlink.change(RouteNetlinkMessage::NewLink(request), NLM_F_CREATE | NLM_F_EXCL).await;
    made.map_err(|source| {
        let there = other.netlink.namespace();
        let taken = if errno::is(&source, errno::EEXIST) { ", one of which is taken" } else { "" };
        one.netlink
            .failed(format!("make the pair of {} and {} in {there}{taken}", one.name, other.name), source)
    })
}
