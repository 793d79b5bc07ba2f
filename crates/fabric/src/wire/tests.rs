//! Whatever can be planned or reported goes over the wire and comes back the same; whatever else
//! comes over the wire is refused by name.

mod any;

use super::{WireError, v1};
use crate::{FromAgent, ToAgent};
use any::{Quiet, desired, found, held, hello, router_plan, router_report, tunnel_report};
use karez_engine::RouterPlan;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

/// Over the wire, as bytes.
fn sent<W: Message + Default>(message: impl Into<W>) -> W {
    let bytes = message.into().encode_to_vec();
    W::decode(bytes.as_slice()).expect("what is encoded can be decoded")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plans_come_over_as_they_are(Quiet(plan) in router_plan()) {
        let again = RouterPlan::try_from(sent::<v1::RouterPlan>(plan.clone()));
        prop_assert!(again.is_ok_and(|again| again == plan));
    }

    #[test]
    fn desired_states_come_over_as_they_are(Quiet(given) in desired()) {
        let again = ToAgent::try_from(sent::<v1::ToAgent>(ToAgent::Desired(given.clone())));
        let Ok(ToAgent::Desired(again)) = again else { panic!("it is none any more") };
        prop_assert_eq!((again.revision, again.is_whole), (given.revision, given.is_whole));
        prop_assert_eq!(again.gone, given.gone);
        prop_assert!(again.routers == given.routers);
    }

    #[test]
    fn hellos_come_over_as_they_are(given in hello(), more in vec(held(), 0..4), routers in found()) {
        let hello = crate::Hello { held: more, ..given };
        let again = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Hello(hello.clone())));
        prop_assert!(matches!(again, Ok(FromAgent::Hello(again)) if again == hello));
        let again = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Found(routers.clone())));
        prop_assert!(matches!(again, Ok(FromAgent::Found(again)) if again == routers));
    }

    #[test]
    fn reports_come_over_as_they_are(
        tunnels in vec((any::<i64>(), tunnel_report()), 0..4),
        routers in vec(router_report(), 0..4),
    ) {
        let again = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Tunnels(tunnels.clone())));
        prop_assert!(matches!(again, Ok(FromAgent::Tunnels(again)) if again == tunnels));
        let again = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Routers(routers.clone())));
        prop_assert!(matches!(again, Ok(FromAgent::Routers(again)) if again == routers));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..256)) {
        if let Ok(message) = v1::FromAgent::decode(bytes.as_slice()) {
            drop(FromAgent::try_from(message));
        }
        if let Ok(message) = v1::ToAgent::decode(bytes.as_slice()) {
            drop(ToAgent::try_from(message));
        }
    }

    #[test]
    fn a_plan_with_a_flipped_bit_does_not_make_it_panic(
        Quiet(plan) in router_plan(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = v1::RouterPlan::from(plan).encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(message) = v1::RouterPlan::decode(bytes.as_slice()) {
            drop(RouterPlan::try_from(message));
        }
    }
}

#[test]
fn the_rest_of_the_vocabulary_comes_over() {
    let heartbeat = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Heartbeat));
    assert!(matches!(heartbeat, Ok(FromAgent::Heartbeat)));
    let applied = FromAgent::try_from(sent::<v1::FromAgent>(FromAgent::Applied { revision: -7 }));
    assert!(matches!(applied, Ok(FromAgent::Applied { revision: -7 })));
    let renewed = ToAgent::try_from(sent::<v1::ToAgent>(ToAgent::Renewed { taken: 7 }));
    assert!(matches!(renewed, Ok(ToAgent::Renewed { taken: 7 })));
    let replaced = ToAgent::try_from(sent::<v1::ToAgent>(ToAgent::Replaced));
    assert!(matches!(replaced, Ok(ToAgent::Replaced)));
    let welcome = crate::Welcome {
        node: uuid::Uuid::from_u128(7),
        epoch: 3,
        lease: std::time::Duration::from_millis(15_001),
        counts: true,
    };
    let again = ToAgent::try_from(sent::<v1::ToAgent>(ToAgent::Welcome(welcome.clone())));
    assert!(matches!(again, Ok(ToAgent::Welcome(again)) if again == welcome));
}

#[test]
fn what_is_amiss_is_named() {
    let expect = |message: v1::to_agent::Message, field: &str, why: &str| {
        let refused = ToAgent::try_from(v1::ToAgent { message: Some(message) });
        assert_eq!(refused.err(), Some(WireError::new(field, why)));
    };
    let router = || v1::RouterPlan {
        id: vec![1; 16],
        gateway: Some(v1::GatewayPlan::default()),
        ..v1::RouterPlan::default()
    };
    let desired = |router| {
        let routers = vec![self::router_of(1), router];
        v1::to_agent::Message::Desired(v1::Desired { routers, ..v1::Desired::default() })
    };
    expect(
        desired(v1::RouterPlan { id: vec![1; 15], ..router() }),
        "desired.routers[1].id",
        "15 bytes are no id",
    );
    expect(desired(v1::RouterPlan { gateway: None, ..router() }), "desired.routers[1].gateway", "is missing");
    let route = v1::StaticRoute { destination: "10.0.0.0/33".into(), next_hop: "10.0.0.1".into() };
    let gateway = Some(v1::GatewayPlan { routes: vec![route], ..v1::GatewayPlan::default() });
    expect(
        desired(v1::RouterPlan { gateway, ..router() }),
        "desired.routers[1].gateway.routes[0].destination",
        "invalid IP address syntax",
    );
    assert_eq!(
        ToAgent::try_from(v1::ToAgent { message: None }).err(),
        Some(WireError::new("message", "is missing"))
    );
    let hello = v1::Hello { session: vec![0; 16], shape: 9, ..v1::Hello::default() };
    let hello = v1::FromAgent { message: Some(v1::from_agent::Message::Hello(hello)) };
    assert_eq!(FromAgent::try_from(hello).err(), Some(WireError::new("hello.shape", "there is no 9")));
}

fn router_of(byte: u8) -> v1::RouterPlan {
    v1::RouterPlan {
        id: vec![byte; 16],
        gateway: Some(v1::GatewayPlan::default()),
        ..v1::RouterPlan::default()
    }
}
