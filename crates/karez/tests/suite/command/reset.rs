//! `karez reset-admin`: the way back in.

use crate::support::up::{client, login, openrc, token};
use crate::support::{Up, command, wait};
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_new_password_of_the_administrator_takes_the_place_of_the_old_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut up = Up::start(&state, &folder.path().join("first"))?;
    let (old, earlier) = (openrc(&state, "OS_PASSWORD")?, token(&state)?);
    ensure!(networks(&up.base, &earlier)? == 200);

    let new = reset(&state)?;
    ensure!(new != old && new.len() >= 32, "{} characters", new.len());
    ensure!(login(&up.base, &new)?.status() == 201, "the new one is not accepted");
    ensure!(login(&up.base, &old)?.status() == 401, "the old one still is");
    // The server that runs has not made the change itself, and may remember the token for a while.
    wait::until("the end of a token", Duration::from_secs(30), || {
        Ok((networks(&up.base, &earlier)? == 401).then_some(()))
    })?;
    must_have(&state, &new, &old)?;
    ensure!(networks(&up.base, &token(&state)?)? == 200);

    ensure!(up.stop()? == Some(0));
    let later = reset(&state)?;
    must_have(&state, &later, &new)?;
    let up = Up::start(&state, &folder.path().join("second"))?;
    ensure!(!up.printed()?.contains("password"), "a password is shown that is known already");
    must_have(&state, &later, &new)?;
    token(&state)?;
    Ok(())
}

#[test]
fn an_administrator_who_disabled_himself_comes_back() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let up = Up::start(&state, &folder.path().join("out"))?;
    let (password, token) = (openrc(&state, "OS_PASSWORD")?, token(&state)?);
    let users = format!("{}/identity/v3/users", up.base);
    let found: Json =
        client()?.get(format!("{users}?name=admin")).header("X-Auth-Token", &token).send()?.json()?;
    let id = found["users"][0]["id"].as_str().context("no user admin")?;
    let disable = client()?.patch(format!("{users}/{id}")).json(&json!({"user": {"enabled": false}}));
    let status = disable.header("X-Auth-Token", &token).send()?.status();
    ensure!(status == 200, "{status}");
    ensure!(login(&up.base, &password)?.status() == 401, "he is not locked out");
    ensure!(login(&up.base, &reset(&state)?)?.status() == 201, "he is still locked out");
    Ok(())
}

#[test]
fn a_reset_after_a_start_that_was_cut_short_is_not_undone_by_the_next_start() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    Up::start(&state, &folder.path().join("first"))?.stop()?;
    // As if it had ended between making the administrator and writing the client files.
    fs::write(state.join("first-password"), openrc(&state, "OS_PASSWORD")?)?;
    fs::remove_file(state.join("openrc"))?;
    fs::remove_file(state.join("clouds.yaml"))?;
    let new = reset(&state)?;
    let _up = Up::start(&state, &folder.path().join("second"))?;
    ensure!(openrc(&state, "OS_PASSWORD")? == new, "the openrc has a password that is none");
    token(&state)?;
    Ok(())
}

/// The password that the command prints.
fn reset(state: &Path) -> anyhow::Result<String> {
    let finished = command::karez(&["reset-admin".as_ref(), "--state-dir".as_ref(), state.as_os_str()])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let password = finished.stdout.strip_prefix("The administrator is admin, his password ");
    let password = password.with_context(|| format!("it says {:?}", finished.stdout))?.trim().to_owned();
    ensure!(!finished.stderr.contains(&password), "the password is in the log");
    Ok(password)
}

/// Fails unless the client files have this password, and no more the other one.
fn must_have(state: &Path, new: &str, old: &str) -> anyhow::Result<()> {
    for name in ["openrc", "clouds.yaml"] {
        let text = fs::read_to_string(state.join(name))?;
        ensure!(text.contains(&format!("'{new}'")) && !text.contains(old), "{name} has another password");
        let mode = fs::metadata(state.join(name))?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{name} {mode:o}");
    }
    Ok(())
}

/// The status of a list of networks.
fn networks(base: &str, token: &str) -> anyhow::Result<u16> {
    let request = client()?.get(format!("{base}/v2.0/networks")).header("X-Auth-Token", token);
    Ok(request.send()?.status().as_u16())
}
