//! Word from the kernel that something about a namespace's network changed.
//!
//! It says that, and roughly what, never how: whoever is woken looks at what is there. Many changes in a row are one
//! word, so a listener that is slow costs no memory and misses nothing.

use std::future::pending;
use std::io;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::protocols::{NETLINK_ROUTE, NETLINK_XFRM};
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::nfnetlink::received;
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
    /// The kernel's IPsec policies or all its security associations went. One association that goes is not told: an IKE
    /// daemon ends them all the time.
    pub ipsec: bool,
}

/// How often each was heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Changes {
    links: u64,
    addresses: u64,
    routes: u64,
    settings: u64,
    ipsec: u64,
}

impl Events {
    /// Listens from now on: a change that begins after this returns is heard of.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] and [`Error::System`] when the namespace cannot be entered or the socket not be opened.
    pub async fn open(namespace: &Namespace) -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::current();
        let opened = namespace.run_async(move || {
            let _runtime = runtime.enter();
            Ok::<_, io::Error>((subscribe()?, subscribe_ipsec()?))
        });
        let (socket, ipsec) =
            opened.await?.map_err(|source| Error::system(namespace, "listen to netlink", source))?;
        let (sender, changes) = watch::channel(Changes::default());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = listen(&socket, &sender, Changes::count) => {}
                () = listen_ipsec(ipsec.as_ref(), &sender) => {}
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

async fn listen_ipsec(socket: Option<&TokioSocket>, sender: &watch::Sender<Changes>) {
    match socket {
        Some(socket) => listen(socket, sender, Changes::count_ipsec).await,
        None => pending().await,
    }
}

/// Counts what this socket tells, until it tells no more.
async fn listen(socket: &TokioSocket, sender: &watch::Sender<Changes>, count: fn(&mut Changes, u16)) {
    let mut datagram = Vec::with_capacity(DATAGRAM);
    loop {
        datagram.clear();
        match socket.recv(&mut datagram).await {
            Ok(()) => {
                sender.send_if_modified(|changes| {
                    let before = *changes;
                    received(&datagram).for_each(|message| count(changes, message.kind));
                    *changes != before
                });
            }
            // More was said than the socket could hold: anything may have changed.
            Err(error) if errno::is(&error, errno::ENOBUFS) => sender.send_modify(Changes::count_all),
            Err(error) => {
                tracing::debug!(%error, "changes of a namespace are heard no more");
                return;
            }
        }
    }
}

impl Changes {
    /// Counts a message about links, addresses or routing. All of them matter.
    fn count(&mut self, kind: u16) {
        match kind {
            _ if LINK.contains(&kind) => self.links += 1,
            _ if ADDRESS.contains(&kind) => self.addresses += 1,
            _ if ROUTE.contains(&kind) || RULE.contains(&kind) => self.routes += 1,
            _ if NETCONF.contains(&kind) => self.settings += 1,
            _ => self.count_all(),
        }
    }

    /// Counts a message about IPsec, if it matters.
    fn count_ipsec(&mut self, kind: u16) {
        self.ipsec += u64::from(IPSEC.contains(&kind));
    }

    fn count_all(&mut self) {
        self.links += 1;
        self.addresses += 1;
        self.routes += 1;
        self.settings += 1;
        self.ipsec += 1;
    }
}
