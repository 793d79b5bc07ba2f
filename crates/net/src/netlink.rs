//! A conversation with the kernel about the links, addresses and routes of one namespace.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Handle, new_connection};
use tokio::task::AbortHandle;

use crate::{Error, Namespace};

/// The kernel says that the table changed while it was being read: `NLM_F_DUMP_INTR` of `linux/netlink.h`.
const INTERRUPTED: u16 = 0x10;

/// How often a table that keeps changing is read before what came last is taken for good.
const READINGS: usize = 5;

/// An rtnetlink socket inside a namespace. Cloning is cheap; the socket closes with the last clone.
///
/// Every `ensure_…` looks first, changes only what differs, and says whether it changed anything.
///
/// An open one costs a task, a descriptor and a buffer of 64 KiB. Opening takes well under a millisecond, so that an
/// owner of many namespaces may open one when there is something to do.
#[derive(Debug, Clone)]
pub struct Netlink {
    namespace: Namespace,
    handle: Handle,
    _driver: Arc<Driver>,
}

impl Netlink {
    /// Opens a socket inside the namespace and drives it on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] and [`Error::System`] when the namespace cannot be entered or the socket not be opened.
    pub async fn open(namespace: &Namespace) -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::current();
        let opened = namespace.run_async(move || {
            let _runtime = runtime.enter();
            new_connection()
        });
        let (mut connection, handle, _unasked) =
            opened.await?.map_err(|source| Error::system(namespace, "open a netlink socket", source))?;
        // Without these a connection that breaks cannot be told from an answer that is complete.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        let driver = Driver(tokio::spawn(connection).abort_handle());
        Ok(Self { namespace: namespace.clone(), handle, _driver: Arc::new(driver) })
    }

    /// The namespace that it is about.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Reads a whole table, again when it changed meanwhile.
    pub(crate) async fn dump(
        &self,
        request: RouteNetlinkMessage,
        operation: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut answers = Vec::new();
        for _ in 0..READINGS {
            let consistent;
            (answers, consistent) = self
                .send(request.clone(), NLM_F_DUMP)
                .await
                .map_err(|source| self.failed(operation, source))?;
            if consistent {
                break;
            }
        }
        Ok(answers)
    }

    /// Asks about one object.
    pub(crate) async fn ask(&self, request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.send(request, NLM_F_ACK).await.map(|(answers, _)| answers)
    }

    /// Changes something; `flags` are `NLM_F_CREATE` and its like.
    pub(crate) async fn change(&self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.send(request, NLM_F_ACK | flags).await.map(drop)
    }

    pub(crate) fn failed(&self, operation: impl Into<String>, source: io::Error) -> Error {
        Error::system(&self.namespace, operation, source)
    }

    /// The answers, and whether they belong together.
    async fn send(
        &self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<(Vec<RouteNetlinkMessage>, bool)> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | flags;
        let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "the netlink socket was closed");
        let mut responses = self.handle.clone().request(message).map_err(|_| ended())?;
        let (mut answers, mut consistent) = (Vec::new(), true);
        while let Some(response) = responses.next().await {
            consistent &= response.header.flags & INTERRUPTED == 0;
            match response.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Done(_) => return Ok((answers, consistent)),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok((answers, consistent)),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                other => tracing::debug!(kind = other.message_type(), "netlink message passed over"),
            }
        }
        Err(ended())
    }
}

/// Ends the task that drives the socket, and the socket with it.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
