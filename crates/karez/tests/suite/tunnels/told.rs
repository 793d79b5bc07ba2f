//! What a connection tells of itself, waited for.

use crate::support::command::finish;
use crate::tunnels::stage::binary;
use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use karez_scene::{Captured, Cloud, Connection, Ground, Host, Status, wait};
use serde_json::Value as Json;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For anything that a connection may come to say: longer than ten seconds of silence and the pause after them.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until what is known of a connection is so, and gives it.
pub fn shows(connection: &Connection, what: &str, is_so: impl Fn(&Status) -> bool) -> Result<Status> {
    Ok(wait::until(&format!("connection {}: {what}", connection.id()), SOON, || {
        let status = connection.status()?;
        Ok(if is_so(&status) { Ok(status) } else { Err(told(&status)) })
    })?)
}

/// Waits until a connection has this status for this reason, and gives what it says beside.
pub fn says(connection: &Connection, status: &str, reason: &str) -> Result<Status> {
    let is_so = |shown: &Status| shown.0["status"] == status && shown.reason() == Some(reason);
    let shown = shows(connection, &format!("{status} {reason}"), is_so)?;
    let resource = connection.show()?;
    ensure!(resource["status_reason"] == reason, "the connection itself says {}", resource["status_reason"]);
    Ok(shown)
}

/// What `karez why` answers its administrator about a connection, and with which exit code.
pub fn why(cloud: &Cloud, connection: &Connection) -> Result<(Option<i32>, Json)> {
    let mut command = Command::new(binary());
    command.env_clear().env("OS_CLIENT_CONFIG_FILE", cloud.state_directory().join("clouds.yaml"));
    let told = finish(command.args(["why", "--json", "--os-cloud", "karez", connection.id()]))?;
    let list: Json = serde_json::from_str(&told.stdout).with_context(|| format!("{told:?}"))?;
    Ok((told.code, list[0].clone()))
}

/// Whether it is up, with all of its subnets.
pub fn is_whole(status: &Status) -> bool {
    let is_whole = status.reason().is_none() && status.0["missing"] == serde_json::json!([]);
    status.0["status"] == "ACTIVE" && is_whole && !status.children().is_empty()
}

/// Waits until all of them are up, with all of their subnets.
pub fn all_whole(connections: &[&Connection]) -> Result<Vec<Status>> {
    connections.iter().map(|connection| shows(connection, "ACTIVE and whole", is_whole)).collect()
}

/// Waits until two ends are up with all of their subnets, each once, and gives what they say. While both have begun at
/// once there are two of each; a packet may be on its way when one of them goes.
pub fn settled(left: &Connection, right: &Connection) -> Result<(Status, Status)> {
    let is_once = |status: &Status| {
        let mut pairs = selectors(status);
        pairs.dedup();
        is_whole(status) && pairs.len() == status.children().len()
    };
    // With IKEv1, of two children that were made at the same moment charon takes at each end the one for a renewal of the
    // other, and keeps both to their end.
    let is_same = |one: &Status, two: &Status| one.0["ike"]["version"] == 1 || one.mirrors(two);
    Ok(wait::until("both ends to have the same child SAs", SOON, || {
        let (one, two) = (left.status()?, right.status()?);
        let is_so = is_once(&one) && is_once(&two) && is_same(&one, &two);
        Ok(if is_so { Ok((one, two)) } else { Err(format!("{}\n{}", told(&one), told(&two))) })
    })?)
}

/// What should have been protected and was not. What the gateways themselves say to each other, such as that a port
/// is closed, is theirs.
pub fn in_clear(captured: &Captured, subnets: &[IpNet]) -> Vec<String> {
    let is_inner = |address: &IpAddr| subnets.iter().any(|net| net.contains(address));
    let clear = captured.clear().into_iter();
    let theirs =
        clear.filter(|packet| packet.route.is_none_or(|(from, to)| is_inner(&from) || is_inner(&to)));
    theirs.map(ToString::to_string).collect()
}

/// Everything that tells one IKE SA with its children from another.
pub fn sas(status: &Status) -> (String, Vec<String>) {
    let children = status.spis().into_iter().map(|(inbound, outbound)| format!("{inbound}-{outbound}"));
    (ike(status), children.collect())
}

/// The SPIs of the IKE SA.
pub fn ike(status: &Status) -> String {
    format!("{}-{}", status.0["ike"]["initiator_spi"], status.0["ike"]["responder_spi"])
}

/// The subnets in force, `local === peer` for each child SA.
pub fn selectors(status: &Status) -> Vec<String> {
    let nets = |list: &serde_json::Value| {
        let nets = list.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let mut nets: Vec<&str> = nets.collect();
        nets.sort_unstable();
        nets.join(" ")
    };
    let pair = |child| -> String {
        let child: &serde_json::Value = child;
        format!("{} === {}", nets(&child["local_subnets"]), nets(&child["peer_subnets"]))
    };
    let mut pairs: Vec<String> = status.children().iter().map(pair).collect();
    pairs.sort();
    pairs
}

/// Waits until ten pings in a row come back through a tunnel that is up. The end that answers is up before the last
/// message has come to the one that has begun, what was negotiated twice is ended a moment later, and a busy machine may
/// keep one back. That nothing is lost is shown where a ping runs all the while.
pub fn reaches(host: &Host, address: IpAddr) -> Result<()> {
    Ok(wait::until("ten pings in a row", SOON, || {
        let pings = host.ping(address, 10)?;
        Ok(if pings.all_answered() { Ok(()) } else { Err(pings.summary()) })
    })?)
}

/// Looks for a key in everything that the scene has written: logs, databases, configuration, what programs printed.
pub fn is_nowhere(key: &str, ground: &Ground) -> Result<()> {
    let mut files = Vec::new();
    find(ground.directory(), &mut files)?;
    ensure!(files.iter().any(|file| file.extension().is_some_and(|end| end == "log")), "no log is there");
    for file in files {
        // A socket cannot be read, and a file may go while we look.
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let is_there = bytes.windows(key.len()).any(|window| window == key.as_bytes());
        ensure!(!is_there, "a key is in {}", file.display());
    }
    Ok(())
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => find(&entry.path(), found)?,
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

fn told(status: &Status) -> String {
    let all = &status.0;
    let short = serde_json::json!({
        "status": all["status"], "reason": all["reason"], "ike": all["ike"], "selectors": selectors(status),
        "missing": all["missing"],
    });
    let last = all["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last: Vec<String> =
        last.iter().map(|event| format!("\n  {} {}", event["kind"], event["message"])).collect();
    format!("{short}{}", last.concat())
}
