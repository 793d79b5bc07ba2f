//! `GET /v2.0/vpn/ipsec-site-connections/{id}/status`: everything that is known about a connection.

use crate::answer::Answer;
use crate::dispatch::Session;
use crate::error::{Result, wrong_verb};
use crate::render::precise_time;
use crate::request::Request;
use http::Method;
use ipnet::IpNet;
use karez_control::ConnectionStatus;
use karez_engine::{ChildSa, Event, IkeSa, Reason, Traffic, TunnelStatus};
use serde_json::{Value as Json, json};

pub(crate) async fn show(session: &Session<'_>, request: &Request, id: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    let status = session.control.connection_status(&session.caller, id).await?;
    let mut shown = shown(&status);
    // On which machine the tunnel ends is for those who may see the machines.
    if session.control.check(&session.caller, "get_agent").is_ok() {
        shown["agent_host"] = json!(status.host);
    }
    Ok(Answer::ok(&json!({"connection_status": shown})))
}

fn shown(status: &ConnectionStatus) -> Json {
    let tunnel = status.tunnel.as_ref();
    let children = tunnel.map(|tunnel| tunnel.children.as_slice()).unwrap_or_default();
    let missing = tunnel.map(|tunnel| tunnel.missing.as_slice()).unwrap_or_default();
    json!({
        "id": status.connection.id(),
        "project_id": status.connection.project_id(),
        "tenant_id": status.connection.project_id(),
        "status": status.connection.text("status"),
        "status_reason": status.reason.as_ref().map(|reason| reason.code.as_str()),
        "status_detail": status.reason.as_ref().map(|reason| reason.message.as_str()),
        "reason": status.reason.as_ref().map(reason),
        "state": tunnel.map(|tunnel| tunnel.state),
        "since": time(tunnel.map(|tunnel| tunnel.since)),
        "reported_at": time(status.reported_at),
        "agent_alive": status.is_attended,
        "ike": tunnel.and_then(|tunnel| tunnel.ike.as_ref()).map(ike),
        "children": children.iter().map(child).collect::<Vec<_>>(),
        "missing": missing.iter().map(pair).collect::<Vec<_>>(),
        "traffic": total(children),
        "next_rekey": time(tunnel.and_then(next_rekey)),
        "events": status.events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn reason(reason: &Reason) -> Json {
    json!({"code": reason.code, "message": reason.message, "evidence": reason.evidence})
}

fn ike(sa: &IkeSa) -> Json {
    json!({
        "version": sa.version,
        "is_initiator": sa.is_initiator,
        "local": sa.local,
        "peer": sa.peer,
        "local_id": sa.local_id,
        "peer_id": sa.peer_id,
        "initiator_spi": sa.initiator_spi,
        "responder_spi": sa.responder_spi,
        "suite": sa.suite,
        "has_nat": sa.has_nat,
        "established_at": time(Some(sa.established_at)),
        "rekey_at": time(sa.rekey_at),
    })
}

fn child(sa: &ChildSa) -> Json {
    json!({
        "protocol": sa.protocol,
        "mode": sa.mode,
        "is_encapsulated": sa.is_encapsulated,
        "spi_in": sa.spi_in,
        "spi_out": sa.spi_out,
        "suite": sa.suite,
        "local_subnets": sa.local_subnets,
        "peer_subnets": sa.peer_subnets,
        "traffic": sa.traffic,
        "installed_at": time(Some(sa.installed_at)),
        "rekey_at": time(sa.rekey_at),
        "expires_at": time(sa.expires_at),
    })
}

fn pair((local, peer): &(IpNet, IpNet)) -> Json {
    json!({"local_subnet": local, "peer_subnet": peer})
}

fn event(event: &Event) -> Json {
    json!({
        "at": time(Some(event.at)),
        "kind": event.kind,
        "code": event.code,
        "message": event.message,
    })
}

/// Of the child SAs that there are now.
pub(crate) fn total(children: &[ChildSa]) -> Traffic {
    children.iter().fold(Traffic::default(), |sum, child| Traffic {
        bytes_in: sum.bytes_in.saturating_add(child.traffic.bytes_in),
        bytes_out: sum.bytes_out.saturating_add(child.traffic.bytes_out),
        packets_in: sum.packets_in.saturating_add(child.traffic.packets_in),
        packets_out: sum.packets_out.saturating_add(child.traffic.packets_out),
    })
}

fn next_rekey(tunnel: &TunnelStatus) -> Option<i64> {
    let of_ike = tunnel.ike.as_ref().and_then(|ike| ike.rekey_at);
    tunnel.children.iter().filter_map(|child| child.rekey_at).chain(of_ike).min()
}

fn time(micros: Option<i64>) -> Option<String> {
    micros.map(precise_time)
}

#[cfg(test)]
mod tests;
