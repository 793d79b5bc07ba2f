//! TLS by certificate files.

use crate::support::StoreKind::Sqlite;
use crate::support::{Launch, command, raw, wait};
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_server_with_a_certificate_speaks_https_and_nothing_else() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (certificate, key) = certificate(folder.path())?;
    let server = Launch::new(Sqlite).api(&tls(&certificate, &key)).api("head_timeout_seconds = 2").start()?;
    ensure!(server.base().starts_with("https://127.0.0.1:"), "{}", server.base());
    let trusted = reqwest::Certificate::from_pem(&fs::read(&certificate)?)?;
    let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([trusted]).build()?;
    let answer = client.get(server.base()).send()?.text()?;
    ensure!(answer.contains(&format!("{}/v2.0/", server.base())), "{answer}");

    let stranger = reqwest::blocking::Client::builder().no_proxy().build()?;
    ensure!(stranger.get(server.base()).send().is_err(), "a client that knows nobody trusts it");

    let began = Instant::now();
    let plain = raw::exchange(server.base(), b"GET / HTTP/1.1\r\nHost: karez\r\n\r\n")?;
    ensure!(raw::status(&plain).is_none(), "{plain}");
    let silent = raw::exchange(server.base(), b"")?;
    ensure!(raw::status(&silent).is_none(), "{silent}");
    ensure!(began.elapsed() < Duration::from_secs(30), "a plain client hangs for {:?}", began.elapsed());
    Ok(())
}

#[test]
fn sighup_ends_nothing_and_serves_the_certificate_that_is_there_then() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (certificate, key) = certificate(folder.path())?;
    let mut server = Launch::new(Sqlite).api(&tls(&certificate, &key)).start()?;
    let knows = |server: &crate::support::Server| -> anyhow::Result<bool> {
        let trusted = reqwest::Certificate::from_pem(&fs::read(&certificate)?)?;
        let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([trusted]).build()?;
        Ok(client.get(server.base()).send().is_ok())
    };
    ensure!(knows(&server)?);
    self::certificate(folder.path())?;
    ensure!(!knows(&server)?, "the one from before is served until somebody looks");
    hang_up(&server)?;
    wait::until("the new certificate", Duration::from_secs(20), || Ok(knows(&server)?.then_some(())))?;

    // Half a change is none.
    fs::write(&key, "no key")?;
    hang_up(&server)?;
    wait::until("a complaint", Duration::from_secs(20), || {
        Ok(server.log()?.contains("the certificate that is served stays").then_some(()))
    })?;
    ensure!(knows(&server)? && server.is_alive()?);

    let file = server.configuration();
    let text = fs::read_to_string(&file)?;
    fs::write(&file, format!("{text}\n[log]\nfilter = \"debug\"\n"))?;
    hang_up(&server)?;
    wait::until("more lines", Duration::from_secs(20), || {
        Ok((knows(&server)? && server.log()?.contains("DEBUG")).then_some(()))
    })
}

fn hang_up(server: &crate::support::Server) -> anyhow::Result<()> {
    let told = Command::new("kill").args(["-HUP", &server.pid().to_string()]).status()?;
    ensure!(told.success(), "{told}");
    Ok(())
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (certificate, key) = certificate(folder.path())?;
    let (_, another) = self::certificate(tempfile::tempdir_in(folder.path())?.keep().as_path())?;
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "")?;
    let nowhere = folder.path().join("nowhere.pem");
    for (certificate, key, named) in [
        (&nowhere, &key, "nowhere.pem"),
        (&certificate, &nowhere, "nowhere.pem"),
        (&certificate, &empty, "empty.pem"),
        (&empty, &key, "empty.pem"),
        (&certificate, &another, "certificate.pem"),
    ] {
        let file = folder.path().join("karez.toml");
        let here = folder.path().display();
        let lines = tls(certificate, key);
        fs::write(
            &file,
            format!(
                "[api]\nlisten = \"127.0.0.1:0\"\n{lines}\n[store]\nurl = \"sqlite:{here}/k.db\"\n[secrets]\nkey_file = \"{here}/k\"\n"
            ),
        )?;
        let finished = command::karez(&["server".as_ref(), "--config".as_ref(), file.as_os_str()])?;
        ensure!(finished.code == Some(1) && finished.stderr.contains(named), "{finished:?}");
    }
    Ok(())
}

#[test]
fn karez_why_trusts_whom_it_is_told_to_trust() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (certificate, key) = certificate(folder.path())?;
    let server = Launch::new(Sqlite).api(&tls(&certificate, &key)).start()?;
    let trusted = certificate.display().to_string();
    // There is no Keystone there, which only who trusts the server can find out.
    for (name, value, told) in [
        ("OS_REGION_NAME", "RegionOne", "certificate"),
        ("OS_CACERT", &*trusted, "answers 404"),
        ("OS_INSECURE", "true", "answers 404"),
        ("OS_CACERT", "/nowhere.pem", "/nowhere.pem"),
    ] {
        let mut why = Command::new(env!("CARGO_BIN_EXE_karez"));
        why.arg("why").env_clear().env("OS_AUTH_URL", format!("{}/v3", server.base())).env(name, value);
        let finished = command::finish(why.env("OS_TOKEN", "t"))?;
        ensure!(finished.code == Some(2) && finished.stderr.contains(told), "{name}={value}: {finished:?}");
        ensure!(told == "certificate" || !finished.stderr.contains("is not answered"), "{finished:?}");
    }
    Ok(())
}

fn tls(certificate: &Path, key: &Path) -> String {
    format!("tls_certificate = \"{}\"\ntls_key = \"{}\"", certificate.display(), key.display())
}

/// A certificate for this machine, signed by itself, and its key.
fn certificate(folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = command::finish(
        Command::new("openssl")
            .args(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=karez"
                    .split(' '),
            )
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key),
    )
    .context("this test needs openssl, of the Debian package `openssl`")?;
    ensure!(made.code == Some(0), "{made:?}");
    Ok((certificate, key))
}
