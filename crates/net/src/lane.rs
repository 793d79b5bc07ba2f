//! Lanes: what comes from one network, by certain links, and goes to certain others is led to a device. All else, and
//! what comes otherwise, never meets a lane.
//!
//! A lane is a routing table of its own that rules lead into by the link that a packet came in through and by its source.
//! In it each destination has two routes: by the device, and below it, with a higher metric, into nothing. So when the
//! device goes, and the kernel takes its routes away, what was for it goes nowhere, and not another way. Networks that
//! are kept are thrown back to the rules that follow.
//!
//! Rules and routes of lanes have a protocol number of their own. The kernel goes through rules one by one for each packet
//! that it routes: there are as many as links that a source comes in by, however many destinations there are.

mod held;
mod kernel;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use ipnet::IpNet;

use crate::{Error, Namespace};
pub use held::{held, hold};
use kernel::{Kernel, Kind, Line};

/// The link that stands for the machine's own sockets.
pub const OWN: &str = "lo";

/// The number in `protocol` that says that a rule or route is part of a lane.
const PROTOCOL: u8 = 201;

/// Of the rules: before the main table's, 32766, and before charon's, 220.
const PRIORITY: u32 = 210;

/// The numbers of tables that are lanes.
const TABLES: Range<u32> = 0x4b61_0000..0x4b62_0000;

/// Of the routes that lead into nothing, for the packets that no route by the device takes.
const LAST: u32 = 4_000_000;

/// A lane as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Where packets come from; no two lanes have the same.
    pub from: IpNet,
    /// How they come in. Without any there is no lane.
    pub entries: BTreeSet<Entry>,
    /// Where they go by way of the device.
    pub to: BTreeSet<IpNet>,
    /// Where they go as they would without the lane, also if that is within `to`.
    pub kept: BTreeSet<IpNet>,
}

/// How packets come into a lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The link that they came in through; [`OWN`] for what the machine itself sends from such an address.
    pub link: String,
    /// Where they come from.
    pub from: IpNet,
}

/// A lane in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How packets come in.
    pub entries: BTreeSet<Entry>,
    /// Where to, each with the number of the device that it is led to; none while there is no device.
    pub to: BTreeMap<IpNet, Option<u32>>,
    /// What is thrown back.
    pub kept: BTreeSet<IpNet>,
}

/// Makes exactly these lanes: what is missing is added, what is surplus removed, all else left alone. `device` is the number
/// of the device, where there is one. At no time does a packet that was in a lane before, and is afterwards, go another way.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn ensure(namespace: &Namespace, wanted: Vec<Lane>, device: Option<u32>) -> Result<bool, Error> {
    let work = move || make(&Kernel::open()?, &wanted, device);
    namespace.run_async(work).await?.map_err(|source| failed(namespace, source))
}

/// Leads all lanes that are there to this device, and gives what there is then.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn lead(namespace: &Namespace, device: u32) -> Result<Vec<Found>, Error> {
    let work = move || {
        let kernel = Kernel::open()?;
        let mut lanes = Vec::new();
        for (table, entries) in tables(&kernel)? {
            let mut lines = lines(&kernel, table, &entries)?;
            for line in led(&lines, device) {
                kernel.put(table, &line)?;
                lines.retain(|other| other.place() != line.place());
                lines.insert(line);
            }
            lanes.push(found(entries, &lines));
        }
        Ok(lanes)
    };
    namespace.run_async(work).await?.map_err(|source| failed(namespace, source))
}

/// Whether there is any lane.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn exists(namespace: &Namespace) -> Result<bool, Error> {
    let found = namespace.run_async(|| Ok(!tables(&Kernel::open()?)?.is_empty())).await?;
    found.map_err(|source| failed(namespace, source))
}

fn failed(namespace: &Namespace, source: io::Error) -> Error {
    Error::system(namespace, "lead packets into tunnels", source)
}

/// The tables that rules of ours lead into.
fn tables(kernel: &Kernel) -> io::Result<BTreeMap<u32, BTreeSet<Entry>>> {
    let mut tables: BTreeMap<u32, BTreeSet<Entry>> = BTreeMap::new();
    for (table, entry) in kernel.rules()? {
        tables.entry(table).or_default().insert(entry);
    }
    Ok(tables)
}

fn lines(kernel: &Kernel, table: u32, entries: &BTreeSet<Entry>) -> io::Result<BTreeSet<Line>> {
    let Some(entry) = entries.first() else { return Ok(BTreeSet::new()) };
    kernel.routes(table, entry.from.addr())
}

fn make(kernel: &Kernel, wanted: &[Lane], device: Option<u32>) -> io::Result<bool> {
    let mut has_changed = false;
    let mut tables = tables(kernel)?;
    for (lane, table) in number(wanted, &tables) {
        let entries = tables.remove(&table).unwrap_or_default();
        has_changed |= make_one(kernel, lane, table, &entries, device)?;
    }
    for (table, entries) in tables {
        for entry in &entries {
            kernel.remove_rule(table, entry)?;
        }
        for line in lines(kernel, table, &entries)? {
            kernel.remove(table, &line)?;
        }
        has_changed = true;
    }
    Ok(has_changed)
}

/// Which table is whose: the one that has the lane's own rule, else one that has some of its rules, else a free one.
fn number<'a>(wanted: &'a [Lane], tables: &BTreeMap<u32, BTreeSet<Entry>>) -> Vec<(&'a Lane, u32)> {
    let lanes: Vec<&Lane> = wanted.iter().filter(|lane| !lane.entries.is_empty()).collect();
    let mut free: BTreeMap<u32, &BTreeSet<Entry>> =
        tables.iter().map(|(table, entries)| (*table, entries)).collect();
    let mut numbered = BTreeMap::new();
    let own = |lane: &Lane, entries: &BTreeSet<Entry>| entries.iter().any(|entry| entry.from == lane.from);
    let some = |lane: &Lane, entries: &BTreeSet<Entry>| !entries.is_disjoint(&lane.entries);
    for is_its in [&own as &dyn Fn(&Lane, &BTreeSet<Entry>) -> bool, &some] {
        for (index, lane) in lanes.iter().enumerate() {
            if numbered.contains_key(&index) {
                continue;
            }
            let table = free.iter().find(|(_, entries)| is_its(lane, entries)).map(|(table, _)| *table);
            if let Some(table) = table {
                free.remove(&table);
                numbered.insert(index, table);
            }
        }
    }
    let mut unused = TABLES.filter(|table| !tables.contains_key(table));
    let table = |(index, lane)| Some((lane, numbered.get(&index).copied().or_else(|| unused.next())?));
    lanes.into_iter().enumerate().filter_map(table).collect()
}

fn make_one(
    kernel: &Kernel,
    lane: &Lane,
    table: u32,
    entries: &BTreeSet<Entry>,
    device: Option<u32>,
) -> io::Result<bool> {
    let line = |kind, metric: u32| move |net: &IpNet| Line { net: net.trunc(), kind, metric };
    let kept: BTreeSet<Line> = lane.kept.iter().map(line(Kind::Throw, 0)).collect();
    let to: BTreeSet<IpNet> = lane.to.difference(&lane.kept).copied().collect();
    let last: BTreeSet<Line> = to.iter().map(line(Kind::Blackhole, LAST)).collect();
    // A table that no rule leads into may be left from somebody who was interrupted.
    let found = kernel.routes(table, lane.from.addr())?;
    let (mut now, mut has_changed) = (found.clone(), false);
    for line in kept.iter().chain(&last).filter(|line| !found.contains(line)) {
        kernel.put(table, line)?;
        now.retain(|other| other.place() != line.place());
        now.insert(*line);
        has_changed = true;
    }
    if let Some(device) = device {
        for line in led(&now, device).filter(|line| to.contains(&line.net)) {
            kernel.put(table, &line)?;
            now.retain(|other| other.place() != line.place());
            has_changed = true;
        }
    }
    let is_wanted = |line: &Line| match line.kind {
        Kind::Device(_) => to.contains(&line.net),
        Kind::Blackhole => last.contains(line),
        Kind::Throw => kept.contains(line),
    };
    // What leads to the device goes first, and what keeps packets from going elsewhere last.
    for line in now.iter().filter(|line| !is_wanted(line)) {
        kernel.remove(table, line)?;
        has_changed = true;
    }
    for entry in lane.entries.difference(entries) {
        kernel.add_rule(table, entry)?;
        has_changed = true;
    }
    for entry in entries.difference(&lane.entries) {
        kernel.remove_rule(table, entry)?;
        has_changed = true;
    }
    Ok(has_changed)
}

/// The routes by the device that are missing beside those into nothing.
fn led(lines: &BTreeSet<Line>, device: u32) -> impl Iterator<Item = Line> + use<> {
    let line = |net| Line { net, kind: Kind::Device(device), metric: 0 };
    let last = lines.iter().filter(|line| line.kind == Kind::Blackhole).map(|last| line(last.net));
    last.filter(|line| !lines.contains(line)).collect::<Vec<_>>().into_iter()
}

fn found(entries: BTreeSet<Entry>, lines: &BTreeSet<Line>) -> Found {
    let mut found = Found { entries, ..Found::default() };
    for line in lines {
        match line.kind {
            Kind::Device(device) => {
                found.to.insert(line.net, Some(device));
            }
            Kind::Blackhole => {
                found.to.entry(line.net).or_default();
            }
            Kind::Throw => {
                found.kept.insert(line.net);
            }
        }
    }
    found
}
