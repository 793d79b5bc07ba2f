//! Word from the kernel that something about a namespace's network changed.
//!
//! It says that, and roughly what, never how: whoever is woken looks at what is there. Many changes in a row are one
//! word, so a listener that is slow costs no memory and misses nothing.

use std::future::pending;
use std::io;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::nfnetlink::{Received, received};
use crate::{Error, Namespace, errno};

/// What is listened to of links, addresses and routing. Of forwarding and its like the kernel tells as "netconf".
const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Ipv4Netconf,
    MulticastGroup::Ipv6Netconf,
];

/// `RTM_…` in `linux/rtnetlink.h`: what came, or has changed, and what went.
const LINK: [u16; 2] = [16, 17];
const ADDRESS: [u16; 2] = [20, 21];
const ROUTE: [u16; 2] = [24, 25];
const RULE: [u16; 2] = [32, 33];
const NETCONF: [u16; 2] = [80, 81];

/// `XFRMNLGRP_SA` and `XFRMNLGRP_POLICY` in `linux/xfrm.h`, and what is said there that an IKE daemon does not do all
/// the time: `XFRM_MSG_DELPOLICY`, `XFRM_MSG_FLUSHSA`, `XFRM_MSG_FLUSHPOLICY`.
const IPSEC_GROUPS: [u32; 2] = [3, 4];
const IPSEC: [u16; 3] = [0x14, 0x1c, 0x1d];

/// `NFNLGRP_NFTABLES`, and what is said there when something goes: `NFT_MSG_DELTABLE`, `NFT_MSG_DELCHAIN`,
/// `NFT_MSG_DELRULE`, each with the table's name in its first attribute.
const FILTER_GROUP: u32 = 7;
const FILTER: [u16; 3] = [10 << 8 | 2, 10 << 8 | 5, 10 << 8 | 8];

/// The most octets that the kernel tells at once.
const DATAGRAM: usize = 1 << 16;

/// A subscription to the changes of one namespace. It ends when it is dropped.
#[derive(Debug)]
pub struct Events {
    changes: watch::Receiver<Changes>,
    seen: Changes,
    task: AbortHandle,
}

/// What changed since the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// A link came, went, or became different.
    pub links: bool,
    /// An address came or went.
    pub addresses: bool,
    /// A route or a routing rule came or went.
    pub routes: bool,
    /// Forwarding, or another setting of the IP protocols, was switched.
    pub settings: bool,
    /// Some of the kernel's IPsec policies went, or its security associations were flushed. One association that goes is
    /// not told: an IKE daemon ends them all the time.
    pub ipsec: bool,
    /// Something of the table of nftables that is listened to went: it itself, a chain or a rule.
    pub filter: bool,
}

/// How often each was heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Changes {
    links: u64,
    addresses: u64,
    routes: u64,
    settings: u64,
    ipsec: u64,
    filter: u64,
}

impl Events {
    /// Listens from now on: a change that begins after this returns is heard of.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] and [`Error::System`] when the namespace cannot be entered or the socket not be opened.
    pub async fn open(namespace: &Namespace) -> Result<Self, Error> {
        Self::listen(namespace, None).await
    }

    /// The same, and listens to the table of nftables of this name.
    ///
    /// # Errors
    ///
    /// As [`Events::open`].
    pub async fn with_table(namespace: &Namespace, table: &'static str) -> Result<Self, Error> {
        Self::listen(namespace, Some(table)).await
    }

    async fn listen(namespace: &Namespace, table: Option<&'static str>) -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::current();
        let opened = namespace.run_async(move || {
            let _runtime = runtime.enter();
            let filter = table.map(|_| subscribe_filter()).transpose()?;
            Ok::<_, io::Error>((subscribe()?, subscribe_ipsec()?, filter))
        });
        let (socket, ipsec, filter) =
            opened.await?.map_err(|source| Error::system(namespace, "listen to netlink", source))?;
        let (sender, changes) = watch::channel(Changes::default());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = listen(Some(&socket), &sender, |changes, message| changes.hear(kind(message))) => {}
                () = listen(ipsec.as_ref(), &sender, |changes, message| changes.hear_ipsec(kind(message))) => {}
                () = listen(filter.as_ref(), &sender, |changes, message| changes.hear_filter(message, table)) => {}
            }
        });
        let task = task.abort_handle();
        Ok(Self { changes, seen: Changes::default(), task })
    }

    /// Waits until something changed since the last call. None when the kernel will say no more: subscribe again.
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Changed> {
        self.changes.changed().await.ok()?;
        let now = *self.changes.borrow_and_update();
        let before = std::mem::replace(&mut self.seen, now);
        Some(Changed {
            links: now.links != before.links,
            addresses: now.addresses != before.addresses,
            routes: now.routes != before.routes,
            settings: now.settings != before.settings,
            ipsec: now.ipsec != before.ipsec,
            filter: now.filter != before.filter,
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn subscribe() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_mut().bind_auto()?;
    for group in GROUPS {
        match socket.socket_mut().add_membership(group as u32) {
            // A kernel without IPv6 may not know its groups.
            Err(error) if !errno::is(&error, errno::EINVAL) => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(socket)
}

/// None when the kernel has no IPsec.
fn subscribe_ipsec() -> io::Result<Option<TokioSocket>> {
    let mut socket = match TokioSocket::new(NETLINK_XFRM) {
        Err(error) if errno::is(&error, errno::EPROTONOSUPPORT) => return Ok(None),
        socket => socket?,
    };
    socket.socket_mut().bind_auto()?;
    for group in IPSEC_GROUPS {
        socket.socket_mut().add_membership(group)?;
    }
    Ok(Some(socket))
}

fn subscribe_filter() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
    socket.socket_mut().bind_auto()?;
    socket.socket_mut().add_membership(FILTER_GROUP)?;
    Ok(socket)
}

/// Takes in what this socket tells, until it tells no more. Never ends when there is none.
async fn listen(
    socket: Option<&TokioSocket>,
    sender: &watch::Sender<Changes>,
    hear: impl Fn(&mut Changes, Option<&Received<'_>>),
) {
    let Some(socket) = socket else { return pending().await };
    let mut datagram = Vec::with_capacity(DATAGRAM);
    loop {
        datagram.clear();
        match socket.recv(&mut datagram).await {
            Ok(()) => {
                sender.send_if_modified(|changes| {
                    let before = *changes;
                    received(&datagram).for_each(|message| hear(changes, Some(&message)));
                    *changes != before
                });
            }
            Err(error) if errno::is(&error, errno::ENOBUFS) => {
                sender.send_modify(|changes| hear(changes, None))
            }
            Err(error) => {
                tracing::debug!(%error, "changes of a namespace are heard no more");
                return;
            }
        }
    }
}

fn kind(message: Option<&Received<'_>>) -> Option<u16> {
    message.map(|message| message.kind)
}

impl Changes {
    /// A message about links, addresses or routing came, or, without a kind, more than the socket could hold: anything may
    /// have changed.
    fn hear(&mut self, kind: Option<u16>) {
        let is_of = |kinds: [u16; 2]| kind.is_some_and(|kind| kinds.contains(&kind));
        let is_unknown = ![LINK, ADDRESS, ROUTE, RULE, NETCONF].into_iter().any(is_of);
        self.links += u64::from(is_unknown || is_of(LINK));
        self.addresses += u64::from(is_unknown || is_of(ADDRESS));
        self.routes += u64::from(is_unknown || is_of(ROUTE) || is_of(RULE));
        self.settings += u64::from(is_unknown || is_of(NETCONF));
    }

    /// The same about IPsec, of which most does not matter.
    fn hear_ipsec(&mut self, kind: Option<u16>) {
        self.ipsec += u64::from(kind.is_none_or(|kind| IPSEC.contains(&kind)));
    }

    /// The same about nftables: of others' tables nothing matters.
    fn hear_filter(&mut self, message: Option<&Received<'_>>, table: Option<&str>) {
        let is_of = |message: &Received<'_>| {
            // The name, with the zero at its end, follows the header of the first attribute.
            let name = message.attributes().and_then(|attributes| attributes.get(4..));
            let is_named = |name: &[u8]| {
                table.is_some_and(|table| {
                    name.strip_prefix(table.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
                })
            };
            FILTER.contains(&message.kind) && name.is_some_and(is_named)
        };
        self.filter += u64::from(message.is_none_or(is_of));
    }
}
