//! Addresses that are held without being anybody's: somebody on this machine wants to see an address of a network, and none
//! of its hosts may lose one.
//!
//! Such an address is on the loopback, and the kernel does not take packets to it for its own: what says so has been moved
//! to a table that no packet is led to. It answers nobody, neither here nor to neighbours that ask who has it. As a source
//! the kernel does not choose it, but in IPv6, and where nothing is bound, for what goes to that very address.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::{failed, kernel::Kernel};
use crate::{Error, Namespace};

/// The kernel's table of what is its own.
const LOCAL: u32 = 255;

/// How often it is looked whether the kernel has come to an address, and the time between two looks. It takes well below a
/// millisecond; what comes later still is put right at the next call.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// Holds exactly these addresses. A route whose source is one of them is only taken in the table of this number.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn hold(namespace: &Namespace, wanted: BTreeSet<IpAddr>, table: u32) -> Result<bool, Error> {
    let work = move || make(&Kernel::open()?, &wanted, table);
    namespace.run_async(work).await?.map_err(|source| failed(namespace, source))
}

/// The addresses that are held.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn held(namespace: &Namespace) -> Result<BTreeSet<IpAddr>, Error> {
    let found = namespace.run_async(|| Kernel::open()?.held()).await?;
    found.map_err(|source| failed(namespace, source))
}

fn make(kernel: &Kernel, wanted: &BTreeSet<IpAddr>, table: u32) -> io::Result<bool> {
    let found = kernel.held()?;
    let mut has_changed = false;
    for address in wanted.difference(&found) {
        kernel.add_held(*address)?;
        has_changed = true;
    }
    for is_ipv4 in [true, false] {
        let Some(version) = wanted.iter().copied().find(|address| address.is_ipv4() == is_ipv4) else {
            continue;
        };
        let of_version = || wanted.iter().filter(|address| address.is_ipv4() == is_ipv4);
        if is_ipv4 {
            let there = kernel.locals(table, version)?;
            for address in of_version().filter(|address| !there.contains(*address)) {
                kernel.add_local(table, *address)?;
                has_changed = true;
            }
        }
        let is_new = |address: &&IpAddr| !found.contains(*address);
        let own = await_locals(kernel, version, &of_version().filter(is_new).copied().collect())?;
        for address in of_version().filter(|address| own.contains(*address)) {
            kernel.remove_local(LOCAL, *address)?;
            has_changed = true;
        }
    }
    for address in found.difference(wanted) {
        kernel.remove_local(table, *address)?;
        kernel.remove_held(*address)?;
        has_changed = true;
    }
    Ok(has_changed)
}

/// What the kernel counts for its own. Of an IPv6 address that was added it does so a moment later.
fn await_locals(kernel: &Kernel, version: IpAddr, added: &BTreeSet<IpAddr>) -> io::Result<BTreeSet<IpAddr>> {
    let mut own = kernel.locals(LOCAL, version)?;
    for _ in 0..LOOKS {
        if added.is_subset(&own) {
            break;
        }
        std::thread::sleep(PAUSE);
        own = kernel.locals(LOCAL, version)?;
    }
    Ok(own)
}
