//! `karez up`, once and again in the same place.

use crate::support::up::{client, login, openrc, token};
use crate::support::{Up, command};
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

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

#[test]
fn a_second_server_in_the_same_place_is_refused_until_the_first_has_ended() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut first = Up::start(&state, &folder.path().join("first"))?;
    let before = texts(&state)?;
    let refused = again(&state)?;
    ensure!(refused.code == Some(1) && refused.stdout.is_empty(), "{refused:?}");
    let named = state.canonicalize()?;
    ensure!(refused.stderr.contains(&*named.to_string_lossy()), "{refused:?}");
    ensure!(texts(&state)? == before, "the client files lead elsewhere now");
    ensure!(network(&first.base, &token(&state)?, None)?["networks"].is_array(), "the first one suffers");
    ensure!(first.stop()? == Some(0));
    let mut second = Up::start(&state, &folder.path().join("second"))?;
    ensure!(second.stop()? == Some(0));
    Ok(())
}

#[test]
fn a_first_start_that_was_cut_short_is_taken_up_with_its_password() -> anyhow::Result<()> {
    const PASSWORD: &str = "the password of the start before";
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    fs::create_dir(&state)?;
    // First it was cut short before it made the administrator, then before it wrote the openrc.
    for round in ["before", "after"] {
        fs::write(state.join("first-password"), PASSWORD)?;
        let mut up = Up::start(&state, &folder.path().join(round))?;
        ensure!(up.printed()?.contains(&format!("his password {PASSWORD}\n")), "{round}: it is not shown");
        ensure!(openrc(&state, "OS_PASSWORD")? == PASSWORD, "{round}: the openrc has another");
        ensure!(fs::read_to_string(state.join("clouds.yaml"))?.contains(PASSWORD), "{round}");
        ensure!(!state.join("first-password").exists(), "{round}: it lies about");
        token(&state).context(round)?;
        ensure!(up.stop()? == Some(0));
        fs::remove_file(state.join("openrc"))?;
        fs::remove_file(state.join("clouds.yaml"))?;
    }
    Ok(())
}

#[test]
fn a_start_without_the_openrc_of_an_earlier_one_makes_up_no_password() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut first = Up::start(&state, &folder.path().join("first"))?;
    let password = openrc(&state, "OS_PASSWORD")?;
    ensure!(first.stop()? == Some(0));
    fs::remove_file(state.join("openrc"))?;
    let second = Up::start(&state, &folder.path().join("second"))?;
    let printed = second.printed()?;
    ensure!(!printed.contains("password") && printed.lines().count() == 1, "{printed}");
    ensure!(!state.join("openrc").exists() && !state.join("first-password").exists());
    ensure!(login(&second.base, &password)?.status() == 201, "the password is another one");
    Ok(())
}

/// What is in the client files.
fn texts(state: &Path) -> anyhow::Result<[String; 2]> {
    Ok([fs::read_to_string(state.join("openrc"))?, fs::read_to_string(state.join("clouds.yaml"))?])
}

/// Another `karez up` in this state directory, which ends by itself.
fn again(state: &Path) -> anyhow::Result<command::Finished> {
    let arguments =
        ["up", "--agent", "off", "--listen", "127.0.0.1:0", "--state-dir"].map(std::ffi::OsStr::new);
    command::karez(&[&arguments[..], &[state.as_os_str()]].concat())
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
