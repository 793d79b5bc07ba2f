//! `karez up`, twice in the same place.

use crate::support::wait;
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[test]
fn a_second_start_keeps_password_and_data() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut first = Up::start(&state, &folder.path().join("first"))?;
    let printed = first.printed()?;
    let password = openrc(&state, "OS_PASSWORD")?;
    ensure!(printed.contains(&password), "the password is not shown");
    ensure!(openrc(&state, "OS_AUTH_URL")? == format!("{}/identity/v3", first.base));
    let token = token(&state)?;
    let created = network(&first.base, &token, Some("kept"))?;
    ensure!(created["network"]["name"] == "kept", "{created}");
    for name in ["karez.db", "secret.key", "openrc", "clouds.yaml"] {
        let mode = fs::metadata(state.join(name))?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{name} {mode:o}");
    }
    let mode = fs::metadata(&state)?.permissions().mode() & 0o777;
    ensure!(mode == 0o700, "the directory {mode:o}");
    ensure!(first.stop()? == Some(0), "{printed}");

    let mut second = Up::start(&state, &folder.path().join("second"))?;
    ensure!(!second.printed()?.contains(&password), "the password is shown once only");
    ensure!(openrc(&state, "OS_PASSWORD")? == password);
    ensure!(openrc(&state, "OS_AUTH_URL")? == format!("{}/identity/v3", second.base), "not where it is now");
    let listed = network(&second.base, &self::token(&state)?, None)?;
    ensure!(listed["networks"][0]["name"] == "kept", "{listed}");
    ensure!(network(&second.base, &token, None)?["networks"].is_array(), "the earlier token is still good");
    ensure!(second.stop()? == Some(0));
    Ok(())
}

#[test]
fn the_client_files_agree_and_a_shell_can_read_them() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("a state directory");
    let up = Up::start(&state, &folder.path().join("out"))?;
    let sourced = Command::new("sh")
        .args(["-c", ". \"$0\" && printf %s \"$OS_USERNAME $OS_PASSWORD $OS_AUTH_URL\""])
        .arg(state.join("openrc"))
        .output()?;
    let sourced = String::from_utf8(sourced.stdout)?;
    let mut words = sourced.split(' ');
    ensure!(words.next() == Some("admin"), "{sourced}");
    let clouds = fs::read_to_string(state.join("clouds.yaml"))?;
    for word in words {
        ensure!(clouds.contains(&format!("'{word}'")), "{word} is not in clouds.yaml");
    }
    ensure!(clouds.contains("\n  karez:\n"), "{clouds}");
    // A wrong password is a wrong password.
    let refused = login(&up.base, "wrong")?;
    ensure!(refused.status() == 401, "{}", refused.status());
    Ok(())
}

/// `karez up` on a free port.
struct Up {
    process: Child,
    base: String,
    out: std::path::PathBuf,
}

impl Up {
    fn start(state: &Path, out: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_karez"))
            .args(["up", "--listen", "127.0.0.1:0", "--state-dir"])
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

    fn printed(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.out)?)
    }

    fn stop(&mut self) -> anyhow::Result<Option<i32>> {
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

fn openrc(state: &Path, name: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(state.join("openrc"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
    Ok(line.with_context(|| format!("no {name}"))?.trim_matches('\'').to_owned())
}

fn client() -> anyhow::Result<reqwest::blocking::Client> {
    Ok(reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?)
}

fn login(base: &str, password: &str) -> anyhow::Result<reqwest::blocking::Response> {
    let user = json!({"name": "admin", "domain": {"name": "Default"}, "password": password});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let scope = json!({"project": {"name": "admin", "domain": {"name": "Default"}}});
    let body = json!({"auth": {"identity": identity, "scope": scope}});
    Ok(client()?.post(format!("{base}/identity/v3/auth/tokens")).json(&body).send()?)
}

/// A token, with what the openrc says.
fn token(state: &Path) -> anyhow::Result<String> {
    let url = openrc(state, "OS_AUTH_URL")?;
    let base = url.strip_suffix("/identity/v3").context("another URL")?;
    let response = login(base, &openrc(state, "OS_PASSWORD")?)?;
    ensure!(response.status() == 201, "{}", response.status());
    Ok(response.headers().get("x-subject-token").context("no token")?.to_str()?.to_owned())
}

/// Creates a network of this name, or lists them.
fn network(base: &str, token: &str, name: Option<&str>) -> anyhow::Result<Json> {
    let url = format!("{base}/v2.0/networks");
    let request = match name {
        Some(name) => client()?.post(url).json(&json!({"network": {"name": name}})),
        None => client()?.get(url),
    };
    Ok(request.header("X-Auth-Token", token).send()?.json()?)
}
