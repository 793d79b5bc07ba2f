//! A charon that somebody has configured by hand, with a swanctl.conf, is a peer like any other.

use crate::tunnels::stage::{binary, first, net};
use crate::tunnels::told::{SOON, all_whole, reaches, says, shows};
use anyhow::{Context, Result, ensure};
use karez_scene::{End, Ground, Host, Internet, Peer, Wish, needs, random_key, wait};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SETTINGS: &str = "charon {
  load = random nonce openssl hmac kdf kernel-libipsec kernel-netlink socket-default vici
  plugins { vici { socket = unix:///run/charon.vici } }
}
";

/// A daemon on a host of the internet, with 20.20.20.0/24 behind it. It ends when it is dropped.
struct Foreign {
    run: PathBuf,
    process: Child,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Foreign {
    fn start(ground: &Ground, host: &Host) -> Result<Self> {
        let run = ground.directory().join("foreign");
        fs::create_dir(&run)?;
        fs::write(run.join("strongswan.conf"), SETTINGS)?;
        let script = format!(
            "mount --make-rslave / && mount --bind {} /run && \
             STRONGSWAN_CONF=/run/strongswan.conf exec /usr/lib/ipsec/charon",
            run.display()
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host.namespace_name(), "unshare", "-m", "sh", "-c", &script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { run, process: command.spawn().context("the package iproute2 is installed")? })
    }

    /// Replaces its configuration.
    fn configure(&self, version: u8, key: &str) -> Result<()> {
        let text = format!(
            "connections {{ hand {{
              version = {version}
              local_addrs = 200.200.128.200
              remote_addrs = 200.200.128.100
              proposals = aes128-sha1-modp1536
              local {{ auth = psk }}
              remote {{ auth = psk }}
              children {{ hand {{
                local_ts = 20.20.20.0/24
                remote_ts = 10.10.10.0/24
                esp_proposals = aes128-sha1-modp1536
              }} }}
            }} }}
            secrets {{ ike-hand {{ secret = \"{key}\" }} }}"
        );
        let file = self.run.join("swanctl.conf");
        fs::write(&file, text)?;
        let file = file.display().to_string();
        Ok(wait::until("the foreign daemon to take its configuration", SOON, || {
            let loaded = self.swanctl(&["--load-all", "--clear", "--file", &file]);
            Ok(loaded.map_err(|error| error.to_string()))
        })?)
    }

    fn swanctl(&self, arguments: &[&str]) -> Result<()> {
        let uri = format!("unix://{}/charon.vici", self.run.display());
        let output = Command::new("swanctl").args(arguments).args(["--uri", &uri]).output();
        let output = output.context("the package strongswan-swanctl is installed")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }
}

#[test]
fn a_daemon_that_was_configured_by_hand_answers_and_begins() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("foreign")?;
    let internet = Internet::build(&ground)?;
    let end = End::build(internet.segment(), binary(), &first())?;
    let gate = internet.segment().host("gate", &[[200, 200, 128, 200].into()])?;
    let inner = gate_address(&gate)?;
    let foreign = Foreign::start(&ground, &gate)?;
    let peer = Peer {
        address: "200.200.128.200".into(),
        id: "200.200.128.200".into(),
        cidrs: vec![net("20.20.20.0/24")],
    };
    for (version, name) in [(2, "v2"), (1, "v1")] {
        let key = random_key()?;
        foreign.configure(version, &key)?;
        let wish = Wish::defaults().ike(&json!({"ike_version": name}));

        let connection = end.connect(&peer, &key, &wish)?;
        let status = all_whole(&[&connection])?.remove(0);
        ensure!(status.0["ike"]["is_initiator"] == true && status.0["ike"]["version"] == version);
        ensure!(status.ike_suite() == Some("aes-128/sha1/group5"), "{:?}", status.ike_suite());
        reaches(&end.host, inner)?;
        // It takes the tunnel down, which is noticed, and we bring it back.
        let before = status.spis().first().map(|(spi, _)| (*spi).to_owned());
        foreign.swanctl(&["--terminate", "--ike", "hand"])?;
        let is_back = |status: &karez_scene::Status| {
            let spi = status.spis().first().map(|(spi, _)| (*spi).to_owned());
            status.0["status"] == "ACTIVE" && spi.is_some() && spi != before
        };
        let status = shows(&connection, "up again", is_back)?;
        ensure!(status.0["events"].to_string().contains("peer_deleted"), "{}", status.0["events"]);
        reaches(&end.host, inner)?;
        connection.delete()?;

        let waits = wish.connection_with(&json!({"initiator": "response-only"}));
        let connection = end.connect(&peer, &key, &waits)?;
        says(&connection, "PENDING_CREATE", "waiting_for_peer")?;
        foreign.swanctl(&["--initiate", "--child", "hand"])?;
        let status = all_whole(&[&connection])?.remove(0);
        ensure!(status.0["ike"]["is_initiator"] == false && status.0["ike"]["version"] == version);
        reaches(&end.host, inner)?;
        reaches(&gate, end.host.addresses()[0])?;
        foreign.swanctl(&["--terminate", "--ike", "hand"])?;
        says(&connection, "DOWN", "peer_deleted")?;
        connection.delete()?;
    }
    ground.succeeded();
    Ok(())
}

/// Gives the gate an address in the network that it stands for.
fn gate_address(gate: &Host) -> Result<std::net::IpAddr> {
    gate.run("ip", &["address", "add", "20.20.20.1/32", "dev", "lo"], Duration::from_secs(10))?;
    Ok([20, 20, 20, 1].into())
}
