//! What is switched off is down, lets nothing through in clear, and comes back when it is switched on. A router that
//! moves to another address takes its tunnels with it.

use crate::tunnels::stage::TwoClouds;
use crate::tunnels::told::{SOON, in_clear, is_whole, reaches, says, settled, shows};
use anyhow::{Result, ensure};
use karez_scene::{Kind, Status, Wish, wait};
use serde_json::json;

type Switch<'a> = &'a dyn Fn(bool) -> Result<(), karez_scene::Error>;

#[test]
fn what_is_switched_off_is_down_in_silence_and_comes_back() -> Result<()> {
    let clouds = TwoClouds::build("switch")?;
    let (one, two) = (&clouds.one, &clouds.two);
    let (left, right) = clouds.connect(&Wish::modern())?;
    settled(&left, &right)?;
    let client = one.cloud.client();
    let there = two.host.addresses()[0];
    let of_connection = |is_up: bool| left.edit(json!({"admin_state_up": is_up}));
    let of_service =
        |is_up: bool| client.update(Kind::Service, &one.service, json!({"admin_state_up": is_up})).map(drop);
    let of_router = |is_up: bool| {
        client.update(Kind::Router, one.site.router(), json!({"admin_state_up": is_up})).map(drop)
    };
    let switches: [(&str, Switch<'_>); 3] =
        [("connection", &of_connection), ("service", &of_service), ("router", &of_router)];
    for (what, switch) in switches {
        reaches(&one.host, there)?;
        let capture = one.cloud.capture()?;
        let mut pinger = one.host.keep_pinging(there, std::time::Duration::from_millis(10))?;
        pinger.flows(20, SOON)?;
        switch(false)?;
        let status = says(&left, "DOWN", "admin_down")?;
        ensure!(status.children().is_empty() && status.0["ike"].is_null(), "{what}: {}", status.0);
        // The peer is told, and then not answered.
        shows(&right, "down", |status| status.0["status"] == "DOWN" && status.children().is_empty())?;
        let service = if what == "service" || what == "router" { "DOWN" } else { "ACTIVE" };
        becomes(client, &one.service, service)?;
        ensure!(one.host.ping(there, 20)?.received == 0, "{what}: something came through");
        ensure!(two.host.ping(one.host.addresses()[0], 20)?.received == 0, "{what}: something came through");
        let lost = pinger.stop()?;
        ensure!(!lost.all_answered(), "{what}: pings went on");
        let clear = in_clear(&capture.stop()?, &[one.lan.cidr(), two.lan.cidr()]);
        ensure!(clear.is_empty(), "{what}: {clear:?}");

        switch(true)?;
        settled(&left, &right)?;
        becomes(client, &one.service, "ACTIVE")?;
        reaches(&one.host, there)?;
        reaches(&two.host, one.host.addresses()[0])?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn a_router_that_gets_another_address_takes_its_tunnel_there() -> Result<()> {
    let clouds = TwoClouds::build("moves")?;
    let (one, two) = (&clouds.one, &clouds.two);
    let (left, right) = clouds.connect(&Wish::modern())?;
    settled(&left, &right)?;
    let client = one.cloud.client();
    let router = client.show(Kind::Router, one.site.router())?;
    let mut gateway = router["external_gateway_info"].clone();
    gateway["external_fixed_ips"] = json!([{"ip_address": "200.200.128.101"}]);
    client.update(Kind::Router, one.site.router(), json!({"external_gateway_info": gateway}))?;
    ensure!(client.show(Kind::Service, &one.service)?["external_v4_ip"] == "200.200.128.101");
    // Until the peer knows, it does not take us.
    shows(&left, "down", |status| status.0["status"] == "DOWN")?;

    right.edit(json!({"peer_address": "200.200.128.101", "peer_id": "200.200.128.101"}))?;
    for (connection, end) in [(&left, "local"), (&right, "peer")] {
        let has_moved = |status: &Status| {
            let address = status.0["ike"][end].as_str().unwrap_or_default();
            is_whole(status) && address.starts_with("200.200.128.101:")
        };
        shows(connection, "up with the new address", has_moved)?;
    }
    settled(&left, &right)?;
    let capture = one.cloud.capture()?;
    reaches(&one.host, two.host.addresses()[0])?;
    reaches(&two.host, one.host.addresses()[0])?;
    let captured = capture.stop()?;
    let old = "200.200.128.100".parse::<std::net::IpAddr>()?;
    let is_old = |(from, to): (std::net::IpAddr, std::net::IpAddr)| from == old || to == old;
    ensure!(
        !captured.packets.iter().filter_map(|packet| packet.route).any(is_old),
        "the old address is in use"
    );
    clouds.ground.succeeded();
    Ok(())
}

fn becomes(client: &karez_scene::Client, service: &str, status: &str) -> Result<()> {
    Ok(wait::until(&format!("the service to be {status}"), SOON, || {
        let shown = client.show(Kind::Service, service)?;
        Ok(if shown["status"] == status { Ok(()) } else { Err(shown["status"].to_string()) })
    })?)
}
