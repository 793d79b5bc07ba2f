//! What agents made for a scene's clouds: namespaces that a link leads to from one of the scene's own, and the processes
//! of routers.

use crate::process::{self, Identity};
use karez_net::Namespace;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::nsid::{NsidAttribute, NsidMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

/// How agents name the namespaces of routers that they make.
const PREFIX: &str = "karez-";

pub(super) fn of_router(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The router that a namespace is of.
pub(super) fn router_of(namespace: &str) -> Option<&str> {
    namespace.strip_prefix(PREFIX)
}

/// The processes that were started for a router. They are known by their `/run`, which is the router's directory, so
/// that they are found when the namespace has no name any more.
pub(crate) fn processes_of(router: &str) -> Vec<Identity> {
    let own_run = format!("/{router}/run /run ");
    let has_it = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|mounts| mounts.contains(&own_run))
    };
    process::all().filter(has_it).filter_map(Identity::of).collect()
}

/// The routers' namespaces that these namespaces are joined with.
pub(super) fn of(own: &[String]) -> Vec<String> {
    let open = |names: Vec<String>| names.into_iter().filter_map(|name| Namespace::open(&name).ok());
    let own: Vec<Namespace> = open(own.to_vec()).collect();
    let routers = Namespace::list().unwrap_or_default().into_iter().filter(|name| name.starts_with(PREFIX));
    open(routers.collect())
        .filter(|router| own.iter().any(|own| is_joined(own, router).unwrap_or(false)))
        .map(|router| router.name().to_owned())
        .collect()
}

/// The routers' namespaces that this one is joined with.
pub(crate) fn joined_with(own: &str) -> Vec<String> {
    of(&[own.to_owned()])
}

/// Whether a namespace has a number for another one, which the kernel gives when a link leads there: `RTM_GETNSID`.
fn is_joined(own: &Namespace, other: &Namespace) -> Option<bool> {
    let mut question = NsidMessage::default();
    question.attributes.push(NsidAttribute::Fd(u32::try_from(other.as_fd().as_raw_fd()).ok()?));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetNsId(question));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let answer = own.run(|| {
        let socket = Socket::new(NETLINK_ROUTE)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&bytes, 0)?;
        socket.recv_from_full().map(|(answer, _)| answer)
    });
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer.ok()?.ok()?).ok()?;
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(answer)) = answer.payload else {
        return None;
    };
    // The kernel's word for "has none" is -1.
    Some(answer.attributes.iter().any(|attribute| matches!(attribute, NsidAttribute::Id(0..))))
}
