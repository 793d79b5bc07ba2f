//! Where a scene keeps its files, and the right to its name.

use crate::Error;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What is known of all scenes of this machine. It goes when the machine is started again, as namespaces do.
const HOME: &str = "/run/karez-scene";

/// The file that says of a directory that a scene made it and may remove it.
const MARK: &str = "this-is-a-karez-scene";

/// The directory in which is known what a scene consists of.
pub(super) fn home(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}

/// The right to a name, as long as it lives.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    _file: File,
}

impl Claim {
    pub(super) fn take(name: &str) -> Result<Self, Error> {
        // No hyphen: one scene's namespaces must never look like another's.
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(1..=20).contains(&name.len()) || !name.chars().all(is_plain) {
            let text = format!("{name:?} cannot name a scene: it takes one to twenty of a-z and 0-9");
            return Err(Error::Unexpected(text));
        }
        make_private(Path::new(HOME))?;
        let path = Path::new(HOME).join(format!("{name}.lock"));
        loop {
            let open = File::options().write(true).create(true).truncate(false).open(&path);
            let file = open.map_err(Error::file("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Err(Error::Taken { name: name.to_owned() }),
                Err(fs::TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
            }
            // The one that had it may have removed it between our opening and locking.
            let inode = |meta: fs::Metadata| meta.ino();
            if fs::metadata(&path).ok().map(inode) == file.metadata().ok().map(inode) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Best effort: an empty file in /run harms nobody.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(HOME);
    }
}

/// The directory of a scene.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    numbers: AtomicU32,
}

impl Place {
    /// Makes the directory, or takes over an empty one.
    pub(super) fn prepare(name: &str, chosen: Option<&Path>) -> Result<Self, Error> {
        let directory = chosen.map_or_else(|| home(name).join("files"), Path::to_owned);
        make_private(&directory)?;
        let directory = directory.canonicalize().map_err(Error::file("find", &directory))?;
        let mut entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
        if entries.next().is_some() {
            let text = format!("{} is not empty: name another directory", directory.display());
            return Err(Error::Machine(text));
        }
        make_private(&home(name))?;
        let mark = directory.join(MARK);
        fs::write(&mark, "Everything in here is removed with the scene.\n")
            .map_err(Error::file("write", &mark))?;
        Ok(Self { directory, numbers: AtomicU32::new(1) })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn next_number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Removes a scene's directory; one without our mark is somebody else's and stays.
pub(super) fn remove(directory: &Path) -> Result<(), Error> {
    if directory.join(MARK).is_file() { remove_all(directory) } else { Ok(()) }
}

/// Removes a directory with all that is in it.
pub(super) fn remove_all(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", directory)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Passwords and captures are in there.
fn make_private(directory: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(Error::file("make the directory", directory))
}
