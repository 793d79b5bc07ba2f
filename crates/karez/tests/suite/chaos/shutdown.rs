//! `karez up` is stopped and started again, as by an upgrade.

use crate::chaos::branch::{Tunnel, lossless, says, spis};
use crate::chaos::stage::{Clouds, UP};
use anyhow::Result;
use karez_scene::Timeline;

#[test]
fn after_a_clean_stop_tunnels_run_on_and_the_next_start_adopts_them() -> Result<()> {
    let mut clouds = Clouds::build("shutdown")?;
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let tunnel = Tunnel::one_sided(&near, &far)?;
    let (before, daemons) = (spis(&tunnel.near)?, near.site.processes());
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    let node = clouds.near.node().namespace().number()?;
    let lock = std::path::PathBuf::from(format!("/run/karez/node-{node}.lock"));
    assert!(lock.exists());

    let mut times = Timeline::begin();
    clouds.near.stop();
    times.mark("stopped");
    assert!(!lock.exists(), "what it held is left behind");
    pinger.flows(50, UP)?;
    assert_eq!(near.site.processes(), daemons);
    clouds.near.start_again()?;
    times.mark("started");
    assert_eq!(tunnel.near.show()?["status"], "ACTIVE");
    says(&tunnel.near, None, UP)?;
    pinger.flows(50, UP)?;
    assert_eq!(spis(&tunnel.near)?, before);
    assert_eq!(near.site.processes(), daemons);
    let pings = lossless(pinger)?;

    // It is its own tunnel again: it does as it is told.
    tunnel.near.edit(serde_json::json!({"admin_state_up": false}))?;
    tunnel.near.becomes("DOWN", UP)?;
    says(&tunnel.near, Some("admin_down"), UP)?;
    tunnel.near.edit(serde_json::json!({"admin_state_up": true}))?;
    tunnel.is_up(UP)?;
    eprintln!("{times}{}", pings.summary());
    clouds.ground.succeeded();
    Ok(())
}
