//! Links: reading them, making bridges, and giving a link its settings. Pairs are in [`veth`].

mod mac;
mod veth;

use std::io;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::{LinkBridge, LinkUnspec};

use crate::netlink::Netlink;
use crate::{Error, errno};

pub use mac::{Mac, MacError};
pub use veth::{VethEnd, ensure_veth};

/// The kernel's number of the loopback, in each namespace: `LOOPBACK_IFINDEX`.
pub const LOOPBACK: u32 = 1;

/// A link as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name in its namespace.
    pub name: String,
    /// Its number in its namespace.
    pub index: u32,
    /// What it is.
    pub kind: LinkKind,
    /// The largest packet that it takes, in bytes without the Ethernet header.
    pub mtu: u32,
    /// Its hardware address, where it has one of Ethernet's length.
    pub mac: Option<Mac>,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether the other side is there too (a cable, a peer that is up).
    pub carrier: bool,
    /// The number of the bridge, or other master, that it is a port of.
    pub master: Option<u32>,
    /// What is written on it for whoever looks.
    pub alias: Option<String>,
    /// The other end, of a kind that has one.
    pub(crate) peer: Option<Peer>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// An Ethernet bridge.
    Bridge,
    /// One end of a pair.
    Veth,
    /// A TUN or TAP device.
    Tun,
    /// A device of hardware, or the loopback.
    Device,
    /// Another kind, by the kernel's name for it.
    Other(String),
}

impl std::fmt::Display for LinkKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Bridge => "bridge",
            Self::Veth => "veth",
            Self::Tun => "tun",
            Self::Device => "device",
            Self::Other(kind) => kind,
        })
    }
}

/// Where the other end of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) index: u32,
    /// The other end's namespace, by the number that this one has for it; none when it is the same one.
    pub(crate) namespace: Option<i32>,
}

/// What a link is to be like; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// The largest packet, in bytes without the Ethernet header.
    pub mtu: Option<u32>,
    /// The hardware address.
    pub mac: Option<Mac>,
    /// The bridge, in the same namespace, that it is to be a port of.
    pub bridge: Option<String>,
    /// Switch it on; `false` leaves it as it is.
    pub up: bool,
    /// Do not ask the neighbours first whether its IPv6 addresses are taken. Until that is over, one or two seconds
    /// after it is switched on, a router cannot even ask for its neighbours' hardware addresses.
    pub skip_dad: bool,
    /// What to write on it, such as who has made it. A bridge that is not made but found keeps what it has.
    pub alias: Option<String>,
}

impl LinkSettings {
    /// Switched on and usable at once, and else as the kernel makes it.
    pub fn up() -> Self {
        Self { up: true, skip_dad: true, ..Self::default() }
    }

    /// With this MTU, in bytes.
    #[must_use]
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu: Some(mtu), ..self }
    }

    /// With this hardware address.
    #[must_use]
    pub fn mac(self, mac: Mac) -> Self {
        Self { mac: Some(mac), ..self }
    }

    /// With this written on it.
    #[must_use]
    pub fn alias(self, alias: impl Into<String>) -> Self {
        Self { alias: Some(alias.into()), ..self }
    }

    /// As a port of this bridge.
    #[must_use]
    pub fn bridge(self, bridge: impl Into<String>) -> Self {
        Self { bridge: Some(bridge.into()), ..self }
    }
}

impl Netlink {
    /// The link of this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::LinkName`], [`Error::System`].
    pub async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        check_name(name)?;
        let request = LinkUnspec::new_with_name(name).build();
        match self.ask(RouteNetlinkMessage::GetLink(request)).await {
            Ok(answers) => Ok(answers.into_iter().find_map(observed)),
            Err(source) if errno::is(&source, errno::ENODEV) => Ok(None),
            Err(source) => Err(self.failed(format!("look at link {name}"), source)),
        }
    }

    /// All links, in the kernel's order.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn links(&self) -> Result<Vec<Link>, Error> {
        let answers = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), "list links").await?;
        Ok(answers.into_iter().filter_map(observed).collect())
    }

    /// The link of this name, which has to be there.
    ///
    /// # Errors
    ///
    /// [`Error::NoLink`] when it is not; as [`Netlink::link`].
    pub async fn existing_link(&self, name: &str) -> Result<Link, Error> {
        let missing = || Error::NoLink { namespace: self.namespace().to_string(), link: name.to_owned() };
        self.link(name).await?.ok_or_else(missing)
    }

    /// Switches the loopback on, without which a namespace cannot talk to itself.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::System`].
    pub async fn ensure_loopback(&self) -> Result<bool, Error> {
        self.ensure_link("lo", &LinkSettings { up: true, ..LinkSettings::default() }).await
    }

    /// Gives an existing link these settings.
    ///
    /// # Errors
    ///
    /// [`Error::NoLink`] if it, or the bridge, is not there; [`Error::Denied`], [`Error::System`].
    pub async fn ensure_link(&self, name: &str, wanted: &LinkSettings) -> Result<bool, Error> {
        let link = self.existing_link(name).await?;
        let master = match &wanted.bridge {
            Some(bridge) => Some(self.existing_link(bridge).await?.index),
            None => None,
        };
        let quicker = wanted.skip_dad && self.set_ipv6(name, "accept_dad", "0")?;
        let mut request = LinkUnspec::new_with_index(link.index);
        if let Some(mtu) = wanted.mtu.filter(|mtu| *mtu != link.mtu) {
            request = request.mtu(mtu);
        }
        if let Some(mac) = wanted.mac.filter(|mac| link.mac != Some(*mac)) {
            request = request.address(mac.octets().to_vec());
        }
        if let Some(master) = master.filter(|master| link.master != Some(*master)) {
            request = request.append_extra_attribute(LinkAttribute::Controller(master));
        }
        if let Some(alias) = wanted.alias.clone().filter(|alias| link.alias.as_ref() != Some(alias)) {
            request = request.append_extra_attribute(LinkAttribute::IfAlias(alias));
        }
        if wanted.up && !link.up {
            request = request.up();
        }
        let request = request.build();
        if request.attributes.is_empty() && request.header.change_mask.is_empty() {
            return Ok(quicker);
        }
        self.change(RouteNetlinkMessage::SetLink(request), 0)
            .await
            .map_err(|source| self.failed(format!("give link {name} its settings"), source))?;
        Ok(true)
    }

    /// Makes a bridge of this name unless it is there, and gives it these settings.
    ///
    /// # Errors
    ///
    /// [`Error::OtherKind`] if the name belongs to something else; [`Error::Denied`], [`Error::System`].
    pub async fn ensure_bridge(&self, name: &str, settings: &LinkSettings) -> Result<bool, Error> {
        let made = match self.link(name).await? {
            Some(link) => {
                self.check_kind(&link, LinkKind::Bridge)?;
                false
            }
            None => {
                let request = LinkBridge::new(name).build();
                let asked = RouteNetlinkMessage::NewLink(request);
                match self.change(asked, NLM_F_CREATE | NLM_F_EXCL).await {
                    Ok(()) => true,
                    // Somebody else was faster: what hosts are joined to is made by whoever needs it first.
                    Err(source) if errno::is(&source, errno::EEXIST) => {
                        if let Some(link) = self.link(name).await? {
                            self.check_kind(&link, LinkKind::Bridge)?;
                        }
                        false
                    }
                    Err(source) => return Err(self.failed(format!("make bridge {name}"), source)),
                }
            }
        };
        // The kernel takes no alias for a link that it makes.
        let alias = settings.alias.clone().filter(|_| made);
        Ok(self.ensure_link(name, &LinkSettings { alias, ..settings.clone() }).await? || made)
    }

    /// Removes a link; `false` when there was none. The other end of a pair goes with it.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`]; [`Error::System`], also for a link that cannot be removed, such as a device of hardware.
    pub async fn remove_link(&self, name: &str) -> Result<bool, Error> {
        let Some(link) = self.link(name).await? else { return Ok(false) };
        let request = LinkUnspec::new_with_index(link.index).build();
        match self.change(RouteNetlinkMessage::DelLink(request), 0).await {
            Ok(()) => Ok(true),
            Err(source) if errno::is(&source, errno::ENODEV) => Ok(false),
            Err(source) => Err(self.failed(format!("remove link {name}"), source)),
        }
    }

    /// Sets one of a link's settings for IPv6; where the kernel or the link has no IPv6 there is nothing to set.
    pub(crate) fn set_ipv6(&self, link: &str, setting: &str, value: &str) -> Result<bool, Error> {
        match self.namespace().set_sysctl(&format!("net/ipv6/conf/{link}/{setting}"), value) {
            Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other,
        }
    }

    fn check_kind(&self, link: &Link, wanted: LinkKind) -> Result<(), Error> {
        if link.kind == wanted {
            return Ok(());
        }
        Err(Error::OtherKind {
            namespace: self.namespace().to_string(),
            link: link.name.clone(),
            wanted: wanted.to_string(),
            found: link.kind.to_string(),
        })
    }
}

fn observed(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let up = message.header.flags.contains(LinkFlags::Up);
    let carrier = message.header.flags.contains(LinkFlags::LowerUp);
    let mut link = Link {
        name: String::new(),
        index: message.header.index,
        kind: LinkKind::Device,
        mtu: 0,
        mac: None,
        up,
        carrier,
        master: None,
        alias: None,
        peer: None,
    };
    let (mut peer_index, mut peer_namespace) = (None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(bytes) => link.mac = <[u8; 6]>::try_from(bytes).ok().map(Mac::from),
            LinkAttribute::Controller(index) => link.master = Some(index),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Link(index) => peer_index = Some(index),
            LinkAttribute::LinkNetNsId(id) => peer_namespace = Some(id),
            LinkAttribute::LinkInfo(infos) => link.kind = kind(&infos),
            _ => {}
        }
    }
    link.peer = peer_index.map(|index| Peer { index, namespace: peer_namespace });
    Some(link)
}

fn kind(infos: &[LinkInfo]) -> LinkKind {
    use rtnetlink::packet_route::link::InfoKind;
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match kind {
        None => LinkKind::Device,
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        Some(InfoKind::Veth) => LinkKind::Veth,
        Some(InfoKind::Tun) => LinkKind::Tun,
        Some(other) => LinkKind::Other(other.to_string()),
    }
}

/// The kernel's `dev_valid_name`; its own answer to a bad name is "Numerical result out of range".
fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c != '/' && c != ':' && c != '\0' && !c.is_whitespace();
    let good = (1..=15).contains(&name.len()) && name != "." && name != ".." && name.chars().all(plain);
    if good { Ok(()) } else { Err(Error::LinkName { name: name.to_owned() }) }
}
