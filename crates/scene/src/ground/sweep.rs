//! Removing everything of a scene, whoever made it and in whatever state it is.
//!
//! It goes by what is there, so that the way out of this process, the start after one that was killed, and the end of
//! a scene that was kept are the same thing, and doing it twice is harmless.

use super::{kin, place, record};
use crate::Error;
use crate::process::{self, Identity, end};
use karez_net::Namespace;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// For a process to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the names of a scene's own namespaces begin with.
pub(super) fn prefix(name: &str) -> String {
    format!("kz-{name}-")
}

pub(super) fn everything(name: &str) -> Result<(), Error> {
    let kept = record::read(name)?.unwrap_or_default();
    let prefix = prefix(name);
    let mut own = Namespace::list()?;
    own.retain(|namespace| namespace.starts_with(&prefix));
    // Links tell who belongs to whom, so this must be asked before anything is removed.
    let mut routers: BTreeSet<String> = kin::of(&own).into_iter().collect();
    routers.extend(kept.namespaces);

    // Agents first: they would start again what they find ended.
    end(&kept.processes, PATIENCE)?;
    let mut theirs: Vec<Identity> =
        routers.iter().filter_map(|name| kin::router_of(name)).flat_map(kin::processes_of).collect();
    let namespaces: Vec<String> = routers.into_iter().chain(own).collect();
    theirs.extend(inside(&namespaces));
    end(&theirs, PATIENCE)?;
    for namespace in &namespaces {
        Namespace::delete(namespace)?;
    }
    if !kept.directory.as_os_str().is_empty() {
        place::remove(&kept.directory)?;
    }
    place::remove_all(&place::home(name))
}

/// The processes that live in these namespaces.
fn inside(namespaces: &[String]) -> Vec<Identity> {
    let inode = |name: &String| fs::metadata(Path::new("/run/netns").join(name)).ok().map(|meta| meta.ino());
    let inodes: BTreeSet<u64> = namespaces.iter().filter_map(inode).collect();
    let is_inside = |pid: &i32| {
        fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|meta| inodes.contains(&meta.ino()))
    };
    process::all().filter(is_inside).filter_map(Identity::of).collect()
}
