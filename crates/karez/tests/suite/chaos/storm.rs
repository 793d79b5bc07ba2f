//! A minute in which agent, server and IKE daemons are killed at random moments, while the API is kept busy.

use crate::chaos::branch::{Branch, Tunnel, lossless, says, spis};
use crate::chaos::daemon::kill;
use crate::chaos::parts::{HOST, Parts};
use crate::chaos::stage::UP;
use crate::support::dice::Dice;
use anyhow::{Context, Result, ensure};
use karez_scene::{Error, Kind, Pinger, Timeline, Wish, id, random_key, wait};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// How long it storms, unless KAREZ_CHAOS_SECONDS says longer.
const STORM: u64 = 15;

/// The same storm each time, unless KAREZ_CHAOS_SEED names another or says `random`.
const SEED: u64 = 1;

/// For everything to be as it should afterwards.
const CALM: Duration = Duration::from_secs(60);

/// The name of connections to addresses where nobody is.
const NOBODY: &str = "to nobody";

/// How many connections to nobody there are at most at a time.
const MOST: usize = 6;

#[test]
fn after_kills_and_edits_all_is_as_asked_and_what_was_not_concerned_lost_nothing() -> Result<()> {
    let (seed, length) = (seed()?, length()?);
    eprintln!("KAREZ_CHAOS_SEED={seed} KAREZ_CHAOS_SECONDS={} repeats this storm", length.as_secs());
    let mut parts = Parts::build("storm")?;
    let before = parts.node.inventory()?;

    let (calm, calm_far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let (near, far) = (parts.near_branch(2)?, parts.far.branch(2)?);
    let bystander = Tunnel::one_sided(&calm, &calm_far)?;
    let tunnel = Tunnel::build(&near, &far, &Wish::modern())?;
    let (sas, calm_daemons) = (spis(&bystander.near)?, calm.site.processes());
    let mut pinger = calm.keep_pinging(&calm_far)?;
    pinger.flows(10, UP)?;

    let (things, rules) = (things(&parts)?, rules(&near)?);

    let storm = Storm::new(&near, Dice::new(seed))?.rage(length, &mut parts, &tunnel, &mut pinger)?;
    pinger.flows(10, UP)?;
    let times = is_as_asked(&parts, &near, &far, &tunnel)?;
    assert_eq!(spis(&bystander.near)?, sas);
    assert_eq!(calm.site.processes(), calm_daemons);
    says(&bystander.near, None, UP)?;
    let pings = lossless(pinger)?;
    eprintln!("{storm}\n{times}beside it: {}", pings.summary());

    // Without what was added, and as it was, the tunnel has exactly what it had.
    let client = near.site.client().clone();
    for connection in client.list(Kind::Connection)? {
        if connection["name"] == NOBODY {
            client.delete(Kind::Connection, &id(&connection)?)?;
        }
    }
    tunnel.near.edit(json!({"mtu": 1500}))?;
    is_the_same("on the node as before the storm", || self::things(&parts), &things)?;
    is_the_same("the rules as before the storm", || self::rules(&near), &rules)?;

    let sites = [calm.site.clone(), near.site.clone()];
    for tunnel in [tunnel, bystander] {
        tunnel.delete()?;
    }
    for branch in [calm, near] {
        branch.delete()?;
    }
    is_the_same("on the node as before everything", || parts.node.inventory(), &before)?;
    wait::until("the end of all traces", CALM, || {
        let left: Vec<String> = sites.iter().flat_map(|site| site.traces()).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) })
    })?;
    parts.ground.succeeded();
    Ok(())
}

fn seed() -> Result<u64> {
    match std::env::var("KAREZ_CHAOS_SEED").as_deref() {
        Err(_) => Ok(SEED),
        Ok("random") => Ok(u64::from(std::process::id())),
        Ok(given) => given
            .parse()
            .with_context(|| format!("KAREZ_CHAOS_SEED={given} is neither a number nor `random`")),
    }
}

fn length() -> Result<Duration> {
    let seconds = match std::env::var("KAREZ_CHAOS_SECONDS") {
        Err(_) => STORM,
        Ok(given) => given.parse().with_context(|| format!("KAREZ_CHAOS_SECONDS={given} is not a number"))?,
    };
    Ok(Duration::from_secs(seconds))
}

/// The node's inventory, whatever the numbers of processes are.
fn things(parts: &Parts) -> Result<Vec<String>, Error> {
    let numberless = |line: String| match line.strip_prefix("process ").and_then(|rest| rest.split_once(' '))
    {
        Some((_, what)) => format!("process {what}"),
        None => line,
    };
    let mut things: Vec<String> = parts.node.inventory()?.into_iter().map(numberless).collect();
    things.sort();
    Ok(things)
}

/// The packet filter within a router, without its counts.
fn rules(branch: &Branch) -> Result<Vec<String>, Error> {
    let namespace = format!("--net=/run/netns/{}", branch.site.namespace_name());
    let listed = Command::new("nsenter").args([&namespace, "nft", "--stateless", "list", "ruleset"]).output();
    let listed = listed.map_err(|error| Error::Unexpected(format!("nsenter: {error}")))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect())
}

/// Waits until two listings are the same but for the directory of all routers, which stays when it is empty, and logs
/// that were begun anew.
fn is_the_same(
    what: &str,
    now: impl Fn() -> Result<Vec<String>, Error>,
    before: &[String],
) -> Result<(), Error> {
    wait::until(what, CALM, || {
        let now = now()?;
        let is_new = |line: &&String| {
            !before.contains(line)
                && !["/state/routers", "/charon.log.old"].iter().any(|end| line.ends_with(end))
        };
        let more = now.iter().filter(is_new).map(|line| format!("+ {line}"));
        let less = before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
        let differences: Vec<String> = more.chain(less).collect();
        Ok(if differences.is_empty() { Ok(()) } else { Err(format!("{differences:#?}")) })
    })
}

/// What goes on at random.
struct Storm<'a> {
    near: &'a Branch,
    dice: Dice,
    key: String,
    policies: [String; 2],
    counts: BTreeMap<&'static str, u32>,
}

impl<'a> Storm<'a> {
    fn new(near: &'a Branch, dice: Dice) -> Result<Self> {
        let client = near.site.client();
        let ike = id(&client.create(Kind::IkePolicy, json!({"name": "storm", "ike_version": "v2"}))?)?;
        let ipsec = id(&client.create(Kind::IpsecPolicy, json!({"name": "storm"}))?)?;
        Ok(Self { near, dice, key: random_key()?, policies: [ike, ipsec], counts: BTreeMap::new() })
    }

    /// Returns when it is over: agent and server run, and the tunnel is wanted up. Says what has happened.
    fn rage(
        mut self,
        length: Duration,
        parts: &mut Parts,
        tunnel: &Tunnel,
        pinger: &mut Pinger,
    ) -> Result<String> {
        let clock = Timeline::begin();
        while clock.elapsed() < length {
            match self.dice.below(20) {
                0 => {
                    parts.node.kill();
                    self.some_time(400)?;
                    parts.node.start(None)?;
                    self.count("agents killed");
                }
                1 => {
                    parts.service.kill();
                    self.some_time(400)?;
                    parts.service.start_again()?;
                    self.count("servers killed");
                }
                2 => {
                    // Both at once, and back in any order.
                    parts.service.kill();
                    parts.node.kill();
                    parts.node.start(None)?;
                    self.some_time(200)?;
                    parts.service.start_again()?;
                    self.count("servers and agents killed at once");
                }
                3 | 4 => {
                    for daemon in self.near.site.processes() {
                        // It may be on its way out already.
                        let _ = kill(daemon);
                        self.count("daemons killed");
                    }
                }
                _ => self.change(tunnel)?,
            }
            self.some_time(150)?;
            pinger.flows(1, UP).with_context(|| format!("after {:?}: {:?}", clock.elapsed(), self.counts))?;
        }
        parts.node.runs()?;
        tunnel.near.edit(json!({"admin_state_up": true}))?;
        Ok(format!("{:?}", self.counts))
    }

    /// One change by the API.
    fn change(&mut self, tunnel: &Tunnel) -> Result<()> {
        let client = self.near.site.client().clone();
        let others: Vec<String> = client
            .list(Kind::Connection)?
            .iter()
            .filter(|connection| connection["name"] == NOBODY)
            .filter_map(|connection| connection["id"].as_str().map(str::to_owned))
            .collect();
        match self.dice.below(4) {
            0 => {
                let up = self.dice.below(3) > 0;
                let edits = [
                    json!({"admin_state_up": up}),
                    json!({"mtu": 1300 + u32::from(up)}),
                    json!({"dpd": {"interval": 20 + u32::from(up), "timeout": 60}}),
                    json!({"name": "edited"}),
                ];
                tunnel.near.edit(self.dice.one_of(&edits).clone())?;
                self.count("edits of the tunnel");
            }
            1 if others.len() < MOST => {
                client.create(Kind::Connection, self.nobodys())?;
                self.count("connections created");
            }
            2 if !others.is_empty() => {
                let cidrs = format!("10.{}.0.0/16", 100 + self.dice.below(100));
                let edits = [
                    json!({"peer_cidrs": [cidrs]}),
                    json!({"psk": "another key for nobody"}),
                    json!({"admin_state_up": false}),
                    json!({"admin_state_up": true}),
                    json!({"initiator": "response-only"}),
                ];
                let edit = self.dice.one_of(&edits).clone();
                let id = self.dice.one_of(&others).clone();
                client.update(Kind::Connection, &id, edit)?;
                self.count("connections edited");
            }
            3 if !others.is_empty() => {
                let id = self.dice.one_of(&others).clone();
                client.delete(Kind::Connection, &id)?;
                self.count("connections deleted");
            }
            _ => {}
        }
        Ok(())
    }

    /// To an address where nobody is.
    fn nobodys(&mut self) -> Json {
        let [ike, ipsec] = &self.policies;
        let peer = format!("200.200.128.{}", 200 + self.dice.below(40));
        // Two that claim one identity with different keys would exclude each other.
        let name = format!("nobody-{}.example.org", self.counts.get("connections created").unwrap_or(&0));
        json!({
            "name": NOBODY, "vpnservice_id": self.near.service, "ikepolicy_id": ike, "ipsecpolicy_id": ipsec,
            "peer_address": peer, "peer_id": name, "psk": self.key,
            "peer_cidrs": [format!("10.{}.0.0/16", 100 + self.dice.below(100))],
        })
    }

    fn some_time(&mut self, most: usize) -> Result<(), Error> {
        wait::pause(Duration::from_millis(self.dice.below(most) as u64))
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

/// The agent is alive and has done all; the tunnel is up and works; the others say why they are not; one daemon runs.
fn is_as_asked(parts: &Parts, near: &Branch, far: &Branch, tunnel: &Tunnel) -> Result<Timeline> {
    let mut times = Timeline::begin();
    parts.service.knows(HOST, true, UP)?;
    times.mark("the agent is alive");
    tunnel.is_up(CALM)?;
    says(&tunnel.near, None, UP)?;
    times.mark("the tunnel is up");
    wait::until("pings through the tunnel", UP, || {
        let pings = near.host.ping(far.host.addresses()[0], 10)?;
        Ok(if pings.all_answered() { Ok(()) } else { Err(pings.summary()) })
    })?;
    times.mark("traffic flows");
    wait::until("the others to be down and say why", CALM, || {
        let all = near.site.client().list(Kind::Connection)?;
        let others = all.iter().filter(|one| one["name"] == NOBODY);
        let odd: Vec<String> = others
            .filter(|one| {
                let reason = one["status_reason"].as_str().unwrap_or_default();
                let expected = match (one["admin_state_up"].as_bool(), one["initiator"].as_str()) {
                    (Some(false), _) => "admin_down",
                    (_, Some("response-only")) => "waiting_for_peer",
                    _ => "peer_unreachable",
                };
                one["status"] != "DOWN" || reason != expected
            })
            .map(|one| {
                let told = ["id", "status", "status_reason", "admin_state_up", "initiator"];
                told.map(|name| one[name].to_string()).join(" ")
            })
            .collect();
        Ok(if odd.is_empty() { Ok(()) } else { Err(odd.join("; ")) })
    })?;
    times.mark("the others say why they are down");
    ensure!(near.site.processes().len() == 1, "IKE daemons: {:?}", near.site.processes());
    Ok(times)
}
