//! What passes over a link, recorded by `tcpdump` and read back by ourselves.

mod packet;
mod pcap;

#[cfg(test)]
mod tests;

use crate::process::{Process, tail};
use crate::{Error, Ground, needs, wait};
use karez_net::Namespace;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use packet::{Kind as PacketKind, Packet};

/// For `tcpdump` to begin and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording that runs; it ends when it is dropped.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    base: PathBuf,
}

impl Capture {
    /// Returns when packets are being recorded.
    pub(crate) fn begin(ground: &Ground, namespace: &Namespace, link: &str) -> Result<Self, Error> {
        let base = ground.fresh_file("capture");
        // It writes to what we have opened: it is not allowed to open much by itself.
        let arguments = ["-i", link, "-n", "-U", "--immediate-mode", "-Z", "root", "-w", "-"];
        let mut process = ground.start_in(namespace, "tcpdump", &arguments, &base)?;
        wait::until("tcpdump to begin", PATIENCE, || {
            process.check()?;
            let said = tail(&base.with_extension("log"), 5);
            Ok(if said.contains("listening on") { Ok(()) } else { Err(said) })
        })?;
        Ok(Self { process, base })
    }

    /// Ends it, and tells what was seen.
    ///
    /// # Errors
    ///
    /// When `tcpdump` does not end, or what it wrote cannot be understood.
    pub fn stop(mut self) -> Result<Captured, Error> {
        self.catch_up()?;
        self.process.signal(Signal::INT);
        self.process.ended(PATIENCE)?;
        let (written, file) = (self.base.with_extension("out"), self.base.with_extension("pcap"));
        std::fs::rename(&written, &file).map_err(Error::file("rename", &written))?;
        let bytes = std::fs::read(&file).map_err(Error::file("read", &file))?;
        let packets =
            pcap::read(&bytes).map_err(|why| Error::Unexpected(format!("{}: {why}", file.display())))?;
        let dropped = self.accounts().last().map_or(0, |account| account.dropped);
        Ok(Captured { packets, dropped, file })
    }

    /// Waits until everything is written that the kernel has seen by now: at its end `tcpdump` leaves the rest unread.
    fn catch_up(&mut self) -> Result<(), Error> {
        let mut goal = None;
        wait::until("tcpdump to write what was seen", PATIENCE, || {
            self.process.check()?;
            let before = self.accounts().len();
            // It answers with an account in its log.
            self.process.signal(Signal::USR1);
            let account = wait::until("tcpdump to give an account", PATIENCE, || {
                Ok(self.accounts().get(before).copied().ok_or_else(String::new))
            })?;
            let goal = *goal.get_or_insert(account.received);
            Ok(if account.written >= goal { Ok(()) } else { Err(format!("{} of {goal}", account.written)) })
        })
    }

    fn accounts(&self) -> Vec<Account> {
        accounts(&tail(&self.base.with_extension("log"), usize::MAX))
    }
}

/// What was seen on a link.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The packets, in order.
    pub packets: Vec<Packet>,
    /// How many the kernel had to leave out.
    pub dropped: u32,
    /// The recording, for `tcpdump -r` and Wireshark.
    pub file: PathBuf,
}

impl Captured {
    /// How many there are of a kind.
    #[must_use]
    pub fn count(&self, kind: PacketKind) -> usize {
        self.packets.iter().filter(|packet| packet.kind == kind).count()
    }

    /// How many hold protected traffic: ESP, in UDP or not, and AH.
    #[must_use]
    pub fn protected(&self) -> usize {
        [PacketKind::Esp, PacketKind::EspInUdp, PacketKind::Ah].into_iter().map(|kind| self.count(kind)).sum()
    }

    /// Those that are neither protected nor part of IKE nor about neighbours.
    #[must_use]
    pub fn clear(&self) -> Vec<&Packet> {
        self.packets.iter().filter(|packet| packet.kind == PacketKind::Clear).collect()
    }

    /// Some lines of `tcpdump`'s words about what was recorded, addresses as numbers, without the time.
    ///
    /// # Errors
    ///
    /// When `tcpdump` does not run.
    pub fn text(&self, lines: usize, filter: &str) -> Result<String, Error> {
        text(&self.file, lines, filter)
    }
}

fn text(file: &Path, lines: usize, filter: &str) -> Result<String, Error> {
    let mut command = std::process::Command::new(needs::program("tcpdump"));
    command.args(["-n", "-t", "-c", &lines.to_string(), "-Z", "root", "-r"]).arg(file).arg(filter);
    let output = command.output().map_err(Error::io("run tcpdump"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// What `tcpdump` says that it and the kernel have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    written: u32,
    received: u32,
    dropped: u32,
}

/// On demand it is one line, at the end three: `9 packets captured, 9 packets received by filter, 0 packets dropped by
/// kernel`.
fn accounts(log: &str) -> Vec<Account> {
    let parts = || log.split([',', '\n']).map(|part| part.trim_start_matches("tcpdump:").trim_start());
    let numbers = |what: &str| -> Vec<u32> {
        let number = |part: &str| part.strip_suffix(what)?.split_once(' ')?.0.parse().ok();
        parts().filter_map(number).collect()
    };
    let written = numbers("captured");
    let (received, dropped) = (numbers("received by filter"), numbers("dropped by kernel"));
    let together = written.into_iter().zip(received).zip(dropped);
    together.map(|((written, received), dropped)| Account { written, received, dropped }).collect()
}
