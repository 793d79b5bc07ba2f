//! What a scene needs of the machine, said before anything is begun.

use crate::Error;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where Debian and Fedora keep charon.
const CHARON: [&str; 3] =
    ["/usr/lib/ipsec/charon", "/usr/libexec/ipsec/charon", "/usr/libexec/strongswan/charon"];

/// The way in which an agent talks to charon.
const VICI: [&str; 2] =
    ["/usr/lib/ipsec/plugins/libstrongswan-vici.so", "/usr/lib64/strongswan/plugins/libstrongswan-vici.so"];

/// charon's ESP in user space, for kernels without ESP.
const LIBIPSEC: [&str; 2] = [
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so",
    "/usr/lib64/strongswan/plugins/libstrongswan-kernel-libipsec.so",
];

/// A program, by the Debian package that brings it.
const PROGRAMS: [(&str, &str); 4] =
    [("nft", "nftables"), ("tcpdump", "tcpdump"), ("ping", "iputils-ping"), ("setsid", "util-linux")];

/// Fails unless this process is root and everything is installed that a scene with tunnels needs.
///
/// # Errors
///
/// [`Error::Machine`], with the command that mends it.
pub fn check() -> Result<(), Error> {
    check_root()?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = String::from("these are not installed:");
    for (what, package) in &missing {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n    {what} (package {package})");
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let _ = write!(text, "\nInstall them: apt-get install --no-install-recommends {}", packages.join(" "));
    Err(Error::Machine(text))
}

/// Fails unless this process is root.
///
/// # Errors
///
/// [`Error::Machine`].
pub fn check_root() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let text = "this needs root: it makes network namespaces, and removes them at the end";
    Err(Error::Machine(text.to_owned()))
}

/// What is not there, each with the Debian package that brings it.
fn missing() -> Vec<(&'static str, &'static str)> {
    let is_there = |paths: &[&str]| paths.iter().any(|path| Path::new(path).exists());
    let mut missing = Vec::new();
    if !is_there(&CHARON) {
        missing.push(("charon, the IKE daemon of strongSwan", "strongswan-charon"));
    }
    if !is_there(&VICI) {
        missing.push(("charon's VICI", "strongswan-swanctl"));
    }
    if !has_kernel_esp() && !is_there(&LIBIPSEC) {
        missing.push(("charon's kernel-libipsec, as this kernel has no ESP", "libcharon-extra-plugins"));
    }
    missing.extend(PROGRAMS.iter().filter(|(name, _)| !program(name).is_file()));
    missing
}

/// A program's path, or its bare name when it is nowhere.
pub(crate) fn program(name: &str) -> PathBuf {
    folders().map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap_or_else(|| name.into())
}

/// A PATH that has root's programs too, for somebody who became root with plain `su`.
pub(crate) fn path() -> OsString {
    std::env::join_paths(folders()).unwrap_or_else(|_| std::env::var_os("PATH").unwrap_or_default())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own: Vec<PathBuf> = std::env::split_paths(&path).collect();
    own.into_iter().chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(Into::into))
}

/// Whether the kernel's modules, or what is built into it, include ESP. Where that cannot be told, the answer is no:
/// a package too many does no harm.
fn has_kernel_esp() -> bool {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else { return false };
    let folder = Path::new("/lib/modules").join(release.trim());
    ["modules.builtin", "modules.dep"]
        .iter()
        .any(|list| std::fs::read_to_string(folder.join(list)).is_ok_and(|list| list.contains("/esp4.ko")))
}
