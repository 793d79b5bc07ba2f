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
        self.reports_since(1, state, reason, events);
    }

    fn reports_since(&mut self, since: i64, state: TunnelState, reason: Option<Code>, events: &[i64]) {
        let event = |at: &i64| Event { at: *at, kind: EventKind::State, code: None, message: String::new() };
        let status = TunnelStatus {
            id: self.id,
            state,
            reason: reason.map(|code| Reason::new(code, "said by the engine")),
            since,
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

    /// The state that is told, and since when it is so.
    fn since(&mut self) -> (TunnelState, i64) {
        let (_, report) = self.ledger.take_tunnels(10, |_| Some(1)).pop().expect("news");
        (report.status.state, report.status.since)
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
fn a_tunnel_is_in_its_state_since_that_became_another_than_before() {
    use TunnelState::{Down, Error, Up};
    let mut bench = Bench::new();
    bench.reports_since(1, Down, Some(Code::PeerUnreachable), &[]);
    for trouble in [Some("the bridge is down"), Some("the bridge is not there"), None] {
        bench.severed(trouble, 10);
        assert_eq!(bench.since(), (Down, 1), "it was never up");
    }
    bench.reports_since(20, Up, None, &[]);
    assert_eq!(bench.since(), (Up, 20));
    bench.severed(Some("the bridge is down"), 30);
    assert_eq!(bench.since(), (Down, 30));
    bench.reports_since(32, Down, Some(Code::PeerUnreachable), &[]);
    assert_eq!(bench.since(), (Down, 30), "the daemon needs longer to see it");
    bench.severed(None, 40);
    assert_eq!(bench.since(), (Down, 30));
    bench.reports_since(50, Up, None, &[]);
    assert_eq!(bench.since(), (Up, 50));
    bench.reports_since(60, Up, None, &[]);
    assert_eq!(bench.since(), (Up, 60), "it was down for a moment");

    bench.reports_since(70, Error, Some(Code::AuthenticationFailed), &[]);
    bench.severed(Some("the bridge is down"), 80);
    assert_eq!(bench.since(), (Error, 70));
    bench.severed(None, 90);
    assert_eq!(bench.since(), (Error, 70));

    let mut bench = Bench::new();
    bench.severed(Some("the bridge is down"), 10);
    assert_eq!(bench.since(), (Down, 10));
    bench.reports_since(1, Down, Some(Code::PeerUnreachable), &[]);
    assert_eq!(bench.since(), (Down, 1), "the agent is new, the trouble is not");
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

#[test]
fn events_that_were_told_of_another_generation_are_told_again() {
    let mut bench = Bench::new();
    bench.reports(TunnelState::Down, None, &[1]);
    bench.told();
    bench.ledger.tell_again(bench.router);
    bench.ledger.taken(1);
    assert_eq!(bench.told().expect("news").2, [1], "they were passed over and counted all the same");
    bench.ledger.taken(2);
    bench.ledger.tell_again(bench.router);
    assert_eq!(bench.told().expect("news").2, [0; 0]);
}

#[test]
fn a_control_plane_that_does_not_say_what_it_has_taken_is_told_each_event_once() {
    let mut bench = Bench::new();
    bench.reports(TunnelState::Down, None, &[1]);
    assert_eq!(bench.told().expect("news").2, [1], "before it is known what it is like");
    bench.ledger.forget_told();
    bench.reports(TunnelState::Down, None, &[2]);
    assert_eq!(bench.told().expect("news").2, [2]);

    bench.ledger.tell_all();
    assert_eq!(bench.told().expect("news").2, [0; 0]);
    bench.reports(TunnelState::Down, None, &[3]);
    bench.told();
    bench.ledger.tell_all();
    assert_eq!(bench.told().expect("news").2, [3], "the next one may say it");
}
