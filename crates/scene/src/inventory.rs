//! All that there is on a machine of a scene, for comparing a before with an after.

use crate::{Error, Ground, ground, process};
use karez_net::Netlink;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One line for each thing, in order.
pub(crate) fn of(ground: &Ground, node: &Netlink, state: &Path) -> Result<Vec<String>, Error> {
    let mut lines = network(ground, node)?;
    let mut files = Vec::new();
    list(state, &mut files);
    lines.extend(files);
    lines.extend(
        ground::joined_with(node.namespace().name()).into_iter().map(|name| format!("namespace {name}")),
    );
    lines.extend(processes(state));
    lines.sort();
    Ok(lines)
}

fn network(ground: &Ground, node: &Netlink) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for link in ground.wait_for(node.links())? {
        lines.push(format!("link {} ({})", link.name, link.kind));
        let addresses = match ground.wait_for(node.addresses(&link.name)) {
            // It has just gone.
            Err(Error::Net(karez_net::Error::NoLink { .. })) => Default::default(),
            addresses => addresses?,
        };
        lines.extend(addresses.iter().map(|address| format!("address {address} on {}", link.name)));
    }
    lines.extend(ground.wait_for(node.routes())?.iter().map(|route| format!("route {:?}", route.route)));
    lines.extend(ground.wait_for(node.rules())?.iter().map(|rule| format!("rule {rule:?}")));
    let base = ground.fresh_file("ruleset");
    let mut nft = ground.start_in(node.namespace(), "nft", &["--stateless", "list", "ruleset"], &base)?;
    nft.succeeded(Duration::from_secs(10))?;
    let out = base.with_extension("out");
    let ruleset = fs::read_to_string(&out).map_err(Error::file("read", &out))?;
    lines.extend(ruleset.lines().map(|line| format!("nft {line}")));
    Ok(lines)
}

/// Files and directories, those within included.
fn list(directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        found.push(format!("file {}", entry.path().display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), found);
        }
    }
}

/// The processes that see a directory below this one in the place of another, as IKE daemons do.
fn processes(state: &Path) -> impl Iterator<Item = String> {
    // A mount's root is told from the top of its file system, which may be mounted anywhere.
    let tail: String = state
        .iter()
        .rev()
        .take(3)
        .collect::<Vec<_>>()
        .iter()
        .rev()
        .fold(String::new(), |path, part| format!("{path}/{}", part.to_string_lossy()));
    process::all().filter_map(move |pid| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
        let mount = mounts.lines().find(|line| line.contains(&format!("{tail}/")))?;
        let identity = process::Identity::of(pid)?;
        Some(format!("process {} with {}", identity.pid, mount.split(' ').nth(3).unwrap_or_default()))
    })
}
