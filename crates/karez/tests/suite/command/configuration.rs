//! Configuration files, and the commands that read one.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Caller, Database, Launch, command};
use anyhow::ensure;
use reqwest::Method;
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn an_unknown_key_is_named_with_its_line() -> anyhow::Result<()> {
    let refused = refused("[api]\nlisten = \"127.0.0.1:0\"\nlissen = 1\n")?;
    ensure!(refused.contains("lissen") && refused.contains("line"), "{refused}");
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_named() -> anyhow::Result<()> {
    let finished = command::karez(&["server", "--config", "/nowhere/karez.toml"])?;
    ensure!(finished.code == Some(1) && finished.stderr.contains("/nowhere/karez.toml"), "{finished:?}");
    Ok(())
}

#[test]
fn callers_are_believed_on_loopback_only() -> anyhow::Result<()> {
    let why = refused("[api]\nlisten = \"0.0.0.0:0\"\n[identity]\nmode = \"none\"\n")?;
    ensure!(why.contains("loopback") && why.contains("0.0.0.0"), "{why}");
    let state = tempfile::tempdir()?;
    let state = state.path().to_string_lossy();
    let up = command::karez(&[
        "up",
        "--agent",
        "off",
        "--identity",
        "none",
        "--listen",
        "0.0.0.0:0",
        "--state-dir",
        &state,
    ])?;
    ensure!(up.code == Some(1) && up.stderr.contains("loopback"), "{up:?}");
    Ok(())
}

#[test]
fn half_of_a_certificate_is_refused() -> anyhow::Result<()> {
    let why = refused("[api]\nlisten = \"127.0.0.1:0\"\ntls_key = \"/nowhere\"\n")?;
    ensure!(why.contains("tls_certificate"), "{why}");
    Ok(())
}

#[test]
fn the_configuration_is_shown_without_its_secrets() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("karez.toml");
    fs::write(
        &file,
        "[store]\nurl = \"postgresql://karez:s3cret@db.example/karez\"\n[secrets]\nkey_file = \"/k\"\n\
         [identity]\nmode = \"keystone\"\n[identity.embedded]\nadmin_password = \"s3cret\"\n\
         [identity.keystone]\nauth_url = \"http://k\"\nusername = \"karez\"\npassword = \"s3cret\"\n",
    )?;
    let shown = command::karez(&["config".as_ref(), "show".as_ref(), "--config".as_ref(), file.as_os_str()])?;
    ensure!(shown.code == Some(0), "{shown:?}");
    ensure!(!shown.stdout.contains("s3cret") && !shown.stderr.contains("s3cret"), "{shown:?}");
    let json: serde_json::Value = serde_json::from_str(&shown.stdout)?;
    ensure!(
        json["identity"]["keystone"]["username"] == "karez" && json["api"]["connections"].is_u64(),
        "{json}"
    );
    Ok(())
}

#[test]
fn a_database_is_migrated_and_checked_on_sqlite() -> anyhow::Result<()> {
    a_database_is_migrated_and_checked(Sqlite)
}

#[test]
fn a_database_is_migrated_and_checked_on_postgresql() -> anyhow::Result<()> {
    a_database_is_migrated_and_checked(Postgresql)
}

fn a_database_is_migrated_and_checked(store: StoreKind) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = Database::create(store, folder.path())?;
    let file = folder.path().join("karez.toml");
    let key = folder.path().join("secret.key");
    fs::write(
        &file,
        format!("[store]\nurl = \"{}\"\n[secrets]\nkey_file = \"{}\"\n", database.url(), key.display()),
    )?;
    for _ in 0..2 {
        let migrated = db("migrate", &file)?;
        ensure!(migrated.code == Some(0) && migrated.stdout.contains("up to date"), "{migrated:?}");
    }
    let checked = db("check", &file)?;
    ensure!(checked.code == Some(0) && checked.stdout.contains("sound"), "{checked:?}");

    let sql =
        "INSERT INTO ikepolicies (id, project_id, name, description, auth_algorithm, encryption_algorithm,
        phase1_negotiation_mode, lifetime, ike_version, pfs, created_at, updated_at, rev)
        VALUES ('x', 'p', '', '', '', '', '', 'no JSON', '', '', 0, 0, 0)";
    database.execute(sql)?;
    let checked = db("check", &file)?;
    ensure!(checked.code == Some(1) && checked.stdout.contains("ikepolicies.lifetime of x"), "{checked:?}");
    database.execute("INSERT INTO schema_steps (name, applied_at) VALUES ('9999_future', 0)")?;
    let migrated = db("migrate", &file)?;
    ensure!(migrated.code == Some(1) && migrated.stderr.contains("9999_future"), "{migrated:?}");
    Ok(())
}

#[test]
fn a_state_directory_without_database_is_not_made_up() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_string_lossy();
    for words in [&["db", "migrate"][..], &["db", "check"], &["db", "rotate-key"], &["reset-admin"]] {
        let finished = command::karez(&[words, &["--state-dir", &path]].concat())?;
        ensure!(finished.code == Some(1) && finished.stderr.contains("karez.db"), "{finished:?}");
    }
    ensure!(fs::read_dir(folder.path())?.next().is_none(), "something was made");
    Ok(())
}

#[test]
fn a_check_of_a_database_that_is_not_there_names_it_and_makes_none() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("karez.toml");
    let missing = folder.path().join("mistyped.db");
    let key = folder.path().join("secret.key");
    fs::write(
        &file,
        format!(
            "[store]\nurl = \"sqlite:{}\"\n[secrets]\nkey_file = \"{}\"\n",
            missing.display(),
            key.display()
        ),
    )?;
    let nowhere = folder.path().join("nowhere");
    let by_config = db("check", &file)?;
    let by_directory =
        command::karez(&["db".as_ref(), "check".as_ref(), "--state-dir".as_ref(), nowhere.as_os_str()])?;
    for (checked, named) in [(by_config, &missing), (by_directory, &nowhere)] {
        ensure!(checked.code == Some(1), "{checked:?}");
        ensure!(checked.stderr.contains(&*named.to_string_lossy()), "{checked:?}");
    }
    let left: Vec<_> = fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    ensure!(left.len() == 1, "something was made: {left:?}");
    Ok(())
}

#[test]
fn a_misspelt_policy_rule_is_warned_of_once_and_stops_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let policy = folder.path().join("policy.yaml");
    fs::write(
        &policy,
        "create_ikpolicy: \"!\"\nvpn_admin: \"role:vpn_admin\"\ncreate_ipsecpolicy: \"rule:vpn_admin\"\n",
    )?;
    let settings = format!("[policy]\nfile = \"{}\"\n", policy.display());
    let server = Launch::new(Sqlite).settings(&settings).start()?;
    let log = server.log()?;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    ensure!(warnings.len() == 1 && warnings[0].contains("create_ikpolicy"), "{log}");
    for (path, member, status) in
        [("/v2.0/vpn/ikepolicies", "ikepolicy", 201), ("/v2.0/vpn/ipsecpolicies", "ipsecpolicy", 403)]
    {
        let request = Caller::member("p").request(&server, Method::POST, path).json(&json!({member: {}}));
        let answer = request.send()?.status();
        ensure!(answer == status, "{path}: {answer}");
    }
    Ok(())
}

fn db(action: &str, file: &Path) -> anyhow::Result<command::Finished> {
    command::karez(&["db".as_ref(), action.as_ref(), "--config".as_ref(), file.as_os_str()])
}

/// Why a server with these further lines does not start.
fn refused(lines: &str) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("karez.toml");
    let here = folder.path().display();
    let least = format!("[store]\nurl = \"sqlite:{here}/karez.db\"\n[secrets]\nkey_file = \"{here}/key\"\n");
    fs::write(&file, format!("{least}{lines}"))?;
    let finished = command::karez(&["server".as_ref(), "--config".as_ref(), file.as_os_str()])?;
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(!folder.path().join("karez.db").exists(), "it has made a database before it looked");
    Ok(finished.stderr)
}
