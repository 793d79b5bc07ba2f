//! Any plan, any report.

use crate::{Desired, Held, Hello, Shape};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use karez_engine::{
    ChildPlan, ChildSa, Code, ConnectionId, Dpd, DpdAction, Encryption, Event, EventKind, External, Floating,
    GatewayPlan, Group, Identity, IkeMode, IkePlan, IkeSa, IkeVersion, Initiator, Integrity, Internal,
    IpsecMode, IpsecProtocol, Peer, Reason, RouterId, RouterPlan, RouterReport, ServiceId, ServicePlan,
    StaticRoute, Traffic, TunnelPlan, TunnelReport, TunnelState, TunnelStatus,
};
use karez_model::Secret;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// Something with a key in it, which proptest would want to print.
#[derive(Clone)]
pub(super) struct Quiet<T>(pub T);

impl<T> fmt::Debug for Quiet<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("something with a key in it")
    }
}

pub(super) fn desired() -> impl Strategy<Value = Quiet<Desired>> {
    (any::<i64>(), any::<bool>(), vec(router_plan(), 0..3), found()).prop_map(
        |(revision, is_whole, routers, gone)| {
            Quiet(Desired {
                revision,
                is_whole,
                routers: routers.into_iter().map(|one| one.0).collect(),
                gone,
            })
        },
    )
}

pub(super) fn router_plan() -> impl Strategy<Value = Quiet<RouterPlan>> {
    let service = (id(), any::<bool>()).prop_map(|(id, is_up)| ServicePlan { id: ServiceId(id), is_up });
    (id(), any::<i64>(), any::<i64>(), gateway(), vec(service, 0..3), vec(tunnel_plan(), 0..4)).prop_map(
        |(id, generation, revision, gateway, services, tunnels)| {
            let tunnels = tunnels.into_iter().map(|tunnel| tunnel.0).collect();
            Quiet(RouterPlan { id: RouterId(id), generation, revision, gateway, services, tunnels })
        },
    )
}

fn gateway() -> impl Strategy<Value = GatewayPlan> {
    let external = (id(), id(), text(), any::<u32>(), networks(), vec(address(), 0..3), any::<bool>())
        .prop_map(|(port, network, mac, mtu, addresses, next_hops, has_snat)| External {
            port,
            network,
            mac,
            mtu,
            addresses,
            next_hops,
            has_snat,
        });
    let internal = (id(), id(), text(), any::<u32>(), networks())
        .prop_map(|(port, network, mac, mtu, addresses)| Internal { port, network, mac, mtu, addresses });
    let route =
        (network(), address()).prop_map(|(destination, next_hop)| StaticRoute { destination, next_hop });
    let floating = (address(), address()).prop_map(|(external, internal)| Floating { external, internal });
    (any::<bool>(), option::of(external), vec(internal, 0..3), vec(route, 0..3), vec(floating, 0..3))
        .prop_map(|(is_up, external, internal, routes, floating)| GatewayPlan {
            is_up,
            external,
            internal,
            routes,
            floating,
        })
}

fn tunnel_plan() -> impl Strategy<Value = Quiet<TunnelPlan>> {
    let peer = prop_oneof![address().prop_map(Peer::Address), text().prop_map(Peer::Host)];
    let initiator = select(vec![Initiator::BiDirectional, Initiator::ResponseOnly]);
    let who = (id(), id(), any::<bool>(), address(), peer, identity(), identity(), text());
    let how = (initiator, ike_plan(), child_plan(), dpd(), any::<u32>(), networks(), networks());
    (who, how).prop_map(
        |(
            (id, service, is_up, local, peer, local_id, peer_id, psk),
            (initiator, ike, child, dpd, mtu, l, p),
        )| {
            Quiet(TunnelPlan {
                id: ConnectionId(id),
                service: ServiceId(service),
                is_up,
                local,
                peer,
                local_id,
                peer_id,
                psk: Secret::new(psk),
                initiator,
                ike,
                child,
                dpd,
                mtu,
                local_subnets: l,
                peer_subnets: p,
            })
        },
    )
}

fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        address().prop_map(Identity::Address),
        text().prop_map(Identity::Fqdn),
        text().prop_map(Identity::Email),
        vec(any::<u8>(), 0..9).prop_map(Identity::KeyId),
    ]
}

fn ike_plan() -> impl Strategy<Value = IkePlan> {
    let version =
        select(vec![IkeVersion::V1(IkeMode::Main), IkeVersion::V1(IkeMode::Aggressive), IkeVersion::V2]);
    (version, encryption(), integrity(), group(), any::<u32>()).prop_map(
        |(version, encryption, integrity, group, lifetime)| IkePlan {
            version,
            encryption,
            integrity,
            group,
            lifetime,
        },
    )
}

fn child_plan() -> impl Strategy<Value = ChildPlan> {
    let protocol = select(vec![IpsecProtocol::Esp, IpsecProtocol::Ah]);
    let mode = select(vec![IpsecMode::Tunnel, IpsecMode::Transport]);
    (protocol, mode, encryption(), integrity(), group(), any::<u32>()).prop_map(
        |(protocol, mode, encryption, integrity, group, lifetime)| ChildPlan {
            protocol,
            mode,
            encryption,
            integrity,
            group,
            lifetime,
        },
    )
}

fn dpd() -> impl Strategy<Value = Dpd> {
    use DpdAction::{Clear, Disabled, Hold, Restart, RestartByPeer};
    let action = select(vec![Hold, Clear, Restart, Disabled, RestartByPeer]);
    (action, any::<u32>(), any::<u32>()).prop_map(|(action, interval, timeout)| Dpd {
        action,
        interval,
        timeout,
    })
}

fn encryption() -> impl Strategy<Value = Encryption> {
    let bits = || select(vec![128, 192, 256]);
    let octets = || select(vec![8, 12, 16]);
    prop_oneof![
        Just(Encryption::TripleDes),
        bits().prop_map(Encryption::AesCbc),
        bits().prop_map(Encryption::AesCtr),
        (bits(), octets()).prop_map(|(key, icv)| Encryption::AesCcm { key, icv }),
        (bits(), octets()).prop_map(|(key, icv)| Encryption::AesGcm { key, icv }),
    ]
}

fn integrity() -> impl Strategy<Value = Integrity> {
    use Integrity::{AesCmac, AesXcbc, Sha1, Sha256, Sha384, Sha512};
    select(vec![Sha1, Sha256, Sha384, Sha512, AesXcbc, AesCmac])
}

fn group() -> impl Strategy<Value = Group> {
    let numbers = [2, 5].into_iter().chain(14..=31);
    let groups: Vec<Group> = numbers.map(|n| format!("group{n}").parse().expect("a group")).collect();
    select(groups)
}

pub(super) fn hello() -> impl Strategy<Value = Hello> {
    let shape = select(vec![Shape::Managed, Shape::Attached, Shape::Host]);
    let optional = (option::of(text()), option::of(any::<i64>()), option::of(any::<i64>()), any::<bool>());
    (text(), id(), text(), text(), optional, shape, found()).prop_map(
        |(host, session, version, engine, (zone, applied, told_in, gives_way), shape, found)| Hello {
            host,
            session,
            version,
            engine,
            zone,
            shape,
            found,
            applied,
            held: Vec::new(),
            gives_way,
            told_in,
        },
    )
}

pub(super) fn held() -> impl Strategy<Value = Held> {
    (id(), any::<i64>(), any::<i64>()).prop_map(|(router, generation, revision)| Held {
        router: RouterId(router),
        generation,
        revision,
    })
}

pub(super) fn found() -> impl Strategy<Value = Vec<RouterId>> {
    vec(id().prop_map(RouterId), 0..4)
}

pub(super) fn router_report() -> impl Strategy<Value = RouterReport> {
    (id(), any::<i64>(), option::of(reason())).prop_map(|(router, generation, trouble)| RouterReport {
        router: RouterId(router),
        generation,
        trouble,
    })
}

pub(super) fn tunnel_report() -> impl Strategy<Value = TunnelReport> {
    (id(), status(), vec(event(), 0..4)).prop_map(|(router, status, events)| TunnelReport {
        router: RouterId(router),
        status,
        events,
    })
}

fn status() -> impl Strategy<Value = TunnelStatus> {
    use TunnelState::{Down, Error, Pending, Up};
    let state = select(vec![Pending, Up, Down, Error]);
    let missing = vec((network(), network()), 0..3);
    (id(), state, option::of(reason()), any::<i64>(), option::of(ike_sa()), vec(child_sa(), 0..3), missing)
        .prop_map(|(id, state, reason, since, ike, children, missing)| TunnelStatus {
            id: ConnectionId(id),
            state,
            reason,
            since,
            ike,
            children,
            missing,
        })
}

fn ike_sa() -> impl Strategy<Value = IkeSa> {
    let flags = (1..=2_u8, any::<bool>(), any::<bool>());
    let times = (any::<i64>(), option::of(any::<i64>()));
    (flags, socket(), socket(), vec(text(), 5..6), times).prop_map(
        |((version, is_initiator, has_nat), local, peer, texts, (established_at, rekey_at))| {
            let [local_id, peer_id, initiator_spi, responder_spi, suite] =
                texts.try_into().expect("five texts");
            IkeSa {
                version,
                is_initiator,
                local,
                peer,
                local_id,
                peer_id,
                initiator_spi,
                responder_spi,
                suite,
                has_nat,
                established_at,
                rekey_at,
            }
        },
    )
}

fn child_sa() -> impl Strategy<Value = ChildSa> {
    let traffic = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(bytes_in, bytes_out, packets_in, packets_out)| Traffic {
            bytes_in,
            bytes_out,
            packets_in,
            packets_out,
        },
    );
    let times = (any::<i64>(), option::of(any::<i64>()), option::of(any::<i64>()));
    (vec(text(), 5..6), any::<bool>(), networks(), networks(), traffic, times).prop_map(
        |(texts, is_encapsulated, local_subnets, peer_subnets, traffic, times)| {
            let [protocol, mode, spi_in, spi_out, suite] = texts.try_into().expect("five texts");
            let (installed_at, rekey_at, expires_at) = times;
            ChildSa {
                protocol,
                mode,
                is_encapsulated,
                spi_in,
                spi_out,
                suite,
                local_subnets,
                peer_subnets,
                traffic,
                installed_at,
                rekey_at,
                expires_at,
            }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    use EventKind::{
        Attempt, ChildDown, ChildUp, Configured, Engine, IkeDown, IkeUp, Refused, Rekeyed, Retransmit, State,
    };
    let kind = select(vec![
        Configured, State, Attempt, Refused, Retransmit, IkeUp, IkeDown, ChildUp, ChildDown, Rekeyed, Engine,
    ]);
    (any::<i64>(), kind, option::of(select(Code::ALL)), text()).prop_map(|(at, kind, code, message)| Event {
        at,
        kind,
        code,
        message,
    })
}

fn reason() -> impl Strategy<Value = Reason> {
    let evidence = vec((text(), text(), any::<i64>()), 0..3).prop_map(|items| {
        let entry = |(name, said, number)| (name, json!({ "said": said, "numbers": [number, null, true] }));
        items.into_iter().map(entry).collect::<Map<_, _>>()
    });
    (select(Code::ALL), text(), evidence).prop_map(|(code, message, evidence)| Reason {
        code,
        message,
        evidence,
    })
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    (address(), any::<u16>()).prop_map(SocketAddr::from)
}

fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    vec(network(), 0..3)
}

fn network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8)
            .prop_map(|(octets, length)| Ipv4Net::new(octets.into(), length).expect("a network").into()),
        (any::<[u8; 16]>(), 0..=128_u8)
            .prop_map(|(octets, length)| Ipv6Net::new(octets.into(), length).expect("a network").into()),
    ]
}
