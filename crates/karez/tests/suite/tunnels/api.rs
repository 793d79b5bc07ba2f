//! A cloud without an agent: the scene's own parts, and an API that promises nothing.

use crate::tunnels::stage::{binary, first};
use anyhow::Result;
use karez_scene::{Cloud, Connection, Ground, Internet, Kind, Peer, Wish, needs, random_key};

#[test]
fn without_an_agent_hosts_of_a_network_reach_each_other_and_a_connection_waits() -> Result<()> {
    needs::check_root()?;
    let ground = Ground::claim("noagent")?;
    let internet = Internet::build(&ground)?;
    let mut cloud = Cloud::start_without_agent("cloud1", internet.segment(), binary())?;
    let address = first();
    let site = cloud.site(&[address.outer])?;
    let lan = site.lan(address.subnet)?;
    let (one, other) =
        (lan.host("one", [10, 10, 10, 10].into())?, lan.host("other", [10, 10, 10, 11].into())?);
    assert!(one.ping(other.addresses()[0], 5)?.all_answered());

    let peer =
        Peer { address: "200.200.128.151".into(), id: "two".into(), cidrs: vec!["20.20.20.0/24".parse()?] };
    let service = site.service(Some(&lan))?;
    let connection = Connection::create(cloud.client(), &service, &peer, &random_key()?, &Wish::modern())?;
    assert_eq!(connection.show()?["status"], "PENDING_CREATE");
    connection.delete()?;
    assert!(cloud.client().list(Kind::Connection)?.is_empty());

    cloud.kill();
    cloud.start_again()?;
    assert_eq!(cloud.client().list(Kind::Service)?.len(), 1);
    ground.succeeded();
    Ok(())
}
