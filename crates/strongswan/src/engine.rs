//! The engine: one task for each router that has something to do.

use crate::Options;
use crate::daemon::{self, Setup};
use crate::probe;
use crate::router::{self, Order};
use karez_engine::{Datapath, Engine, EngineError, Place, RouterId, TunnelPlan, TunnelReport};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Drives one charon for each router.
///
/// When this is dropped the daemons go on, and with them the tunnels; another engine with the same state directory
/// finds them again.
pub struct Strongswan {
    options: Options,
    charon: PathBuf,
    datapath: Datapath,
    reports: mpsc::Sender<TunnelReport>,
    routers: Mutex<BTreeMap<RouterId, mpsc::UnboundedSender<Order>>>,
}

impl Strongswan {
    /// An engine that tells what happens to tunnels by `reports`. Blocks for some milliseconds, to ask the kernel what
    /// it can do.
    ///
    /// # Errors
    /// [`EngineError::Machine`] when charon is not installed, or without root.
    pub fn new(options: Options, reports: mpsc::Sender<TunnelReport>) -> Result<Self, EngineError> {
        let charon = options.find_charon()?;
        let datapath = match options.datapath {
            Some(datapath) => datapath,
            None => match probe::kernel_has_esp() {
                Ok(true) => Datapath::Kernel,
                Ok(false) => Datapath::Userspace,
                Err(error) => {
                    return Err(EngineError::Machine(format!(
                        "cannot ask the kernel about IPsec (as root?): {error}"
                    )));
                }
            },
        };
        Ok(Self { options, charon, datapath, reports, routers: Mutex::default() })
    }

    fn setup(&self, router: RouterId) -> Setup {
        Setup {
            directory: self.options.state_directory.join(router.to_string()),
            charon: self.charon.clone(),
            datapath: self.datapath,
            plugins: self.options.plugins.clone(),
            bounds: self.options.bounds.clone(),
        }
    }

    /// Gives an order to the task of a router, which is begun if there is none, and waits for its answer.
    async fn order(
        &self,
        router: RouterId,
        order: impl FnOnce(oneshot::Sender<Result<(), EngineError>>) -> Order,
    ) -> Result<(), EngineError> {
        let (answer, answered) = oneshot::channel();
        self.send(router, order(answer));
        answered.await.unwrap_or_else(|_| {
            Err(EngineError::Daemon { router, why: "its task has ended; try again".to_owned() })
        })
    }

    fn send(&self, router: RouterId, order: Order) {
        let mut routers = self.routers.lock().unwrap_or_else(PoisonError::into_inner);
        let order = match routers.get(&router) {
            Some(orders) => match orders.send(order) {
                Ok(()) => return,
                Err(mpsc::error::SendError(order)) => order,
            },
            None => order,
        };
        let orders = router::begin(router, self.setup(router), self.options.clone(), self.reports.clone());
        // The receiver is in a task that has just begun; it takes orders until it is told to end.
        let _ = orders.send(order);
        routers.insert(router, orders);
    }
}

impl Engine for Strongswan {
    fn datapath(&self) -> Datapath {
        self.datapath
    }

    async fn apply(
        &self,
        router: RouterId,
        place: &Place,
        tunnels: &[TunnelPlan],
    ) -> Result<(), EngineError> {
        let (place, tunnels) = (place.clone(), tunnels.to_vec());
        self.order(router, |answer| Order::Apply { place, tunnels, answer }).await
    }

    async fn remove(&self, router: RouterId) -> Result<(), EngineError> {
        let is_known = self.routers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&router);
        if is_known {
            let outcome = self.order(router, |answer| Order::Remove { answer }).await;
            if outcome.is_ok() {
                self.routers.lock().unwrap_or_else(PoisonError::into_inner).remove(&router);
            }
            return outcome;
        }
        let why = |error: daemon::DaemonError| EngineError::Daemon { router, why: error.to_string() };
        daemon::erase(&self.setup(router)).await.map_err(why)
    }

    async fn present(&self) -> Result<Vec<RouterId>, EngineError> {
        let entries = match fs::read_dir(&self.options.state_directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(EngineError::Machine(format!("cannot read the state directory: {error}")));
            }
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        let mut routers: Vec<RouterId> = entries.filter_map(name).collect();
        routers.sort();
        Ok(routers)
    }
}
