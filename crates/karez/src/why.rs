//! `karez why`: why a tunnel is not up, and what would mend it, asked of the API as any client may.
//!
//! The environment, files and the clock are read here; what follows from them is decided in the parts below.

mod access;
mod ask;
mod catalog;
mod connection;
mod page;
mod remedy;
mod session;
mod settings;
mod yaml;

use crate::text::clean;
use access::Access;
use anyhow::{Context, Result, bail};
use ask::{Known, Wanted, ask};
use clap::Args;
use connection::Connection;
use serde_json::Value as Json;
use session::{Session, Trouble};
use settings::{File, Files, Settings, Variables, places};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use time::OffsetDateTime;

/// How often `--watch` looks.
const PAUSE: Duration = Duration::from_secs(2);

/// The exit code when the answer could not be had, which is clap's for wrong usage too.
pub(crate) const NO_ANSWER: u8 = 2;

#[derive(Args)]
pub(crate) struct Options {
    /// The connection, by its name or id [default: all of the project]
    #[arg(value_name = "NAME|ID")]
    connection: Option<String>,
    /// All connections that you may see: for an administrator, those of every project
    #[arg(long, conflicts_with = "connection")]
    all_projects: bool,
    /// The cloud of clouds.yaml to ask [default: that of OS_CLOUD, else what the variables OS_* say]
    #[arg(long, value_name = "NAME")]
    os_cloud: Option<String>,
    /// Prints a list of objects in JSON, for programs
    #[arg(long)]
    json: bool,
    /// Prints anew whenever something has changed, until Ctrl-C; looks each two seconds
    #[arg(long)]
    watch: bool,
}

/// What `karez why --help` says at its end.
pub(crate) const MORE: &str = "\
Where the cloud is and who asks is read as OpenStack clients do: from OS_* variables (`source openrc`),
or with OS_CLOUD or --os-cloud from clouds.yaml in the current directory, ~/.config/openstack or
/etc/openstack, or from the file that OS_CLIENT_CONFIG_FILE names. The role reader is enough.

Exit codes:
  0  all is well: each connection is ACTIVE, or somebody has switched it off (admin_down)
  1  some connection is neither
  2  wrong usage, or the answer could not be had

With --json each object has these keys; what is not known is null:
  id, name, project_id, peer_address, admin_state_up, status
  is_well       whether it counts as well for the exit code
  since         since when it is in this state, RFC 3339 in UTC; seconds: for how long
  reason        a word of a closed list; detail: a sentence; evidence: what it is concluded from, an object
  missing       pairs without a tunnel, a list of objects with local_subnet and peer_subnet
  fix_here      what to do on this side; fix_at_peer: on the peer's
  last_report   when the last report came, if the agent is silent
  asked_at      when the server was asked
With --watch as well, the whole list is one line each time.";

/// Answers, and says with its exit code how things are.
///
/// # Errors
/// When the answer cannot be had; fit for a terminal, though part of it may be a server's words.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match answer(options) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(error) => bail!(clean(&format!("{error:#}"))),
    }
}

/// Whether all is well.
fn answer(options: &Options) -> Result<bool> {
    let variables = Variables::of(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    let option = options.os_cloud.as_deref();
    let files = files(&variables, option)?;
    let settings = Settings::choose(&variables, option, &files)?;
    let mut session = Session::new(Access::read(&settings)?)?;
    let wanted = match &options.connection {
        Some(word) => Wanted::One(word.clone()),
        None if options.all_projects => Wanted::Everything,
        None => Wanted::Project,
    };
    let mut known = Known::new();
    let connections = ask(&mut session, &wanted, &mut known)?;
    let at = now();
    if options.watch {
        return watch(session, &wanted, known, connections, options.json);
    }
    crate::say(&if options.json {
        serde_json::to_string_pretty(&list(&connections, at))?
    } else {
        page::page(&connections, at)
    })?;
    Ok(connections.iter().all(Connection::is_well))
}

/// Prints each change. Only an error ends it, or the signal of Ctrl-C, as it ends any program.
fn watch(
    mut session: Session,
    wanted: &Wanted,
    mut known: Known,
    mut shown: Vec<Connection>,
    is_json: bool,
) -> Result<bool> {
    print(&shown, now(), is_json)?;
    let mut is_away = false;
    loop {
        std::thread::sleep(PAUSE);
        match ask(&mut session, wanted, &mut known) {
            Ok(connections) => {
                if std::mem::take(&mut is_away) {
                    note("the server answers again");
                }
                if connections != shown {
                    print(&connections, now(), is_json)?;
                    shown = connections;
                }
            }
            Err(Trouble::Passing(why)) if is_away => tracing::debug!(why, "the server does not answer"),
            Err(Trouble::Passing(why)) => {
                is_away = true;
                note(&why);
            }
            Err(lasting @ Trouble::Lasting(_)) => return Err(lasting.into()),
        }
    }
}

fn print(connections: &[Connection], at: OffsetDateTime, is_json: bool) -> Result<()> {
    if is_json {
        return crate::say(&list(connections, at).to_string());
    }
    crate::say(&format!("== {}\n{}\n ", page::said(at), page::page(connections, at)))
}

fn list(connections: &[Connection], at: OffsetDateTime) -> Json {
    connections.iter().map(|connection| connection.json(at)).collect()
}

/// A word beside what was asked for.
fn note(text: &str) {
    let text = clean(&format!("{}: {text}", page::said(now())));
    crate::complain(&anyhow::Error::msg(text));
}

/// The files, unless the variables lead to a cloud without them.
fn files(variables: &Variables, option: Option<&str>) -> Result<Files> {
    if variables.cloud(option).is_none() && variables.lead_somewhere() {
        return Ok(Files::default());
    }
    let here = std::env::current_dir().context("the current directory")?;
    let looked = places("clouds", variables, &here);
    let secure = first(&places("secure", variables, &here))?;
    Ok(Files { clouds: first(&looked)?, secure, looked })
}

/// The first of these files that is there.
fn first(places: &[PathBuf]) -> Result<Option<File>> {
    let read = |path: &Path| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(File { path: path.to_owned(), text })),
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(why) => Err(why).with_context(|| path.display().to_string()),
    };
    places.iter().find_map(|path| read(path).transpose()).transpose()
}

#[allow(clippy::disallowed_methods, reason = "the edge: how long something has lasted is told by this clock")]
fn now() -> OffsetDateTime {
    std::time::SystemTime::now().into()
}
