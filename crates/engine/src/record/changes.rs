//! What has changed between two looks at the SAs of a tunnel.

use crate::{ChildSa, EventKind, IkeSa, TunnelStatus};

/// Daemons tell times as "so many seconds from now"; read twice, the same moment differs by a rounding.
const ROUNDING: i64 = 2_500_000;

/// Gives what was seen before the times that it had then, unless they are really others.
pub(super) fn steady(before: &TunnelStatus, ike: Option<&mut IkeSa>, children: &mut [ChildSa]) {
    if let (Some(old), Some(new)) = (&before.ike, ike)
        && is_same_ike(old, new)
    {
        keep(old.established_at, &mut new.established_at);
        keep_optional(old.rekey_at, &mut new.rekey_at);
    }
    for new in children {
        let Some(old) = before.children.iter().find(|old| old.spi_in == new.spi_in) else { continue };
        keep(old.installed_at, &mut new.installed_at);
        keep_optional(old.rekey_at, &mut new.rekey_at);
        keep_optional(old.expires_at, &mut new.expires_at);
    }
}

fn keep(old: i64, new: &mut i64) {
    if old.abs_diff(*new) <= ROUNDING.unsigned_abs() {
        *new = old;
    }
}

fn keep_optional(old: Option<i64>, new: &mut Option<i64>) {
    if let (Some(old), Some(new)) = (old, new) {
        keep(old, new);
    }
}

/// The events that lead from one to the other. A child SA that takes the place of another with the same selectors
/// is a rekey, and the old one's end is then nothing to tell.
pub(super) fn between(
    before: &TunnelStatus,
    ike: Option<&IkeSa>,
    children: &[ChildSa],
) -> Vec<(EventKind, String)> {
    let mut events = Vec::new();
    match (&before.ike, ike) {
        (None, Some(new)) => {
            events.push((
                EventKind::IkeUp,
                format!("IKE SA with {} established, {}", new.peer.ip(), new.suite),
            ));
        }
        (Some(old), Some(new)) if !is_same_ike(old, new) => {
            events.push((EventKind::Rekeyed, format!("IKE SA renewed, {}", new.suite)));
        }
        (Some(_), Some(_)) | (None, None) => {}
        (Some(old), None) => {
            events.push((EventKind::IkeDown, format!("IKE SA with {} is gone", old.peer.ip())));
        }
    }
    for new in children.iter().filter(|new| !before.children.iter().any(|old| old.spi_in == new.spi_in)) {
        let event = match before.children.iter().any(|old| has_same_selectors(old, new)) {
            true => (EventKind::Rekeyed, format!("child SA {} renewed, {}", selectors(new), new.suite)),
            false => (EventKind::ChildUp, format!("child SA {} installed, {}", selectors(new), new.suite)),
        };
        events.push(event);
    }
    for old in before.children.iter().filter(|old| !children.iter().any(|new| has_same_selectors(old, new))) {
        events.push((EventKind::ChildDown, format!("child SA {} is gone", selectors(old))));
    }
    events
}

fn is_same_ike(old: &IkeSa, new: &IkeSa) -> bool {
    old.initiator_spi == new.initiator_spi && old.responder_spi == new.responder_spi
}

fn has_same_selectors(one: &ChildSa, other: &ChildSa) -> bool {
    one.local_subnets == other.local_subnets && one.peer_subnets == other.peer_subnets
}

fn selectors(child: &ChildSa) -> String {
    let list = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("{} === {}", list(&child.local_subnets), list(&child.peer_subnets))
}
