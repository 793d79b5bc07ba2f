//! The server under load: the real `karez`, with a configuration of its own on a free port.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The admin's password in the embedded identity.
pub const ADMIN_PASSWORD: &str = "only-for-this-benchmark";

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks whether the server answers; bounds the error of the start-up time, and
/// leaves the processors to the server meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub struct Server {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
    /// From the spawn until `GET /` was answered with 200.
    pub first_answer: Duration,
}

impl Server {
    /// Starts `karez` on this store; whatever it writes besides goes below `directory`.
    pub fn start(karez: &Path, directory: &Path, store_url: &str) -> Result<Self> {
        let address = free_address()?;
        let configuration = directory.join("karez.toml");
        fs::write(&configuration, configuration_text(address, directory, store_url))
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let log = directory.join("karez.log");
        let log_file = File::create(&log).context("cannot create the server's log")?;

        let spawned = Instant::now();
        let child = Command::new(karez)
            .arg("server")
            .arg("--config")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log_file.try_clone().context("cannot share the server's log")?)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("cannot start {}", karez.display()))?;
        let mut server = Self { child, log, address, first_answer: Duration::ZERO };
        while !answers(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended at once, {status}:\n{}", server.log_end());
            }
            ensure!(
                spawned.elapsed() < START_LIMIT,
                "the server does not answer after {START_LIMIT:?}:\n{}",
                server.log_end()
            );
            thread::sleep(LOOK_EVERY);
        }
        server.first_answer = spawned.elapsed();
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end, and fails unless it does so cleanly.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.pid().to_string()).status();
        ensure!(asked.context("cannot run kill")?.success(), "the server had ended on its own");
        let since = Instant::now();
        while since.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}:\n{}", self.log_end());
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!("the server did not end within {STOP_LIMIT:?}:\n{}", self.log_end())
    }

    /// The last lines of the server's log, for an error message.
    pub fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and after `stop` there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now. Known beforehand, so that the first answer can be timed.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?)
}

fn configuration_text(address: SocketAddr, directory: &Path, store_url: &str) -> String {
    let key = directory.join("secret.key");
    format!(
        "[api]\nlisten = \"{address}\"\n\n[store]\nurl = \"{store_url}\"\n\n\
         [secrets]\nkey_file = \"{}\"\n\n[identity]\nmode = \"embedded\"\n\n\
         [identity.embedded]\nadmin_password = \"{ADMIN_PASSWORD}\"\n",
        key.display()
    )
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(START_LIMIT)).is_ok()
        && stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"HTTP/1.1 200"
}
