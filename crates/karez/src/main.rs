//! The `karez` command: VPN as a Service over the Neutron VPNaaS API, in one binary.

mod agent;
mod config;
mod database;
mod demo;
mod fabric;
mod logging;
mod openrc;
mod server;
mod state;
mod text;
mod why;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use config::{AgentFile, Config, Mode};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Large answers come and go; this allocator gives their memory back to the system, where glibc's
/// keeps it for good once several threads have made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// VPN as a Service: the Neutron VPNaaS API, whole, in one binary.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    /// Which log lines to write to standard error: a level, or targets with levels
    #[arg(long, global = true, env = "KAREZ_LOG", default_value = "info")]
    log: String,
    /// How log lines look
    #[arg(long, global = true, env = "KAREZ_LOG_FORMAT", default_value = "text")]
    log_format: logging::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine, with nothing to set up
    ///
    /// API, embedded identity and a SQLite database in the state directory. At the first start it
    /// makes an administrator, prints his password once, and writes an openrc and a clouds.yaml
    /// that clients can use.
    Up(Up),
    /// Runs the API as a configuration file says
    Server {
        /// The configuration file
        #[arg(long, env = "KAREZ_CONFIG")]
        config: PathBuf,
    },
    /// Runs the agent of a node, which makes the tunnels
    ///
    /// It connects to the servers of its configuration file. A node that is not enrolled yet needs
    /// a token of `karez token`, once.
    Agent {
        /// The configuration file
        #[arg(long, env = "KAREZ_AGENT_CONFIG")]
        config: PathBuf,
        /// The file with the token; - is standard input
        #[arg(long, env = "KAREZ_TOKEN_FILE")]
        token_file: Option<PathBuf>,
    },
    /// Makes a token by which one agent can enrol, once, and prints it
    Token {
        #[command(flatten)]
        place: Place,
        /// For the node of this name only
        #[arg(long)]
        host: Option<String>,
        /// For how many hours it is good
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=720))]
        hours: u64,
    },
    /// Builds two whole clouds on this machine, joins them by a tunnel, and shows that it is one
    ///
    /// Everything is in network namespaces without a way out, and is removed at the end. It needs root.
    Demo(demo::Options),
    /// Looks after the database
    #[command(subcommand)]
    Db(Db),
    /// Looks after the configuration
    #[command(subcommand, name = "config")]
    Configuration(Configuration),
    /// Gives the user admin of the embedded identity a new password, and prints it
    ///
    /// For when the way in was lost. A server may run meanwhile.
    ResetAdmin(Place),
    /// Says why a connection is not up, since when, and what mends it on either side
    ///
    /// Asks the API of any cloud, as a client does.
    #[command(after_long_help = why::MORE)]
    Why(why::Options),
    /// Prints the OpenAPI document
    Openapi,
}

#[derive(Args)]
struct Up {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "KAREZ_LISTEN", default_value = "127.0.0.1:9696")]
    listen: SocketAddr,
    /// Where database, keys and client files are kept [default: /var/lib/karez for root, otherwise
    /// karez in the user's data directory]
    #[arg(long, env = "KAREZ_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Who tells who is calling
    #[arg(long, value_enum, default_value = "embedded")]
    identity: UpMode,
    /// Whether an agent runs in this process and makes the tunnels
    #[arg(long, env = "KAREZ_AGENT", value_enum, default_value = "auto")]
    agent: UpAgent,
    /// What sort of gateways the agent has
    #[arg(long, value_enum, default_value = "managed")]
    gateway: config::Shape,
    /// The bridge that leads to external networks, for managed gateways
    #[arg(long, default_value = "br-ex")]
    external_bridge: String,
    /// How the namespace of a router is called, for attached gateways
    #[arg(long, default_value = "qrouter-{router_id}")]
    namespace_pattern: String,
    /// The router that this machine is, for the gateway host
    #[arg(long)]
    router_id: Option<uuid::Uuid>,
    /// A network behind this machine that tunnels may take, for the gateway host; may be given several times
    #[arg(long = "local-subnet", value_name = "CIDR")]
    local_subnets: Vec<config::Cidr>,
    /// A network that no tunnel may lead to; may be given several times
    #[arg(long = "protected-network", value_name = "CIDR")]
    protected_networks: Vec<config::Cidr>,
    /// The network namespace that is the node, by its name under /run/netns [default: this one]
    #[arg(long)]
    namespace: Option<String>,
    /// The node's name [default: this machine's]
    #[arg(long)]
    host: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UpAgent {
    /// When it can: it needs root
    Auto,
    /// In any case
    On,
    /// Never: agents connect from elsewhere, or there are none
    Off,
}

impl Up {
    /// The agent that is asked for.
    fn agent(&self, state: &Path) -> Option<config::Agent> {
        let lack = match self.agent {
            UpAgent::Auto => agent::lack().or_else(agent::lack_of_programs),
            UpAgent::On => None,
            UpAgent::Off => return None,
        };
        if let Some(lack) = lack {
            tracing::warn!("no agent runs in this process: {lack}. Connections will have no tunnels");
            return None;
        }
        Some(config::Agent {
            host: self.host.clone(),
            zone: None,
            state_directory: state.join("agent"),
            namespace: self.namespace.clone(),
            protected_networks: Vec::new(),
            gateway: config::Gateway {
                shape: self.gateway,
                external_bridge: self.external_bridge.clone(),
                namespace_pattern: self.namespace_pattern.clone(),
                router_id: self.router_id,
                local_subnets: self.local_subnets.clone(),
                ..config::Gateway::default()
            },
            engine: config::Engine::default(),
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum UpMode {
    /// The embedded Keystone
    Embedded,
    /// Nobody: headers are taken at face value. For tests, on loopback only
    None,
}

#[derive(Subcommand)]
enum Db {
    /// Brings the schema up to date
    Migrate(Place),
    /// Checks the database: schema, references, secrets
    Check(Place),
    /// Makes a new key, seals all secrets with it, and removes the old ones
    ///
    /// A server may run meanwhile.
    RotateKey {
        #[command(flatten)]
        place: Place,
        /// One step only, where several machines have the key file: add a key, give the file to all
        /// of them, reseal, retire the old keys, give the file to all of them again
        #[arg(long, value_enum)]
        step: Option<database::Step>,
    },
}

#[derive(Subcommand)]
enum Configuration {
    /// Shows the configuration with its defaults; secrets are left out
    Show(Place),
}

/// Which installation a command is about.
#[derive(Args)]
struct Place {
    /// The configuration file of a server
    #[arg(long, env = "KAREZ_CONFIG", conflicts_with = "state_dir")]
    config: Option<PathBuf>,
    /// The state directory of `karez up`
    #[arg(long, env = "KAREZ_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl Place {
    /// The state directory, when that is what the command is about.
    fn directory(&self) -> Result<Option<state::Directory>> {
        match self.config {
            Some(_) => Ok(None),
            None => state::Directory::existing(self.state_dir.clone()).map(Some),
        }
    }

    fn read(&self) -> Result<Config> {
        match &self.config {
            Some(path) => Config::load(path),
            None => Ok(state::Directory::existing(self.state_dir.clone())?.config()),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_why = matches!(cli.command, Command::Why(_));
    let failure = if is_why { ExitCode::from(why::NO_ANSWER) } else { ExitCode::FAILURE };
    let started = logging::start(&cli.log, cli.log_format);
    match started.and_then(|guard| run(cli.command).map(|code| (code, guard))) {
        Ok((code, _guard)) => code,
        Err(error) => {
            complain(&error);
            failure
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let done = match command {
        Command::Why(options) => return why::run(&options),
        Command::Up(up) => runtime()?.block_on(start(up)),
        Command::Server { config } => {
            let loaded = Config::load(&config)?;
            runtime()?.block_on(server::run(loaded, Some(config), None))
        }
        Command::Agent { config, token_file } => {
            let file = AgentFile::load(&config)?;
            let token = token_file.as_deref().map(agent::read_token).transpose()?;
            runtime()?.block_on(agent::run(config, file, token))
        }
        Command::Token { place, host, hours } => {
            let config = place.read()?;
            let life = Duration::from_secs(hours * 3600);
            runtime()?.block_on(async { fabric::token(&database::control(&config)?, host, life).await })
        }
        Command::Demo(options) => demo::run(&options),
        Command::Db(Db::Migrate(place)) => database::migrate(&place.read()?),
        Command::Db(Db::Check(place)) => runtime()?.block_on(database::check(&place.read()?)),
        Command::Db(Db::RotateKey { place, step }) => {
            runtime()?.block_on(database::rotate_key(&place.read()?, step))
        }
        Command::Configuration(Configuration::Show(place)) => say(&place.read()?.shown()?),
        Command::ResetAdmin(place) => runtime()?.block_on(database::reset_admin(&place)),
        Command::Openapi => say(serde_json::to_string_pretty(&karez_api::openapi_document())?.as_str()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn start(up: Up) -> Result<()> {
    let directory = state::Directory::made(up.state_dir.clone())?;
    let mut config = directory.config();
    config.vpn.protected_networks.clone_from(&up.protected_networks);
    config.agent = up.agent(directory.path());
    config.api.listen = up.listen;
    config.identity.mode = match up.identity {
        UpMode::Embedded => Mode::Embedded,
        UpMode::None => Mode::None,
    };
    config.check()?;
    server::run(config, None, Some(directory)).await
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot start")
}

/// Standard output is for what the user asked for; a closed pipe is not worth a panic.
fn say(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// The command's last word. Nobody is left to tell that it cannot be written.
fn complain(error: &anyhow::Error) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "karez: {error:#}");
}
