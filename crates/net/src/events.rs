//! Word from the kernel that something about a namespace's network changed.
//!
//! It says that, and roughly what, never how: whoever is woken looks at what is there. Many changes in a row are one
//! word, so a listener that is slow costs no memory and misses nothing.

use futures_util::StreamExt;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::{Error, Namespace};

/// A subscription to the changes of one namespace. It ends when it is dropped.
#[derive(Debug)]
pub struct Events {
    changes: watch::Receiver<Changes>,
    seen: Changes,
    tasks: [AbortHandle; 2],
}

/// What changed since the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// A link came, went, or became different.
    pub links: bool,
    /// An address came or went.
    pub addresses: bool,
    /// A route came or went.
    pub routes: bool,
}

/// How often each was heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Changes {
    links: u64,
    addresses: u64,
    routes: u64,
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
            new_multicast_connection(&[
                MulticastGroup::Link,
                MulticastGroup::Ipv4Ifaddr,
                MulticastGroup::Ipv6Ifaddr,
                MulticastGroup::Ipv4Route,
                MulticastGroup::Ipv6Route,
            ])
        });
        let (connection, _handle, mut messages) =
            opened.await?.map_err(|source| Error::system(namespace, "listen to netlink", source))?;
        let (sender, changes) = watch::channel(Changes::default());
        let driver = tokio::spawn(connection).abort_handle();
        let counter = tokio::spawn(async move {
            while let Some((message, _)) = messages.next().await {
                sender.send_modify(|changes| changes.count(&message));
            }
        });
        Ok(Self { changes, seen: Changes::default(), tasks: [driver, counter.abort_handle()] })
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
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Changes {
    fn count(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) {
        use RouteNetlinkMessage as Message;
        let (links, addresses, routes) = match &message.payload {
            NetlinkPayload::InnerMessage(Message::NewLink(_) | Message::DelLink(_)) => (1, 0, 0),
            NetlinkPayload::InnerMessage(Message::NewAddress(_) | Message::DelAddress(_)) => (0, 1, 0),
            NetlinkPayload::InnerMessage(Message::NewRoute(_) | Message::DelRoute(_)) => (0, 0, 1),
            // More was said than the socket could hold: anything may have changed.
            _ => (1, 1, 1),
        };
        self.links += links;
        self.addresses += addresses;
        self.routes += routes;
    }
}
