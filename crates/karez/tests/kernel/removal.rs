//! What is deleted leaves nothing in the kernel.

use crate::router::Inside;
use crate::stage::Stage;
use anyhow::Result;
use karez_scene::Wish;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn a_deleted_connection_leaves_no_association_policy_route_rule_or_socket() -> Result<()> {
    let stage = Stage::build("kernelgone")?;
    let ends = [&stage.one, &stage.two];
    let before = ends.map(|end| end.site.everything());
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
        assert!(end.site.processes().is_empty());
    }
    stage.ground.succeeded();
    Ok(())
}
