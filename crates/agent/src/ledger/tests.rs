use super::*;
use karez_engine::{Code, Event, EventKind, Reason, TunnelState, TunnelStatus};
use uuid::Uuid;

/// The one tunnel of one router.
struct Bench {
    ledger: Ledger,
    router: RouterId,
    id: ConnectionId,
}

impl Bench {
    fn new() -> Self {
        let (router, id) = (RouterId(Uuid::from_u128(1)), ConnectionId(Uuid::from_u128(2)));
        Self { ledger: Ledger::default(), router, id }
    }

    fn reports(&mut self, state: TunnelState, reason: Option<Code>, events: &[i64]) {
        let event = |at: &i64| Event { at: *at, kind: EventKind::State, code: None, message: String::new() };
        let status = TunnelStatus {
            id: self.id,
            state,
            reason: reason.map(|code| Reason::new(code, "said by the engine")),
            since: 1,
            ike: None,
            children: Vec::new(),
            missing: Vec::new(),
        };
        let events = events.iter().map(event).collect();
        self.ledger.tunnel(TunnelReport { router: self.router, status, events });
    }

    fn severed(&mut self, trouble: Option<&str>, at: i64) {
        let severed = trouble.map(|trouble| (self.id, trouble.to_owned())).into_iter().collect();
        self.ledger.sever(self.router, &severed, &[self.id].into(), at);
    }

    /// The state, the reason and the times of the events of the one report that there is to hand over.
    fn told(&mut self) -> Option<(TunnelState, Option<Code>, Vec<i64>)> {
        let (_, report) = self.ledger.take_tunnels(10, |_| Some(1)).pop()?;
        let code = report.status.reason.map(|reason| reason.code);
        Some((report.status.state, code, report.events.iter().map(|event| event.at).collect()))
    }
}

#[test]
fn a_severed_tunnel_is_down_whatever_the_engine_counts_and_up_again_when_it_is_not() {
    let mut bench = Bench::new();
    bench.reports(TunnelState::Up, None, &[]);
    assert_eq!(bench.told(), Some((TunnelState::Up, None, vec![])));

    bench.severed(Some("the bridge is down"), 10);
    assert_eq!(bench.told(), Some((TunnelState::Down, Some(Code::LocalError), vec![10])));
    bench.reports(TunnelState::Up, None, &[11]);
    assert_eq!(bench.told(), Some((TunnelState::Down, Some(Code::LocalError), vec![11])));
    bench.severed(Some("the bridge is down"), 12);
    assert_eq!(bench.told(), None, "the same again is no news");

    bench.severed(None, 13);
    let (_, report) = bench.ledger.take_tunnels(10, |_| Some(1)).pop().expect("news");
    assert_eq!((report.status.state, report.status.reason), (TunnelState::Up, None));
    assert_eq!((report.status.since, report.events[0].at), (13, 13), "it was down in between");
}

#[test]
fn what_cannot_work_or_is_switched_off_is_so_in_any_case() {
    for (state, code) in
        [(TunnelState::Error, Code::AuthenticationFailed), (TunnelState::Down, Code::AdminDown)]
    {
        let mut bench = Bench::new();
        bench.severed(Some("the bridge is down"), 10);
        bench.reports(state, Some(code), &[]);
        assert_eq!(bench.told(), Some((state, Some(code), vec![10])));
    }
}

#[test]
fn a_tunnel_that_the_engine_has_not_spoken_of_is_told_of_while_it_is_severed() {
    let mut bench = Bench::new();
    bench.severed(Some("the bridge is down"), 10);
    assert_eq!(bench.told(), Some((TunnelState::Down, Some(Code::LocalError), vec![10])));
    bench.severed(None, 11);
    assert_eq!(bench.told(), None, "nothing is known of it");
    bench.reports(TunnelState::Up, None, &[]);
    assert_eq!(bench.told(), Some((TunnelState::Up, None, vec![11])));
}

#[test]
fn events_are_told_again_in_the_next_session_unless_they_are_known_to_have_been_taken() {
    let mut bench = Bench::new();
    bench.reports(TunnelState::Down, None, &[1]);
    bench.told();
    bench.reports(TunnelState::Down, None, &[2]);
    assert_eq!(bench.told().expect("news").2, [2], "each once a session");
    bench.ledger.taken(1);

    bench.ledger.tell_all();
    assert_eq!(bench.told().expect("news").2, [2], "it may have been lost");
    bench.ledger.taken(1);
    bench.ledger.tell_all();
    assert_eq!(bench.told().expect("news").2, [0; 0]);
}
