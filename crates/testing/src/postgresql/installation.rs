//! PostgreSQL as it is installed on this machine, and who may run it.

use crate::wait;
use anyhow::{Context, bail, ensure};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MISSING: &str = "PostgreSQL is not installed: these tests need initdb and postgres in /usr/lib/postgresql/*/bin. \
     Install the package `postgresql` (Debian, Ubuntu), or name a server in KAREZ_TEST_POSTGRES_URL.";

/// What clusters are made with.
pub(super) struct Installation {
    programs: PathBuf,
    account: Account,
}

impl Installation {
    pub(super) fn find() -> anyhow::Result<Self> {
        Ok(Self { programs: programs()?, account: Account::find()? })
    }

    /// What tells data directories apart: the version, and whose they are.
    fn name(&self) -> String {
        let version = self.programs.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        format!("postgresql-{}-{}", version.unwrap_or("unknown"), self.account.uid)
    }

    /// Puts the data of a new cluster into a directory.
    pub(super) fn prepare(&self, directory: &Path) -> anyhow::Result<()> {
        let template = self.template()?;
        self.account.give(directory)?;
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(directory.join("data")))
    }

    /// Starts the server under another program, whose last arguments are the words that start it. What is committed survives the end of the cluster; that of the machine need
    /// not be survived, so nothing waits for the disk.
    pub(super) fn start(
        &self,
        under: &[&str],
        directory: &Path,
        port: u16,
        input: Stdio,
    ) -> anyhow::Result<Child> {
        let settings = [
            format!("port={port}"),
            format!("unix_socket_directories={}", directory.display()),
            "listen_addresses=127.0.0.1".to_owned(),
            // A server under test takes up to 14, and there may be many processors to run tests on.
            "max_connections=1000".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
        ];
        let (program, arguments) = under.split_first().context("no program")?;
        let mut command = self.account.command(Path::new(program));
        command.current_dir(directory).args(arguments);
        command.arg(self.programs.join("postgres")).arg("-D").arg(directory.join("data"));
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log"))?;
        command.stdin(input).stdout(log.try_clone()?).stderr(log);
        command.spawn().context("cannot start PostgreSQL")
    }

    /// A data directory fresh from `initdb`, made at most once for all processes.
    fn template(&self) -> anyhow::Result<PathBuf> {
        let kept = kept()?;
        let template = kept.join(self.name());
        let guard = fs::File::create(kept.join(format!("{}.lock", self.name())))?;
        guard.lock()?;
        if template.exists() {
            return Ok(template);
        }
        // Not made in place: the account may have no way into the target directory.
        let directory = tempfile::Builder::new().prefix("karez-initdb-").tempdir()?;
        self.account.give(directory.path())?;
        let data = directory.path().join("data");
        let options = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
        ];
        let initdb = self.programs.join("initdb");
        run(self.account.command(&initdb).current_dir(directory.path()).args(options).arg("-D").arg(&data))?;
        let half = template.with_extension("half");
        if half.exists() {
            fs::remove_dir_all(&half)?;
        }
        run(Command::new("cp").arg("-a").arg(&data).arg(&half))?;
        fs::rename(&half, &template)?;
        Ok(template)
    }
}

/// Tries to start a server until the port that was found free is still so when the server comes to it.
pub(super) fn on_free_port<T>(
    directory: &Path,
    mut start: impl FnMut(u16) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(u16, T)> {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if let Some(started) = start(port)? {
            return Ok((port, started));
        }
    }
    bail!("PostgreSQL did not start:\n{}", log(directory))
}

/// Waits until the server answers; false when it ends instead.
pub(super) fn answers_or_ends(server: &mut Child, directory: &Path, port: u16) -> anyhow::Result<bool> {
    wait::until("PostgreSQL", Duration::from_secs(60), || {
        if server.try_wait()?.is_some() {
            return Ok(Some(false));
        }
        Ok(answers(directory, port).then_some(true))
    })
}

/// By the socket in its own directory: at the port, somebody else's may answer.
pub(super) fn answers(directory: &Path, port: u16) -> bool {
    let mut own = postgres::Config::new();
    own.host_path(directory).port(port).user("postgres").dbname("postgres");
    own.connect(postgres::NoTls).is_ok()
}

pub(super) fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

/// The directory of PostgreSQL's programs, of the newest version installed.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = match fs::read_dir("/usr/lib/postgresql") {
        Ok(versions) => versions,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(MISSING),
        Err(error) => return Err(error.into()),
    };
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file() && programs.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs).context(MISSING)
}

/// Where things are kept from run to run: `tmp` in the target directory that this test was built in.
pub(super) fn kept() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let kept = target.map_or_else(std::env::temp_dir, Path::to_owned).join("tmp");
    fs::create_dir_all(&kept)?;
    Ok(kept)
}

/// Who runs the cluster: ourselves, or `postgres` when we are root, whom PostgreSQL refuses.
struct Account {
    uid: u32,
    switch: Option<u32>,
}

impl Account {
    fn find() -> anyhow::Result<Self> {
        let own = own_uid()?;
        if own != 0 {
            return Ok(Self { uid: own, switch: None });
        }
        let uid = number("id", &["-u", "postgres"])
            .context("root cannot run PostgreSQL and the user `postgres` does not exist")?;
        Ok(Self { uid, switch: Some(number("id", &["-g", "postgres"])?) })
    }

    /// Makes the account the owner of a directory.
    fn give(&self, directory: &Path) -> anyhow::Result<()> {
        if let Some(gid) = self.switch {
            std::os::unix::fs::chown(directory, Some(self.uid), Some(gid))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(gid) = self.switch {
            command.uid(self.uid).gid(gid);
        }
        command
    }
}

/// Who we are.
pub(super) fn own_uid() -> anyhow::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

fn number(program: &str, arguments: &[&str]) -> anyhow::Result<u32> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
