//! `karez demo`: two whole clouds on this machine, a tunnel between them, and the proof that it is one.
//!
//! Each claim is checked as it is printed; the first that does not hold ends the demo with an error.

mod absent;
mod agreed;
mod farewell;
mod paper;
mod tunnel;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use karez_scene::{Address, Captured, End, Ground, Internet, PacketKind, Timeline, interrupt, needs};
use paper::{Paper, seconds};
use std::path::{Path, PathBuf};

/// There is one at a time on a machine.
const NAME: &str = "demo";

/// Where its files go. It goes when the machine is started again, as the namespaces do.
const DIRECTORY: &str = "/run/karez-demo";

#[derive(Args)]
pub(crate) struct Options {
    /// Leaves both clouds running at the end, and says how to use them
    #[arg(long)]
    keep: bool,
    /// Where the files of both clouds go: a directory that is empty or not there
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    directory: PathBuf,
    /// Ends a demo that was left running, and removes everything of it
    #[arg(long, conflicts_with_all = ["keep", "directory"])]
    stop: bool,
}

/// Runs the demo. Must not be called from inside of an async runtime.
pub(crate) fn run(options: &Options) -> Result<()> {
    let paper = Paper;
    if options.stop {
        return farewell::stop(&paper);
    }
    needs::check()?;
    interrupt::heed()?;
    if Ground::clear(NAME)?.is_some() {
        paper.note("The demo that was left running before was ended.")?;
    }
    let ground = Ground::claim_in(NAME, Some(&options.directory))?;
    match play(&ground, &paper, options.keep) {
        Ok(()) if options.keep => Ok(()),
        Ok(()) => {
            ground.close()?;
            paper.heading("Everything was as it should be; both clouds are ended, and all of it is removed")
        }
        Err(error) if matches!(error.downcast_ref(), Some(karez_scene::Error::Interrupted)) => {
            ground.close()?;
            bail!("interrupted; all of the demo is removed")
        }
        Err(error) => Err(error.context("the demo has failed")),
    }
}

fn play(ground: &Ground, paper: &Paper, is_kept: bool) -> Result<()> {
    let binary = std::env::current_exe().context("the path of this program")?;
    let (mut one, mut two) = build(ground, paper, &binary)?;
    cannot_reach(paper, &one, &two)?;

    let capture = one.cloud.capture()?;
    let (left, right) = tunnel::between(paper, &one, &two)?;
    tunnel::reach(paper, &one, &two)?;
    between_the_clouds(paper, &capture.stop()?)?;
    agreed::show(paper, &one, &left, &right)?;
    absent::peer(paper, &one, &two)?;

    if is_kept {
        farewell::keep(paper, ground, &one, &two)?;
        ground.keep();
        one.cloud.keep();
        two.cloud.keep();
    }
    Ok(())
}

fn build(ground: &Ground, paper: &Paper, binary: &Path) -> Result<(End, End)> {
    paper.heading("Two clouds on this machine, in namespaces without a way out")?;
    paper.text(&[
        "10.10.10.10         200.200.128.100                200.200.128.151         20.20.20.20",
        "host 1 ---- cloud 1 router ======== internet ======== router cloud 2 ---- host 2",
    ])?;
    paper.note("")?;
    let internet = Internet::build(ground)?;
    let first = Address {
        cloud: "cloud1",
        outer: [200, 200, 128, 100].into(),
        subnet: "10.10.10.0/24".parse()?,
        host: [10, 10, 10, 10].into(),
    };
    let second = Address {
        cloud: "cloud2",
        outer: [200, 200, 128, 151].into(),
        subnet: "20.20.20.0/24".parse()?,
        host: [20, 20, 20, 20].into(),
    };
    let build = |address: &Address<'_>| {
        let mut timeline = Timeline::begin();
        let end = End::build(internet.segment(), binary, address)?;
        let took = seconds(timeline.mark("built"));
        let what = format!("{}: API, agent, database, router, host", address.cloud);
        paper.line(&what, &format!("{}, in {took}", end.cloud.client().base()))?;
        Ok::<_, anyhow::Error>(end)
    };
    Ok((build(&first)?, build(&second)?))
}

fn cannot_reach(paper: &Paper, one: &End, two: &End) -> Result<()> {
    paper.heading("Without a tunnel the hosts cannot reach each other")?;
    for (from, to) in [(one, two), (two, one)] {
        let (here, there) = (from.host.addresses()[0], to.host.addresses()[0]);
        let pings = from.host.ping(there, 5)?;
        ensure!(pings.received == 0, "{here} reaches {there} without a tunnel");
        paper.line(&format!("ping {here} -> {there}"), &pings.summary())?;
    }
    Ok(())
}

fn between_the_clouds(paper: &Paper, captured: &Captured) -> Result<()> {
    paper.heading("What the internet has seen of it, recorded between the clouds")?;
    let count = |kinds: &[PacketKind]| kinds.iter().map(|kind| captured.count(*kind)).sum::<usize>();
    let ike = count(&[PacketKind::Ike, PacketKind::IkeOnNatPort]);
    let other = [PacketKind::Neighbour, PacketKind::KeepAlive, PacketKind::Error];
    let clear = captured.clear();
    for (what, number) in [
        ("IKE", ike),
        ("ESP in UDP", captured.count(PacketKind::EspInUdp)),
        ("ESP", captured.count(PacketKind::Esp)),
        ("neighbour discovery, keep-alive, ICMP errors about IKE", count(&other)),
        ("anything else: packets that should have been protected", clear.len()),
    ] {
        paper.line(what, &format!("{number} packets"))?;
    }
    let lines = captured.text(6, "udp or esp")?;
    paper.text(&lines.lines().collect::<Vec<_>>())?;
    if let Some(packet) = clear.first() {
        bail!("a packet passed in clear: {packet}");
    }
    ensure!(captured.dropped == 0, "{} packets could not be recorded", captured.dropped);
    // The last ping of each direction is not waited for, and passes up to twice.
    ensure!(captured.protected() >= 4 * tunnel::PINGS as usize - 4, "fewer protected packets than pings");
    ensure!(ike > 0, "no IKE was seen");
    Ok(())
}
