//! Keys are changed while the server works, and must be right when it starts.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Launch, Server, Site, command, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

#[test]
fn keys_are_rotated_under_load_and_every_secret_stays_readable_on_sqlite() -> anyhow::Result<()> {
    keys_are_rotated_under_load_and_every_secret_stays_readable(Sqlite)
}

#[test]
fn keys_are_rotated_under_load_and_every_secret_stays_readable_on_postgresql() -> anyhow::Result<()> {
    keys_are_rotated_under_load_and_every_secret_stays_readable(Postgresql)
}

fn keys_are_rotated_under_load_and_every_secret_stays_readable(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let keys = |server: &Server| fs::read_to_string(server.state().join("secret.key"));
    let written: Mutex<BTreeMap<String, String>> = Mutex::default();
    let book = || written.lock().unwrap_or_else(PoisonError::into_inner);
    let is_over = AtomicBool::new(false);
    let site = Site::build(&server, "p")?;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (site, is_over, book) = (&site, &is_over, &book);
                scope.spawn(move || {
                    let mut number = 0;
                    while !is_over.load(SeqCst) {
                        number += 1;
                        let psk = format!("key {number} of writer {writer}");
                        let id = site.connect(&psk)?;
                        book().insert(id, psk);
                    }
                    Ok::<_, anyhow::Error>(())
                })
            })
            .collect();
        let rotated = (0..4).try_for_each(|_| {
            let before = book().len();
            wait::until("new connections", Duration::from_secs(60), || {
                Ok((book().len() > before + 15).then_some(()))
            })?;
            rotate(&server)
        });
        is_over.store(true, SeqCst);
        for writer in writers {
            writer.join().unwrap_or_else(|_| anyhow::bail!("a writer panicked"))?;
        }
        rotated
    })?;
    let site_connection = site.connect("after all")?;
    book().insert(site_connection, "after all".into());
    must_have_keys(&server, &site, &book())?;
    ensure!(!server.log()?.contains("panicked"), "{}", server.log()?);

    let file = keys(&server)?;
    ensure!(file.lines().count() == 1, "old keys are still there");
    let mode = fs::metadata(server.state().join("secret.key"))?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    let member = site.member.clone();
    drop(site);
    server.stop()?;
    server.start_again()?;
    let listed = list(&server, &member)?;
    ensure!(listed == *book(), "not every key can be read after a restart");
    let checked = command::check(&server.configuration())?;
    ensure!(checked.code == Some(0), "{checked:?}");
    Ok(())
}

#[test]
fn a_rotation_by_steps_ends_with_one_key_and_every_secret_readable_on_sqlite() -> anyhow::Result<()> {
    a_rotation_by_steps_ends_with_one_key_and_every_secret_readable(Sqlite)
}

#[test]
fn a_rotation_by_steps_ends_with_one_key_and_every_secret_readable_on_postgresql() -> anyhow::Result<()> {
    a_rotation_by_steps_ends_with_one_key_and_every_secret_readable(Postgresql)
}

fn a_rotation_by_steps_ends_with_one_key_and_every_secret_readable(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let (member, written) = two_secrets(&server)?;
    let first = key_file(&server)?;
    for (name, says, keys) in [
        ("add", "The new key is ", 2),
        ("reseal", "2 secret(s) were sealed", 2),
        ("retire", "1 old key(s) were removed", 1),
    ] {
        let done = step(&server, name)?;
        ensure!(done.code == Some(0) && done.stdout.starts_with(says), "{name}: {done:?}");
        ensure!(key_file(&server)?.len() == keys, "{name}: {} keys", key_file(&server)?.len());
        let checked = command::check(&server.configuration())?;
        ensure!(checked.code == Some(0), "{name}: {checked:?}");
        ensure!(list(&server, &member)? == written, "{name}: not every secret can be read");
    }
    ensure!(key_file(&server)? != first, "the old key was kept and the new one removed");
    // What runs remembers the keys and the objects that it has seen.
    server.stop()?;
    server.start_again()?;
    ensure!(list(&server, &member)? == written, "not every secret can be read after a restart");
    Ok(())
}

#[test]
fn old_keys_that_are_needed_are_not_retired_on_sqlite() -> anyhow::Result<()> {
    old_keys_that_are_needed_are_not_retired(Sqlite)
}

#[test]
fn old_keys_that_are_needed_are_not_retired_on_postgresql() -> anyhow::Result<()> {
    old_keys_that_are_needed_are_not_retired(Postgresql)
}

fn old_keys_that_are_needed_are_not_retired(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let (member, written) = two_secrets(&server)?;
    step(&server, "add")?;
    let both = key_file(&server)?;
    let refused = step(&server, "retire")?;
    ensure!(refused.code == Some(1), "{refused:?}");
    ensure!(refused.stderr.contains("2 secret(s) were still sealed with an old key"), "{refused:?}");
    ensure!(both.len() == 2 && key_file(&server)? == both, "a key is gone all the same");
    let retired = step(&server, "retire")?;
    ensure!(retired.code == Some(0) && retired.stdout.starts_with("1 old key(s)"), "{retired:?}");
    ensure!(key_file(&server)? == both[1..], "not the newest key was kept");
    server.stop()?;
    server.start_again()?;
    ensure!(list(&server, &member)? == written, "not every secret can be read");
    Ok(())
}

#[test]
fn without_its_key_the_server_says_which_file_is_wrong_and_does_not_start() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).start()?;
    let id = Site::build(&server, "p")?.connect("a secret")?;
    server.stop()?;
    let file = server.state().join("secret.key");
    let right = fs::read(&file)?;
    let another = format!("{}\n", "17".repeat(32));
    for wrong in [Some("garbage\n"), Some(""), Some("12345678 zz\n"), Some(another.as_str()), None] {
        match wrong {
            Some(text) => fs::write(&file, text)?,
            None => fs::remove_file(&file)?,
        }
        let configuration = server.configuration();
        let arguments = ["server".as_ref(), "--config".as_ref(), configuration.as_os_str()];
        let started = command::karez(&arguments).context("it started without its key")?;
        ensure!(started.code == Some(1), "{wrong:?}: {started:?}");
        ensure!(started.stderr.contains("key"), "{wrong:?}: {started:?}");
        ensure!(!started.stderr.contains("panicked"), "{wrong:?}: {started:?}");
    }
    fs::write(&file, right)?;
    server.start_again()?;
    let member = crate::support::Caller::member("p");
    ensure!(list(&server, &member)?.get(&id).is_some_and(|psk| psk == "a secret"));
    Ok(())
}

fn rotate(server: &Server) -> anyhow::Result<()> {
    let before = fs::read_to_string(server.state().join("secret.key"))?;
    let configuration = server.configuration();
    let rotated = command::karez(&[
        "db".as_ref(),
        "rotate-key".as_ref(),
        "--config".as_ref(),
        configuration.as_os_str(),
    ])?;
    ensure!(rotated.code == Some(0), "{rotated:?}");
    let after = fs::read_to_string(server.state().join("secret.key"))?;
    ensure!(!after.contains(before.trim()), "the old key is still there");
    Ok(())
}

/// One step of a rotation.
fn step(server: &Server, name: &str) -> anyhow::Result<command::Finished> {
    let configuration = server.configuration();
    let words = ["db", "rotate-key", "--step", name, "--config"].map(std::ffi::OsStr::new);
    command::karez(&[&words[..], &[configuration.as_os_str()]].concat())
}

/// The lines of the key file, one a key.
fn key_file(server: &Server) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(server.state().join("secret.key"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A member with two connections, and their keys.
fn two_secrets(server: &Server) -> anyhow::Result<(crate::support::Caller, BTreeMap<String, String>)> {
    let site = Site::build(server, "p")?;
    let mut written = BTreeMap::new();
    for psk in ["one secret", "another secret"] {
        written.insert(site.connect(psk)?, psk.to_owned());
    }
    Ok((site.member, written))
}

fn must_have_keys(server: &Server, site: &Site<'_>, book: &BTreeMap<String, String>) -> anyhow::Result<()> {
    ensure!(list(server, &site.member)? == *book, "not every key can be read");
    Ok(())
}

/// Connections with their keys.
fn list(server: &Server, member: &crate::support::Caller) -> anyhow::Result<BTreeMap<String, String>> {
    let path = "/v2.0/vpn/ipsec-site-connections?fields=id&fields=psk";
    let response = member.request(server, Method::GET, path).send()?;
    let (status, text) = (response.status(), response.text()?);
    ensure!(status == 200, "{status} {text}\n{}", server.log()?);
    let body: Json = serde_json::from_str(&text)?;
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let connections = body["ipsec_site_connections"].as_array().context("no list")?;
    Ok(connections.iter().map(|connection| (text(&connection["id"]), text(&connection["psk"]))).collect())
}
