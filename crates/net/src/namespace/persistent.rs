//! Namespaces with a name: a file in `/run/netns` that the namespace is mounted on. The convention is iproute2's, and
//! so is the lock on the directory, so that `ip netns` and Karez may work at the same time.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use super::thread;
use crate::Error;

const DIRECTORY: &str = "/run/netns";
const NOTHING: Option<&str> = None;

pub(super) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

pub(super) fn is_namespace(file: &File) -> bool {
    fstatfs(file).is_ok_and(|status| status.filesystem_type() == NSFS_MAGIC)
}

fn is_mounted(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| is_namespace(&file))
}

pub(super) fn create(name: &str) -> Result<(), Error> {
    let failed = |operation: &str| {
        let operation = operation.to_owned();
        move |source: io::Error| Error::system(name, operation, source)
    };
    make_directory().map_err(failed("make /run/netns"))?;
    let _lock = lock().map_err(failed("lock /run/netns"))?;
    share_directory().map_err(failed("make /run/netns a shared mount"))?;
    let path = path(name);
    if is_mounted(&path) {
        return Ok(());
    }
    // A file without a namespace on it is what remains of a process that ended too early; it is used again.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o400)
        .open(&path)
        .map_err(failed("make its file in /run/netns"))?;
    let mounted = thread::fresh(name, || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        mount(Some("/proc/thread-self/ns/net"), &path, NOTHING, MsFlags::MS_BIND, NOTHING)
    })?;
    mounted.map_err(|errno| {
        // The file is only a place for the mount; without one it would be a namespace that cannot be entered.
        let _ = fs::remove_file(&path);
        Error::system(name, "make the network namespace", errno)
    })
}

pub(super) fn delete(name: &str) -> Result<bool, Error> {
    let failed = |operation: &'static str| move |source: io::Error| Error::system(name, operation, source);
    let path = path(name);
    let _lock = match lock() {
        Ok(lock) => lock,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(failed("lock /run/netns")(source)),
    };
    // Two programs that did not lock may have mounted one over the other.
    loop {
        match umount2(&path, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => break,
            Err(errno) => return Err(failed("unmount the network namespace")(errno.into())),
        }
    }
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("remove its file in /run/netns")(source)),
    }
}

pub(super) fn list() -> Result<Vec<String>, Error> {
    let failed = |source| Error::system("(any)", "list /run/netns", source);
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_mounted(&entry.path()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Nothing is opened: this is asked often. A file without a namespace on it is in it too.
pub(super) fn numbers() -> Result<BTreeMap<String, u64>, Error> {
    let failed = |source| Error::system("(any)", "list /run/netns", source);
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut numbers = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // What is mounted there is asked for, which the directory's own entry does not know. It may go meanwhile.
        if let Ok(found) = fs::metadata(entry.path()) {
            numbers.insert(name, found.ino());
        }
    }
    Ok(numbers)
}

fn make_directory() -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(DIRECTORY)
}

/// Held until it is dropped. `ip netns` takes the same one.
fn lock() -> io::Result<File> {
    let directory = File::open(DIRECTORY)?;
    directory.lock()?;
    Ok(directory)
}

/// Mounts below a shared directory appear and disappear in every mount namespace at once. Without it a namespace
/// that some service with private mounts still sees could never be removed.
fn share_directory() -> io::Result<()> {
    let share = || mount(NOTHING, DIRECTORY, NOTHING, MsFlags::MS_SHARED | MsFlags::MS_REC, NOTHING);
    match share() {
        // Only a mount point can be shared; so it becomes one.
        Err(Errno::EINVAL) => {
            mount(Some(DIRECTORY), DIRECTORY, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
            share()?;
        }
        other => other?,
    }
    Ok(())
}
