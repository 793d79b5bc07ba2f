//! A charon that somebody has configured by hand with `swanctl` is a peer like any other, in both roles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use crate::lab::{BOUND, Lab, tunnel};
use karez_engine::{IkeVersion, Initiator, TunnelState};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A daemon at site `b`, beside any engine.
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

const SETTINGS: &str = "charon {
  load = random nonce openssl hmac kdf kernel-libipsec kernel-netlink socket-default vici
  plugins { vici { socket = unix:///run/charon.vici } }
}
";

const CONNECTION: &str = "connections {
  hand {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    proposals = aes128-sha1-modp1536
    local {
      auth = psk
    }
    remote {
      auth = psk
    }
    children {
      hand {
        local_ts = 10.2.0.0/24
        remote_ts = 10.1.0.0/24
        esp_proposals = aes128-sha1-modp1536
      }
    }
  }
}
secrets {
  ike-hand {
    secret = \"a key that nobody guesses\"
  }
}
";

impl Foreign {
    async fn new(lab: &Lab) -> Self {
        let run = lab.state.path().join("foreign");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("strongswan.conf"), SETTINGS).unwrap();
        fs::write(run.join("swanctl.conf"), CONNECTION).unwrap();
        let script = format!(
            "mount --make-rslave / && mount --bind {} /run && STRONGSWAN_CONF=/run/strongswan.conf exec /usr/lib/ipsec/charon",
            run.display()
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &lab.namespace("b"), "unshare", "-m", "sh", "-c", &script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let foreign = Self { run, process: command.spawn().unwrap() };
        let conf = foreign.run.join("swanctl.conf");
        let load = async {
            while !foreign.swanctl(&["--load-all", "--file", conf.to_str().unwrap()]) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(BOUND, load).await.expect("the foreign daemon starts");
        foreign
    }

    fn swanctl(&self, arguments: &[&str]) -> bool {
        let uri = format!("unix://{}/charon.vici", self.run.display());
        let mut command = Command::new("swanctl");
        command.args(arguments).args(["--uri", &uri]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("the package strongswan-swanctl is installed").success()
    }
}

#[tokio::test]
async fn a_foreign_daemon_answers_us() {
    let lab = Lab::new();
    let foreign = Foreign::new(&lab).await;
    let mut a = lab.site("a");
    let plan = tunnel("a", IkeVersion::V2);
    a.apply(std::slice::from_ref(&plan)).await;
    a.wait_up(plan.id).await;
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
    // It takes the tunnel down, and we bring it back.
    assert!(foreign.swanctl(&["--terminate", "--ike", "hand"]));
    a.wait(plan.id, "down", |status| status.state == TunnelState::Down).await;
    a.wait_up(plan.id).await;
}

#[tokio::test]
async fn a_foreign_daemon_begins() {
    let lab = Lab::new();
    let foreign = Foreign::new(&lab).await;
    let mut a = lab.site("a");
    let mut plan = tunnel("a", IkeVersion::V2);
    plan.initiator = Initiator::ResponseOnly;
    a.apply(std::slice::from_ref(&plan)).await;
    assert!(foreign.swanctl(&["--initiate", "--child", "hand"]));
    let status = a.wait_up(plan.id).await;
    assert!(!status.ike.unwrap().is_initiator);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
}
