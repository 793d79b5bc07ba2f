//! `karez up` as a child process, and its administrator's way in.

use anyhow::{Context, ensure};
use karez_testing::wait;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `karez up` on a free port.
pub struct Up {
    process: Child,
    /// Its URL, without a slash at the end.
    pub base: String,
    out: PathBuf,
}

impl Up {
    /// Starts it and waits until it says where it listens. What it prints goes into the file `out`.
    pub fn start(state: &Path, out: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_karez"))
            .args(["up", "--agent", "off", "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(fs::File::create(out)?)
            .stderr(fs::File::create(out.with_extension("log"))?)
            .spawn()?;
        let base = wait::until("karez up", Duration::from_secs(30), || {
            ensure!(
                process.try_wait()?.is_none(),
                "it ended: {}",
                fs::read_to_string(out.with_extension("log"))?
            );
            let printed = fs::read_to_string(out)?;
            // A whole line: the port may not have been written to its end.
            let lines = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            Ok(lines
                .filter_map(|line| line.strip_prefix("Karez listens on "))
                .map(|base| base.trim().to_owned())
                .next())
        })?;
        Ok(Self { process, base, out: out.to_owned() })
    }

    /// What it has printed so far.
    pub fn printed(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.out)?)
    }

    /// Asks it to end (SIGTERM), waits until it has, and returns its exit code.
    pub fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        let ended = wait::until("the end", Duration::from_secs(30), || Ok(self.process.try_wait()?))?;
        Ok(ended.code())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A value of the openrc.
pub fn openrc(state: &Path, name: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(state.join("openrc"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
    Ok(line.with_context(|| format!("no {name}"))?.trim_matches('\'').to_owned())
}

/// A client for a server on this machine.
pub fn client() -> anyhow::Result<reqwest::blocking::Client> {
    Ok(reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?)
}

/// Asks for a token of the administrator with this password.
pub fn login(base: &str, password: &str) -> anyhow::Result<reqwest::blocking::Response> {
    let user = json!({"name": "admin", "domain": {"name": "Default"}, "password": password});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let scope = json!({"project": {"name": "admin", "domain": {"name": "Default"}}});
    let body = json!({"auth": {"identity": identity, "scope": scope}});
    Ok(client()?.post(format!("{base}/identity/v3/auth/tokens")).json(&body).send()?)
}

/// A token, with what the openrc says.
pub fn token(state: &Path) -> anyhow::Result<String> {
    let url = openrc(state, "OS_AUTH_URL")?;
    let base = url.strip_suffix("/identity/v3").context("another URL")?;
    let response = login(base, &openrc(state, "OS_PASSWORD")?)?;
    ensure!(response.status() == 201, "{}", response.status());
    Ok(response.headers().get("x-subject-token").context("no token")?.to_str()?.to_owned())
}
