//! One end: an engine with what it reports.

use super::{BOUND, Lab, tunnel};
use karez_engine::{
    Code, ConnectionId, Datapath, Engine, Event, IkeVersion, Initiator, Place, RouterId, TunnelPlan,
    TunnelReport, TunnelState, TunnelStatus,
};
use karez_strongswan::{Options, Strongswan};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub struct Site {
    pub engine: Option<Strongswan>,
    pub router: RouterId,
    pub state: PathBuf,
    pub namespace: String,
    datapath: Datapath,
    reports: mpsc::Receiver<TunnelReport>,
    statuses: BTreeMap<ConnectionId, TunnelStatus>,
    pub events: Vec<(ConnectionId, Event)>,
}

impl Site {
    pub fn new(state: PathBuf, namespace: String, router: RouterId, datapath: Datapath) -> Self {
        let (engine, reports) = engine(&state, datapath);
        Self {
            engine: Some(engine),
            router,
            state,
            namespace,
            datapath,
            reports,
            statuses: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    pub fn place(&self) -> Place {
        Place { namespace: Some(self.namespace.clone()) }
    }

    pub async fn apply(&self, tunnels: &[TunnelPlan]) {
        let engine = self.engine.as_ref().unwrap();
        engine.apply(self.router, &self.place(), tunnels).await.unwrap();
    }

    /// Drops the engine and makes a new one, as when the agent is restarted.
    pub fn restart(&mut self) {
        drop(self.engine.take());
        let (engine, reports) = engine(&self.state, self.datapath);
        self.engine = Some(engine);
        self.reports = reports;
        self.statuses.clear();
        self.events.clear();
    }

    /// Waits until the status of a tunnel is as wanted, and gives it.
    pub async fn wait(
        &mut self,
        id: ConnectionId,
        what: &str,
        wanted: impl Fn(&TunnelStatus) -> bool,
    ) -> TunnelStatus {
        let waiting = async {
            loop {
                if let Some(status) = self.statuses.get(&id).filter(|status| wanted(status)) {
                    return status.clone();
                }
                let report = self.reports.recv().await.expect("the engine goes on");
                self.take(report);
            }
        };
        match timeout(BOUND, waiting).await {
            Ok(status) => status,
            Err(_) => panic!(
                "{what} did not come at {}; the status is {:#?}; what happened: {}",
                self.namespace,
                self.statuses.get(&id),
                self.story()
            ),
        }
    }

    pub async fn wait_up(&mut self, id: ConnectionId) -> TunnelStatus {
        self.wait(id, "up", |status| status.state == TunnelState::Up && status.missing.is_empty()).await
    }

    pub async fn wait_code(&mut self, id: ConnectionId, state: TunnelState, code: Code) -> TunnelStatus {
        self.wait(id, &format!("{state:?} with {code}"), |status| {
            status.state == state && status.reason.as_ref().is_some_and(|reason| reason.code == code)
        })
        .await
    }

    /// The last status that was reported, after all reports that have come.
    pub fn status(&mut self, id: ConnectionId) -> TunnelStatus {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
        self.statuses.get(&id).expect("a report about this tunnel has come").clone()
    }

    pub fn story(&self) -> String {
        let line = |(_, event): &(ConnectionId, Event)| {
            format!("\n  {} {:?} {}", event.at, event.kind, event.message)
        };
        self.events.iter().map(line).collect()
    }

    fn take(&mut self, report: TunnelReport) {
        assert_eq!(report.router, self.router);
        let id = report.status.id;
        self.events.extend(report.events.into_iter().map(|event| (id, event)));
        self.statuses.insert(id, report.status);
    }
}

/// Both ends with a tunnel between them, up, which both begin.
pub async fn pair(lab: &Lab) -> (Site, Site, TunnelPlan, TunnelPlan) {
    pair_with(lab, Initiator::BiDirectional).await
}

/// The same, with `b` as told. Of two IKE SAs that both have begun one ends after seconds.
pub async fn pair_with(lab: &Lab, at_b: Initiator) -> (Site, Site, TunnelPlan, TunnelPlan) {
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (of_a, mut of_b) = (tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2));
    of_b.initiator = at_b;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    a.wait_up(of_a.id).await;
    b.wait_up(of_b.id).await;
    (a, b, of_a, of_b)
}

fn engine(state: &PathBuf, datapath: Datapath) -> (Strongswan, mpsc::Receiver<TunnelReport>) {
    let (sender, reports) = mpsc::channel(64);
    let mut options = Options::new(state);
    options.datapath = Some(datapath);
    (Strongswan::new(options, sender).unwrap(), reports)
}
