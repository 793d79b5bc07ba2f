//! What is deleted leaves nothing in the kernel.

use crate::kernel::router::Inside;
use crate::kernel::stage::{Stage, UP};
use anyhow::Result;
use karez_scene::{Wish, wait};
use std::time::Duration;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn a_deleted_connection_leaves_no_association_policy_route_rule_or_socket() -> Result<()> {
    let stage = Stage::build("kernelgone")?;
    let ends = [&stage.one, &stage.two];
    // A router is there before all of it is.
    let before = ends.map(|end| {
        wait::until("a router that is made", UP, || {
            let one = end.site.everything().ok();
            wait::pause(Duration::from_secs(1))?;
            let other = end.site.everything().ok();
            Ok(one.clone().filter(|_| one == other).ok_or_else(|| format!("{one:#?}\n{other:#?}")))
        })
    });
    let (left, right) = stage.connected(&Wish::modern())?;
    stage.both_reach(5)?;
    for (end, before) in ends.iter().zip(&before) {
        assert_ne!(Some(&end.site.everything()?), before.as_ref().ok());
    }

    left.delete()?;
    right.delete()?;
    for (end, before) in ends.iter().zip(before) {
        end.site.becomes(&before?)?;
        assert_eq!(end.site.ip(&["xfrm", "state"])?, "");
        assert_eq!(end.site.ip(&["xfrm", "policy"])?, "");
        wait::until("the end of the IKE daemon", UP, || {
            let left = end.site.processes();
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
        })?;
    }
    stage.ground.succeeded();
    Ok(())
}
