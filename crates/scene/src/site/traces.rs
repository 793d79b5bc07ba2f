//! What is on the machine because of a router.

use super::Site;
use crate::ground;
use karez_net::Namespace;
use std::fs;
use std::path::{Path, PathBuf};

impl Site {
    /// Everything on the machine that is there because of this router: its namespace, processes, files and links, each
    /// in a few words. Empty when nothing is left of it.
    #[must_use]
    pub fn traces(&self) -> Vec<String> {
        let name = self.namespace_name();
        let namespace =
            matches!(Namespace::exists(&name), Ok(true) | Err(_)).then(|| format!("namespace {name}"));
        let processes = self.processes().into_iter().map(|pid| format!("process {pid}"));
        let mut files = Vec::new();
        find(self.ground.directory(), &self.router, &mut files);
        let files = files.iter().map(|file| format!("file {}", file.display()));
        namespace.into_iter().chain(processes).chain(files).chain(self.links()).collect()
    }

    /// The processes that were started for this router.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        ground::processes_of(&self.router).into_iter().map(|process| process.pid).collect()
    }

    /// What agents make on the node for networks that have a router. A network's bridge stays as long as a host is on
    /// it.
    fn links(&self) -> impl Iterator<Item = String> {
        let links = self.ground.wait_for(self.node.links()).unwrap_or_default();
        let is_agents = |name: &str| ["kbr-", "kr-", "kx-"].iter().any(|prefix| name.starts_with(prefix));
        links.into_iter().filter(move |link| is_agents(&link.name)).map(|link| format!("link {}", link.name))
    }
}

/// Files and directories whose names hold this text.
fn find(directory: &Path, text: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().contains(text) {
            found.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), text, found);
        }
    }
}
