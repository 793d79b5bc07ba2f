//! `karez why`, asked as members and readers of a project ask it.

mod cloud;

use crate::support::relay::Relay;
use crate::support::{Up, command, wait};
use anyhow::{Context, ensure};
use cloud::Cloud;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Of a peer that sends what a terminal would obey.
fn unreachable() -> Option<(&'static str, &'static str, Json)> {
    let message = "Nothing was heard from 198.51.100.7\u{1b}[2J.";
    Some(("peer_unreachable", message, json!({"sent": 5, "theirs": "\u{9b}31m"})))
}

#[test]
fn member_and_reader_are_told_why_by_name_by_id_and_for_all() -> anyhow::Result<()> {
    let cloud = Cloud::start()?;
    let (first, second) =
        (cloud.connect("to-berlin", "10.9.0.0/24")?, cloud.connect("to-paris", "10.8.0.0/24")?);
    wait::until("the server to see that there is no agent", SOON, || {
        let told = cloud.why(&cloud.openrc("ann"), &["to-berlin"])?;
        ensure!(told.code == Some(1), "{told:?}");
        Ok((told.stdout.contains("no_agent") && told.stdout.contains("network agent list")).then_some(()))
    })?;

    cloud.attend()?;
    cloud.report(&first, "DOWN", "down", unreachable())?;
    cloud.report(&second, "ACTIVE", "up", None)?;
    for user in ["ann", "rita"] {
        for word in ["to-berlin", &first] {
            let told = cloud.why(&cloud.openrc(user), &[word])?;
            ensure!(told.code == Some(1) && told.stderr.is_empty(), "{told:?}");
            for expected in [
                &*format!("to-berlin ({first})\n"),
                "state          DOWN\n",
                "since          2023-11-14 22:13:20 UTC (",
                "reason         peer_unreachable\n",
                "evidence       Nothing was heard from 198.51.100.7\u{fffd}[2J.\n",
                "theirs: \u{fffd}31m\n",
                "fix here       check `--peer-address`",
                "fix at peer    check that the peer is up",
            ] {
                ensure!(told.stdout.contains(expected), "{expected} is missing: {told:?}");
            }
        }
        let told = cloud.why(&cloud.openrc(user), &["to-paris"])?;
        ensure!(
            told.code == Some(0) && told.stdout.contains("ACTIVE") && !told.stdout.contains("fix"),
            "{told:?}"
        );
        let told = cloud.why(&cloud.openrc(user), &[])?;
        ensure!(
            told.code == Some(1) && told.stdout.contains(&second) && told.stdout.contains(&first),
            "{told:?}"
        );
        ensure!(!told.stdout.contains("hush"), "a key is shown");
    }
    Ok(())
}

#[test]
fn programs_get_a_list_of_objects_and_an_exit_code() -> anyhow::Result<()> {
    let cloud = Cloud::start()?;
    let ann = cloud.openrc("ann");
    let none = cloud.why(&ann, &["--json"])?;
    ensure!(none.code == Some(0) && none.stdout == "[]\n", "{none:?}");
    let ids = [cloud.connect("a", "10.9.0.0/24")?, cloud.connect("b", "10.8.0.0/24")?];
    cloud.attend()?;
    cloud.report(&ids[0], "ACTIVE", "up", None)?;
    cloud.report(&ids[1], "DOWN", "down", unreachable())?;
    let told = cloud.why(&ann, &["--json"])?;
    ensure!(told.code == Some(1) && told.stderr.is_empty(), "{told:?}");
    let list: Json = serde_json::from_str(&told.stdout)?;
    let [up, down] = list.as_array().context("a list")?.as_slice() else { anyhow::bail!("{list}") };
    ensure!(up["id"] == *ids[0] && up["status"] == "ACTIVE" && up["is_well"] == true, "{up}");
    ensure!(up["reason"].is_null() && up["fix_here"].is_null(), "{up}");
    ensure!(down["reason"] == "peer_unreachable" && down["is_well"] == false, "{down}");
    ensure!(down["since"] == "2023-11-14T22:13:20Z" && down["evidence"]["sent"] == 5, "{down}");
    ensure!(down["project_id"] == *cloud.project && down["fix_at_peer"].is_string(), "{down}");

    // Switched off by somebody is as it should be.
    cloud.report(&ids[1], "DOWN", "down", Some(("admin_down", "It is down.", json!({}))))?;
    let off = cloud.why(&ann, &[])?;
    ensure!(off.code == Some(0) && off.stdout.contains("admin_down"), "{off:?}");

    // An administrator's own project has none; he may ask for all.
    let state = cloud.state();
    let admin = [
        ("OS_CLIENT_CONFIG_FILE", state.join("clouds.yaml").display().to_string()),
        ("OS_CLOUD", "karez".to_owned()),
    ];
    let own = cloud.why(&admin, &[])?;
    ensure!(own.code == Some(0) && own.stdout == "There are no connections.\n", "{own:?}");
    let all = cloud.why(&admin, &["--all-projects"])?;
    ensure!(ids.iter().all(|id| all.stdout.contains(id)), "{all:?}");
    Ok(())
}

#[test]
fn what_cannot_be_answered_is_told_with_what_to_do() -> anyhow::Result<()> {
    let cloud = Cloud::start()?;
    let twins = [cloud.connect("twin", "10.9.0.0/24")?, cloud.connect("twin", "10.8.0.0/24")?];
    let ann = cloud.openrc("ann");
    let refused = |variables: &[(&'static str, String)], arguments: &[&str], named: &[&str]| {
        let told = cloud.why(variables, arguments)?;
        ensure!(told.code == Some(2) && told.stdout.is_empty(), "{told:?}");
        ensure!(named.iter().all(|word| told.stderr.contains(word)), "{named:?}: {told:?}");
        ensure!(!told.stderr.contains(cloud::PASSWORD), "a password is shown");
        Ok(())
    };
    refused(&ann, &["twin"], &["2 connections have the name", &twins[0], &twins[1]])?;
    refused(&ann, &["nobody"], &["no connection with the name or id \"nobody\""])?;
    let unknown = "00000000-0000-4000-8000-000000000000";
    refused(&ann, &[unknown], &["no connection", unknown])?;
    refused(&ann, &["--colour"], &["--colour"])?;
    refused(&ann, &["--log", "=a="], &["log filter"])?;
    let home = cloud.home()?.canonicalize()?;
    let usual = home.join(".config/openstack/clouds.yaml").display().to_string();
    refused(&[], &[], &["OS_AUTH_URL is not set", "OS_CLOUD", &usual, "/etc/openstack/clouds.yaml"])?;
    refused(&ann, &["--os-cloud", "here"], &["\"here\"", &usual])?;

    let but = |name: &'static str, value: &str| -> Vec<(&'static str, String)> {
        let others = ann.iter().filter(|(known, _)| *known != name).cloned();
        others.chain((!value.is_empty()).then(|| (name, value.to_owned()))).collect()
    };
    refused(&but("OS_PASSWORD", "wrong"), &[], &["is refused", "variables OS_*"])?;
    refused(&but("OS_PASSWORD", ""), &[], &["OS_PASSWORD is missing"])?;
    refused(&but("OS_PROJECT_NAME", ""), &[], &["OS_PROJECT_NAME or OS_PROJECT_ID is missing"])?;
    refused(&but("OS_AUTH_URL", &cloud.up.base), &["nobody"], &["no connection"])?;
    refused(&but("OS_AUTH_URL", &format!("{}/elsewhere", cloud.up.base)), &[], &["404", "auth_url"])?;
    refused(&but("OS_AUTH_URL", "http://127.0.0.1:1/v3"), &[], &["is not answered", "127.0.0.1:1"])?;
    refused(&but("OS_REGION_NAME", "Mars"), &[], &["\"Mars\"", "RegionOne"])?;

    // A file of a project is found where one is.
    let file = "clouds: {here: {auth: {auth_url: 'URL', username: rita, password: 'PW', project_name: p}}}";
    let file = file.replace("URL", &cloud.up.base).replace("PW", cloud::PASSWORD);
    fs::write(home.join("clouds.yaml"), file)?;
    for variables in [vec![], vec![("OS_CLOUD", "here".to_owned())]] {
        let told = cloud.why(&variables, &["--json"])?;
        ensure!(told.code == Some(1) && told.stdout.contains(&twins[0]), "{told:?}");
    }
    refused(&[], &["--os-cloud", "there"], &["has no cloud \"there\"; it has: here"])
}

#[test]
fn tokens_and_application_credentials_are_other_ways_in_and_a_catalog_can_be_overridden() -> anyhow::Result<()>
{
    let cloud = Cloud::start()?;
    let token = crate::support::up::token(&cloud.state())?;
    let url = format!("{}/identity/v3", cloud.up.base);
    let with = |more: &[(&'static str, &str)]| {
        let all = [("OS_AUTH_URL", url.as_str()), ("OS_AUTH_TYPE", "v3token"), ("OS_TOKEN", token.as_str())];
        let all: Vec<_> = all.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
        cloud.why(&all, &["--json"])
    };
    let override_ = ("OS_NETWORK_ENDPOINT_OVERRIDE", format!("{}/v2.0/", cloud.up.base));
    let domain = ("OS_PROJECT_DOMAIN_NAME", "Default");
    for more in [&[][..], &[("OS_PROJECT_NAME", "admin"), domain], &[(override_.0, &override_.1)]] {
        let told = with(more)?;
        ensure!(told.code == Some(0) && told.stdout == "[]\n", "{more:?}: {told:?}");
    }
    let told = with(&[("OS_NETWORK_ENDPOINT_OVERRIDE", "http://127.0.0.1:1")])?;
    ensure!(told.code == Some(2) && told.stderr.contains("127.0.0.1:1"), "{told:?}");
    let told = with(&[("OS_TOKEN", "no-such-token")])?;
    ensure!(told.code == Some(2) && told.stderr.contains("is refused"), "{told:?}");

    let found = cloud.call(Method::GET, "identity/v3/users?name=admin", None)?;
    let path = format!(
        "identity/v3/users/{}/application_credentials",
        found["users"][0]["id"].as_str().context("id")?
    );
    let made =
        cloud.call(Method::POST, &path, Some(json!({"application_credential": {"name": "for scripts"}})))?;
    let part = |name: &str| {
        Ok::<_, anyhow::Error>(made["application_credential"][name].as_str().context("none")?.to_owned())
    };
    let mut credential = vec![
        ("OS_AUTH_URL", url.clone()),
        ("OS_APPLICATION_CREDENTIAL_ID", part("id")?),
        ("OS_APPLICATION_CREDENTIAL_SECRET", part("secret")?),
    ];
    let told = cloud.why(&credential, &["--json"])?;
    ensure!(told.code == Some(0) && told.stdout == "[]\n", "{told:?}");
    credential[2].1 = "wrong".to_owned();
    let told = cloud.why(&credential, &[])?;
    ensure!(told.code == Some(2) && told.stderr.contains("is refused"), "{told:?}");
    Ok(())
}

#[test]
fn a_watch_tells_each_change_and_outlives_a_server_and_a_token() -> anyhow::Result<()> {
    let mut cloud = Cloud::start()?;
    let id = cloud.connect("to-berlin", "10.9.0.0/24")?;
    cloud.attend()?;
    cloud.report(&id, "DOWN", "down", unreachable())?;
    let relay = Relay::to(address(&cloud.up)?)?;
    let mut variables = cloud.openrc("ann");
    variables[0].1 = format!("http://{}/identity/v3", relay.address);
    let (out, err) = (cloud.home()?.join("out"), cloud.home()?.join("err"));
    let mut watch = Process(
        cloud
            .command(&variables, &["--watch", "--json", "to-berlin"])?
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out)?)
            .stderr(fs::File::create(&err)?)
            .spawn()?,
    );
    let told = |count: usize| {
        wait::until("another line", SOON, || {
            let text = fs::read_to_string(&out)?;
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let lines = whole
                .map(|line| Ok(serde_json::from_str::<Json>(line)?))
                .collect::<anyhow::Result<Vec<_>>>()?;
            ensure!(lines.len() <= count, "more is told than has changed: {text}");
            Ok(lines.get(count - 1).map(|line| line[0].clone()))
        })
    };
    let complains = |word: &str| {
        wait::until("a complaint", SOON, || Ok(fs::read_to_string(&err)?.contains(word).then_some(())))
    };
    ensure!(told(1)?["reason"] == "peer_unreachable");
    cloud.report(&id, "ACTIVE", "up", None)?;
    ensure!(told(2)?["status"] == "ACTIVE");

    relay.cut();
    complains("is not answered")?;
    ensure!(cloud.up.stop()? == Some(0));
    cloud.database().execute("DELETE FROM tokens")?;
    cloud.report(&id, "DOWN", "down", Some(("peer_lost", "It has stopped answering.", json!({}))))?;
    cloud.up = Up::start(&cloud.state(), &cloud.home()?.join("second"))?;
    relay.lead_to(address(&cloud.up)?);
    let last = told(3)?;
    ensure!(last["reason"] == "peer_lost" && last["id"] == *id, "{last}");
    complains("answers again")?;

    let interrupted = command::finish(Command::new("kill").args(["-INT", &watch.0.id().to_string()]))?;
    ensure!(interrupted.code == Some(0), "{interrupted:?}");
    wait::until("the end of the watch", SOON, || Ok(watch.0.try_wait()?))?;
    Ok(())
}

fn address(up: &Up) -> anyhow::Result<SocketAddr> {
    Ok(up.base.trim_start_matches("http://").parse()?)
}

/// Gone with the test.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
