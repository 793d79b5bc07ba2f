//! The API under load: a server with its own identity that validates the caller's token on each
//! request, on each store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::measure::{Plan, Watched};
use crate::postgresql::{self, Cluster};
use crate::report::{self, StoreReport};
use crate::server::Server;
use crate::suite::Suite;
use crate::{bed, find_karez, introduce, process, write_json};

#[derive(Args)]
pub struct Arguments {
    /// The server to measure [default: `karez` beside this program].
    #[arg(long, value_name = "PATH")]
    karez: Option<PathBuf>,
    /// Which stores to measure.
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgresql")]
    store: Vec<Store>,
    /// A PostgreSQL server to use instead of a throw-away cluster; databases are created on it.
    #[arg(long, value_name = "URL")]
    postgres_url: Option<String>,
    /// How long each measurement lasts.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long each measurement is warmed up.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    warm_up: f64,
    /// How many clients ask at once.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    concurrency: Vec<usize>,
    /// How many starts are timed, each with a fresh and with an existing database.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Where the databases lie while they are used [default: the directory for temporary files].
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Writes the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    /// Every scenario on every store for half a second. Without warming up, so that what is created
    /// in that time is there to be deleted in the next.
    pub fn brief(karez: Option<PathBuf>, postgres_url: Option<String>) -> Self {
        Self {
            karez,
            store: Store::value_variants().to_vec(),
            postgres_url,
            seconds: 0.5,
            warm_up: 0.0,
            concurrency: vec![4],
            starts: 1,
            directory: None,
            json: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgresql,
}

impl Store {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
        }
    }
}

/// Measures each store, prints tables, and writes the figures where it was told to.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure!(!arguments.concurrency.contains(&0), "a concurrency of 0 measures nothing");
    let karez = find_karez(arguments.karez.as_ref())?;
    let parent = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new().prefix("karez-bench-").tempdir_in(parent)?;
    // PostgreSQL may have to run as another account, which must be able to reach its own files.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
    let (machine, subject) = introduce(&karez, directory.path());

    let plan = Plan {
        warm_up: Duration::try_from_secs_f64(arguments.warm_up)?,
        duration: Duration::try_from_secs_f64(arguments.seconds)?,
        concurrencies: arguments.concurrency.clone(),
    };
    let mut stores = Vec::new();
    for &store in &arguments.store {
        let report = measure_store(store, arguments, &plan, &karez, directory.path())
            .with_context(|| format!("the run on {} failed", store.name()))?;
        println!("{}", report.table());
        stores.push(report.json());
    }
    println!("{}", report::footnote());
    if let Some(path) = &arguments.json {
        let document = json!({
            "machine": machine,
            "karez": subject,
            "seconds": arguments.seconds,
            "warm_up_seconds": arguments.warm_up,
            "stores": stores,
            "quoted_reference": report::quoted_reference(),
        });
        write_json(path, &document)?;
    }
    Ok(())
}

fn measure_store(
    store: Store,
    arguments: &Arguments,
    plan: &Plan,
    karez: &Path,
    directory: &Path,
) -> Result<StoreReport> {
    let cluster = match (store, &arguments.postgres_url) {
        (Store::Sqlite, _) => None,
        (Store::Postgresql, Some(url)) => Some(Cluster::existing(url)?),
        (Store::Postgresql, None) => Some(Cluster::create(directory)?),
    };
    let cluster = cluster.as_ref();
    let mut fresh_starts = Vec::with_capacity(arguments.starts);
    for number in 0..arguments.starts {
        let place = Place::new(directory, cluster, store, &format!("start{number}"))?;
        let server = Server::start(karez, &place.directory, &place.url)?;
        fresh_starts.push(server.first_answer);
        server.stop()?;
    }

    let place = Place::new(directory, cluster, store, "load")?;
    let server = Server::start(karez, &place.directory, &place.url)?;
    let idle = process::memory(server.pid())?;
    let progress = |scenario: &str, concurrency: usize| {
        eprintln!("{}: {scenario}, concurrency {concurrency}", store.name());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measurements = runtime.block_on(async {
        let bed = bed::prepare(server.address).await?;
        let watched = Watched { server: server.pid(), postgresql: cluster };
        Suite { plan, watched, bed, progress: &progress }.run().await
    });
    let measurements =
        measurements.with_context(|| format!("the server's log ends:\n{}", server.log_end()))?;
    let after = process::memory(server.pid())?;
    server.stop()?;

    let mut existing_starts = Vec::with_capacity(arguments.starts);
    for _ in 0..arguments.starts {
        let server = Server::start(karez, &place.directory, &place.url)?;
        existing_starts.push(server.first_answer);
        server.stop()?;
    }
    let store = store.name();
    Ok(StoreReport { store, fresh_starts, existing_starts, idle, after, measurements })
}

/// A state directory of its own, and an empty store.
struct Place<'a> {
    directory: PathBuf,
    url: String,
    _database: Option<postgresql::Database<'a>>,
}

impl<'a> Place<'a> {
    fn new(parent: &Path, cluster: Option<&'a Cluster>, store: Store, name: &str) -> Result<Self> {
        let directory = parent.join(format!("{}-{name}", store.name()));
        fs::create_dir(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let database = cluster.map(|cluster| cluster.database(name)).transpose()?;
        let url = match &database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", directory.join("karez.db").display()),
        };
        Ok(Self { directory, url, _database: database })
    }
}
