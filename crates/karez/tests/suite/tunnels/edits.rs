//! An edit comes into force, and the connections beside it lose nothing: not a packet, not an SA.

use crate::tunnels::stage::{UP, binary, net};
use crate::tunnels::told::{SOON, all_whole, ike, is_whole, reaches, sas, says, selectors, settled, shows};
use anyhow::{Context, Result, ensure};
use karez_scene::{
    Address, Cloud, Connection, End, Ground, Host, Internet, Kind, Lan, Peer, Pinger, Site, Status, Wish,
    needs, random_key, wait,
};
use serde_json::{Value as Json, json};
use std::process::Command;
use std::time::Duration;

/// A hub with a bystander at one end, through which a ping runs all the time, and the edited peer at the other. The
/// peer has two networks, and both the hub and the peer have outer addresses of both versions.
struct Stage {
    left: Connection,
    right: Connection,
    key: String,
    beside: Connection,
    beside_sas: (String, Vec<String>),
    pinger: Pinger,
    hub: Hub,
    peer: PeerEnd,
    _third: End,
    ground: Ground,
}

struct Hub {
    host: Host,
    lan: Lan,
    service: String,
    site: Site,
    cloud: Cloud,
}

struct PeerEnd {
    hosts: Vec<Host>,
    lans: Vec<Lan>,
    site: Site,
    cloud: Cloud,
}

impl Stage {
    fn build(name: &str, wish: &Wish) -> Result<Self> {
        needs::check()?;
        let ground = Ground::claim(name)?;
        let internet = Internet::build(&ground)?;
        let hub = Hub::build(&internet)?;
        let peer = PeerEnd::build(&internet)?;
        let third = Address {
            cloud: "cloud3",
            outer: [200, 200, 128, 200].into(),
            subnet: net("30.30.30.0/24"),
            host: [30, 30, 30, 30].into(),
        };
        let third = End::build(internet.segment(), binary(), &third)?;

        let of_hub = Peer {
            address: "200.200.128.100".into(),
            id: "200.200.128.100".into(),
            cidrs: vec![hub.lan.cidr()],
        };
        let (key, other) = (random_key()?, random_key()?);
        let client = hub.cloud.client();
        let beside = Connection::create(client, &hub.service, &third.as_peer(), &other, &Wish::modern())?;
        let answering = third.connect(&of_hub, &other, &Wish::modern())?;
        let one_net = Peer::at(&peer.site, &[&peer.lans[0]]);
        let left = Connection::create(client, &hub.service, &one_net, &key, wish)?;
        let service = peer.site.service(None)?;
        let lans = [&peer.lans[0]];
        let right = Connection::create_between(peer.cloud.client(), &service, &lans, &of_hub, &key, wish)?;
        all_whole(&[&beside, &answering, &left, &right])?;
        // Where both ends have begun at once one of two goes; that is no edit's doing.
        let (status, _) = settled(&beside, &answering)?;
        settled(&left, &right)?;
        let mut pinger = hub.host.keep_pinging([30, 30, 30, 30].into(), Duration::from_millis(10))?;
        pinger.flows(10, UP)?;
        let beside_sas = sas(&status);
        Ok(Self { left, right, key, beside, beside_sas, pinger, hub, peer, _third: third, ground })
    }

    /// The edited connection is up at both ends, as `is_so` wants it at the hub, and carries pings both ways; the one
    /// beside it is as it was.
    fn is_in_force(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Result<Status> {
        let status = shows(&self.left, what, |status| is_whole(status) && is_so(status))?;
        settled(&self.left, &self.right).context(what.to_owned())?;
        self.reaches(0).context(what.to_owned())?;
        self.is_untouched(what)?;
        Ok(status)
    }

    fn reaches(&self, number: usize) -> Result<()> {
        let (here, there) = (&self.hub.host, &self.peer.hosts[number]);
        reaches(here, there.addresses()[0])?;
        reaches(there, here.addresses()[0])
    }

    fn is_untouched(&self, what: &str) -> Result<()> {
        let now = sas(&self.beside.status()?);
        ensure!(
            now == self.beside_sas,
            "{what}: the connection beside it has {now:?}, not {:?}",
            self.beside_sas
        );
        Ok(())
    }

    /// Edits the hub's end while a ping runs through the edited connection itself, which must not notice.
    fn edit_unnoticed(&self, what: &str, attributes: Json) -> Result<()> {
        let before = sas(&self.left.status()?);
        let there = self.peer.hosts[0].addresses()[0];
        let mut pinger = self.hub.host.keep_pinging(there, Duration::from_millis(10))?;
        pinger.flows(5, SOON)?;
        self.left.edit(attributes.clone())?;
        pinger.flows(30, SOON)?;
        let pings = pinger.stop()?;
        ensure!(pings.all_answered(), "{what}: {} {:?}", pings.summary(), pings.lost);
        let shown = self.left.show()?;
        for (name, value) in attributes.as_object().into_iter().flatten() {
            ensure!(shown[name] == *value, "{what}: {name} is {}", shown[name]);
        }
        let after = self.left.status()?;
        ensure!(
            sas(&after) == before,
            "{what}: {before:?} before, and now {:?}: {}",
            sas(&after),
            after.0["events"]
        );
        self.is_untouched(what)
    }

    fn finish(mut self) -> Result<()> {
        // What an edit has done a moment ago would show now.
        self.pinger.flows(20, SOON)?;
        let pings = self.pinger.stop()?;
        ensure!(pings.all_answered(), "the bystander: {} {:?}", pings.summary(), pings.lost);
        self.ground.succeeded();
        Ok(())
    }
}

impl Hub {
    fn build(internet: &Internet) -> Result<Self> {
        let mut cloud = Cloud::start("cloud1", internet.segment(), binary())?;
        let site = cloud.site(&[[200, 200, 128, 100].into(), "2001:db8:200::100".parse()?])?;
        let lan = site.lan(net("10.10.10.0/24"))?;
        let host = lan.host("hub-host", [10, 10, 10, 10].into())?;
        let service = site.service(Some(&lan))?;
        host.reaches(lan.gateway(), UP)?;
        Ok(Self { host, lan, service, site, cloud })
    }
}

impl PeerEnd {
    fn build(internet: &Internet) -> Result<Self> {
        let mut cloud = Cloud::start("cloud2", internet.segment(), binary())?;
        let site = cloud.site(&[[200, 200, 128, 151].into(), "2001:db8:200::151".parse()?])?;
        let lans = vec![site.lan(net("20.20.20.0/24"))?, site.lan(net("20.20.30.0/24"))?];
        let hosts = vec![
            lans[0].host("peer-0", [20, 20, 20, 20].into())?,
            lans[1].host("peer-1", [20, 20, 30, 20].into())?,
        ];
        for (host, lan) in hosts.iter().zip(&lans) {
            host.reaches(lan.gateway(), UP)?;
        }
        Ok(Self { hosts, lans, site, cloud })
    }
}

#[test]
fn what_does_not_concern_the_keys_is_taken_over_by_a_tunnel_that_stays() -> Result<()> {
    let stage = Stage::build("quietedits", &Wish::modern())?;
    stage.edit_unnoticed("the name", json!({"name": "another", "description": "in other words"}))?;
    stage.edit_unnoticed("the initiator", json!({"initiator": "response-only"}))?;
    stage.edit_unnoticed("the initiator again", json!({"initiator": "bi-directional"}))?;
    stage.edit_unnoticed("the mtu", json!({"mtu": 1200}))?;
    let mss = wait::until("the MSS of the new MTU", SOON, || {
        let mss = mss(&stage.hub.site).unwrap_or_default();
        Ok(if mss.iter().any(|mss| *mss < 1200) { Ok(mss) } else { Err(format!("{mss:?}")) })
    })?;
    ensure!(mss.iter().all(|mss| *mss > 1000), "{mss:?}");
    // The default is to hold, after 30 and 120 seconds.
    stage.edit_unnoticed(
        "dead peer detection",
        json!({"dpd": {"action": "restart", "interval": 30, "timeout": 120}}),
    )?;
    // How often charon asks is a matter of the IKE SA.
    let before = ike(&stage.left.status()?);
    let dpd = json!({"action": "restart", "interval": 5, "timeout": 15});
    stage.left.edit(json!({"dpd": dpd}))?;
    stage.is_in_force("dead peer detection", |status| ike(status) != before)?;
    ensure!(stage.left.show()?["dpd"] == dpd, "{}", stage.left.show()?["dpd"]);
    stage.finish()
}

#[test]
fn another_key_is_in_force_as_soon_as_both_ends_have_it() -> Result<()> {
    for (name, wish) in [("keyedits2", Wish::modern()), ("keyedits1", Wish::defaults())] {
        let stage = Stage::build(name, &wish)?;
        let before = ike(&stage.left.status()?);
        let key = random_key()?;
        stage.left.edit(json!({"psk": key}))?;
        if name == "keyedits2" {
            says(&stage.left, "DOWN", "authentication_failed")?;
        }
        stage.right.edit(json!({"psk": key}))?;
        let status = stage.is_in_force("the key", |status| ike(status) != before)?;
        for secret in [&key, &stage.key] {
            ensure!(!status.0.to_string().contains(secret.as_str()), "a key is in the status");
            crate::tunnels::told::is_nowhere(secret, &stage.ground)?;
        }
        stage.finish()?;
    }
    Ok(())
}

#[test]
fn other_subnets_are_in_force_as_soon_as_both_ends_have_them() -> Result<()> {
    for (name, wish) in [("netedits2", Wish::modern()), ("netedits1", Wish::defaults())] {
        let stage = Stage::build(name, &wish)?;
        let client = stage.peer.cloud.client();
        let group = |lans: &[&Lan]| -> Result<String> {
            let subnets: Vec<&str> = lans.iter().map(|lan| lan.subnet()).collect();
            let group = json!({"name": "other", "type": "subnet", "endpoints": subnets});
            Ok(karez_scene::id(&client.create(Kind::EndpointGroup, group)?)?)
        };
        let [first, second] = [&stage.peer.lans[0], &stage.peer.lans[1]];
        // One more.
        stage.left.edit(json!({"peer_cidrs": ["20.20.20.0/24", "20.20.30.0/24"]}))?;
        let both = group(&[first, second])?;
        stage.right.edit(json!({"local_ep_group_id": both}))?;
        stage.is_in_force("two subnets", |status| selectors(status).concat().contains("20.20.30.0/24"))?;
        stage.reaches(1)?;
        // The first one goes.
        let only = group(&[second])?;
        stage.right.edit(json!({"local_ep_group_id": only}))?;
        client.delete(Kind::EndpointGroup, &both)?;
        stage.left.edit(json!({"peer_cidrs": ["20.20.30.0/24"]}))?;
        let is_alone =
            |status: &Status| is_whole(status) && selectors(status) == ["10.10.10.0/24 === 20.20.30.0/24"];
        shows(&stage.left, "the second subnet alone", is_alone)?;
        settled(&stage.left, &stage.right)?;
        stage.reaches(1)?;
        stage.is_untouched("the second subnet alone")?;
        let gone = stage.hub.host.ping(stage.peer.hosts[0].addresses()[0], 5)?;
        ensure!(gone.received == 0, "what is no longer selected came through");
        stage.finish()?;
    }
    Ok(())
}

#[test]
fn other_names_and_addresses_are_in_force_as_soon_as_both_ends_have_them() -> Result<()> {
    let stage = Stage::build("peeredits", &Wish::modern())?;
    stage.left.edit(json!({"local_id": "hub.example.org", "peer_id": "peer@example.org"}))?;
    stage.right.edit(json!({"local_id": "peer@example.org", "peer_id": "hub.example.org"}))?;
    stage.is_in_force("the names", |status| {
        status.0["ike"]["local_id"] == "hub.example.org" && status.0["ike"]["peer_id"] == "peer@example.org"
    })?;
    stage.left.edit(json!({"peer_address": "2001:db8:200::151"}))?;
    stage.right.edit(json!({"peer_address": "2001:db8:200::100"}))?;
    stage.is_in_force("the addresses", |status| {
        status.0["ike"]["peer"].as_str().is_some_and(|peer| peer.starts_with("[2001:db8:200::151]"))
    })?;
    stage.finish()
}

#[test]
fn what_comes_and_goes_on_a_router_does_not_touch_what_is_there() -> Result<()> {
    let stage = Stage::build("comings", &Wish::modern())?;
    let client = stage.hub.cloud.client();
    stage.left.edit(json!({"admin_state_up": false}))?;
    says(&stage.left, "DOWN", "admin_down")?;
    stage.is_untouched("the connection off")?;
    stage.left.edit(json!({"admin_state_up": true}))?;
    stage.is_in_force("the connection on", |_| true)?;

    // Another service, with another network, to the same peer.
    let lan = stage.hub.site.lan(net("10.10.11.0/24"))?;
    let host = lan.host("hub-other", [10, 10, 11, 10].into())?;
    let service = stage.hub.site.service(Some(&lan))?;
    let there = Peer::at(&stage.peer.site, &[&stage.peer.lans[1]]);
    let here = Peer { cidrs: vec![lan.cidr()], ..Peer::at(&stage.hub.site, &[]) };
    let more = Connection::create(client, &service, &there, &stage.key, &Wish::modern())?;
    let answer = stage.peer.site.service(Some(&stage.peer.lans[1]))?;
    let answer = Connection::create(stage.peer.cloud.client(), &answer, &here, &stage.key, &Wish::modern())?;
    all_whole(&[&more, &answer])?;
    stage.is_in_force("a third connection", |_| true)?;
    reaches(&host, stage.peer.hosts[1].addresses()[0])?;

    // To the edited connection, which goes to the same peer, the other service is beside.
    let edited = sas(&stage.left.status()?);
    let mut pinger =
        stage.hub.host.keep_pinging(stage.peer.hosts[0].addresses()[0], Duration::from_millis(10))?;
    pinger.flows(10, SOON)?;
    client.update(Kind::Service, &service, json!({"admin_state_up": false}))?;
    says(&more, "DOWN", "admin_down")?;
    client.update(Kind::Service, &service, json!({"admin_state_up": true}))?;
    all_whole(&[&more, &answer])?;
    reaches(&host, stage.peer.hosts[1].addresses()[0])?;
    ensure!(
        sas(&stage.left.status()?) == edited,
        "another service was switched off and on, and this was touched"
    );
    more.delete()?;
    answer.delete()?;
    pinger.flows(100, SOON)?;
    ensure!(sas(&stage.left.status()?) == edited, "the other connection to the same peer was touched");
    let pings = pinger.stop()?;
    ensure!(
        pings.all_answered(),
        "the other connection to the same peer: {} {:?}",
        pings.summary(),
        pings.lost
    );
    stage.is_in_force("the third connection gone", |_| true)?;
    stage.finish()
}

/// The limits that the router sets to TCP segments.
fn mss(site: &Site) -> Result<Vec<u32>> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &site.namespace_name(), "nft", "list", "table", "inet", "karez"]);
    let output = command.output().context("the packages iproute2 and nftables are installed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.trim().rsplit_once("maxseg size set ")?.1.parse().ok()).collect())
}
