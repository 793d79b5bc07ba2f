//! Network namespaces: made so that they outlive the process, found again by name, and entered.
//!
//! A namespace is entered by a thread of its own that ends with the work, so that no thread of the async runtime is
//! ever left in the wrong place. Sockets keep the namespace that they were opened in.

mod persistent;
mod sysctl;
mod thread;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use crate::Error;

/// An open network namespace; it lives at least as long as this value does. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: Arc<str>,
    file: Arc<File>,
}

impl Namespace {
    /// The namespace of the calling thread. At process start that is the host's.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where `/proc` is not mounted.
    pub fn current() -> Result<Self, Error> {
        const NAME: &str = "(current)";
        let file = File::open("/proc/thread-self/ns/net")
            .map_err(|source| Error::system(NAME, "open the current network namespace", source))?;
        Ok(Self { name: NAME.into(), file: Arc::new(file) })
    }

    /// Opens the namespace of this name, making it first if it is not there, as `ip netns add` would: any other
    /// program finds it by the name, and it stays when this process ends. Its loopback link is down.
    ///
    /// Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceName`] for what is not a file name; [`Error::Denied`] without root; [`Error::System`].
    pub fn create(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        persistent::create(name)?;
        Self::open(name)
    }

    /// Opens the namespace of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoNamespace`] if there is none, [`Error::NamespaceName`], [`Error::System`].
    pub fn open(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        let missing = || Error::NoNamespace { name: name.to_owned() };
        let file = File::open(persistent::path(name)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => Error::system(name, "open the network namespace", source),
        })?;
        if !persistent::is_namespace(&file) {
            return Err(missing());
        }
        Ok(Self { name: name.into(), file: Arc::new(file) })
    }

    /// Whether there is a namespace of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceName`], [`Error::System`].
    pub fn exists(name: &str) -> Result<bool, Error> {
        match Self::open(name) {
            Ok(_) => Ok(true),
            Err(Error::NoNamespace { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of all namespaces, in order.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn list() -> Result<Vec<String>, Error> {
        persistent::list()
    }

    /// The numbers of all namespaces by their names. Another namespace under the same name has another number, as long
    /// as the first one is held open.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn numbers() -> Result<BTreeMap<String, u64>, Error> {
        persistent::numbers()
    }

    /// Its number, which no other namespace of the machine has as long as this one lives.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn number(&self) -> Result<u64, Error> {
        let found = self.file.metadata();
        Ok(found.map_err(|source| Error::system(self, "look at the network namespace", source))?.ino())
    }

    /// Takes the name of a namespace away; `false` when there was none. With its last user (a process in it, an open
    /// [`Namespace`], a socket) the kernel then removes the namespace, its links, and their ends elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceName`], [`Error::Denied`], [`Error::System`].
    pub fn delete(name: &str) -> Result<bool, Error> {
        check_name(name)?;
        persistent::delete(name)
    }

    /// Its name, or `(current)`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// One file name and nothing else: a name must not lead out of the directory.
fn check_name(name: &str) -> Result<(), Error> {
    let one_file =
        !name.is_empty() && name.len() <= 255 && !name.contains(['/', '\0']) && name != "." && name != "..";
    if one_file { Ok(()) } else { Err(Error::NamespaceName { name: name.to_owned() }) }
}
