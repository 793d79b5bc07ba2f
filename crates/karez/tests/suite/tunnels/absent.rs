//! A peer that is not there.

use crate::tunnels::stage::{binary, first, net};
use crate::tunnels::told::why;
use anyhow::Result;
use karez_scene::{End, Ground, Internet, Peer, Wish, needs, random_key};
use std::time::Duration;

#[test]
fn a_connection_to_an_absent_peer_goes_down_and_says_that_it_does_not_answer() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("absent")?;
    let internet = Internet::build(&ground)?;
    let end = End::build(internet.segment(), binary(), &first())?;
    let peer = Peer {
        address: "200.200.128.200".into(),
        id: "200.200.128.200".into(),
        cidrs: vec![net("30.30.30.0/24")],
    };
    let connection = end.connect(&peer, &random_key()?, &Wish::modern())?;
    connection.becomes("DOWN", Duration::from_secs(60))?;

    let shown = connection.show()?;
    assert_eq!(shown["status_reason"], "peer_unreachable", "{}", shown["status_detail"]);
    assert_eq!(connection.status()?.reason(), Some("peer_unreachable"));
    let detail = shown["status_detail"].as_str().unwrap_or_default();
    assert!(detail.contains("200.200.128.200"), "{detail}");

    let (code, told) = why(&end.cloud, &connection)?;
    assert_eq!(code, Some(1), "{told}");
    assert_eq!((&told["reason"], &told["detail"]), (&"peer_unreachable".into(), &detail.into()), "{told}");
    assert!(told["since"].is_string() && told["evidence"]["heard"] == 0, "{told}");
    assert!(told["fix_here"].is_string() && told["fix_at_peer"].is_string(), "{told}");
    ground.succeeded();
    Ok(())
}
