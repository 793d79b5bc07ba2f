//! Two sites in two network namespaces, joined by a wire, with no way out. Everything is removed at the end, also after
//! a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

pub mod ping;
pub mod plan;
pub mod site;

pub use ping::Ping;
pub use plan::{tunnel, tunnel_v6};
pub use site::{Site, pair, pair_with};

use karez_engine::{Datapath, RouterId};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// Longer than anything takes on a busy machine.
pub const BOUND: Duration = Duration::from_secs(25);

static LABS: AtomicU32 = AtomicU32::new(0);

/// The wire with its two ends, `a` at 192.0.2.1 and `b` at 192.0.2.2 (2001:db8::1 and ::2).
pub struct Lab {
    pub name: String,
    pub state: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        for program in ["/usr/lib/ipsec/charon", "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"] {
            assert!(
                fs::metadata(program).is_ok(),
                "{program} is missing; install strongswan-charon and libcharon-extra-plugins"
            );
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("ks{}n{number}", std::process::id()), state: TempDir::new().unwrap() };
        let (a, b) = (lab.namespace("a"), lab.namespace("b"));
        for namespace in [&a, &b] {
            ip(&["netns", "add", namespace]);
        }
        ip(&["-n", &a, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", &b]);
        for (namespace, host, inner) in [(&a, 1, "10.1"), (&b, 2, "10.2")] {
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
            ip(&["-n", namespace, "link", "set", "wire", "up"]);
            ip(&["-n", namespace, "addr", "add", &format!("192.0.2.{host}/24"), "dev", "wire"]);
            ip(&["-n", namespace, "addr", "add", &format!("2001:db8::{host}/64"), "dev", "wire", "nodad"]);
            // libipsec wants an address of the gateway's own inside of each local subnet.
            for third in 0..4 {
                ip(&["-n", namespace, "addr", "add", &format!("{inner}.{third}.1/32"), "dev", "lo"]);
            }
            let six = if inner == "10.1" { "fd01" } else { "fd02" };
            ip(&["-n", namespace, "addr", "add", &format!("{six}::1/128"), "dev", "lo", "nodad"]);
        }
        lab
    }

    pub fn namespace(&self, end: &str) -> String {
        format!("{}{end}", self.name)
    }

    /// An engine at one end. The kernel's own data path has tests of its own, where a kernel has it.
    pub fn site(&self, end: &str) -> Site {
        self.site_with(end, Datapath::Userspace)
    }

    /// An engine with this data path at one end.
    pub fn site_with(&self, end: &str, datapath: Datapath) -> Site {
        match datapath {
            Datapath::Userspace => lead(&self.namespace(end), end),
            // The kernel takes what goes through a tunnel from what it has a way for.
            Datapath::Kernel => {
                let other = if end == "a" { "192.0.2.2" } else { "192.0.2.1" };
                ip(&["-n", &self.namespace(end), "route", "replace", "default", "via", other]);
            }
        }
        Site::new(self.state.path().join(end), self.namespace(end), RouterId(Uuid::new_v4()), datapath)
    }

    /// Cuts or mends the wire.
    pub fn wire(&self, is_up: bool) {
        ip(&["-n", &self.namespace("a"), "link", "set", "wire", if is_up { "up" } else { "down" }]);
    }

    /// Pings through a tunnel; how many of `count` came back.
    pub fn ping(&self, end: &str, from: &str, to: &str, count: u32) -> u32 {
        self.begin_ping(end, from, to, count).received()
    }

    /// Begins to ping, a hundred times in a second at most.
    pub fn begin_ping(&self, end: &str, from: &str, to: &str, count: u32) -> Ping {
        self.begin_ping_each("0.01", end, from, to, count)
    }

    /// The same with another pause, in seconds.
    pub fn begin_ping_each(&self, pause: &str, end: &str, from: &str, to: &str, count: u32) -> Ping {
        Ping::begin(&self.namespace(end), pause, [from, to], count)
    }
}

/// As a gateway does it: what comes from this side's subnets goes by the tunnel's device or nowhere. Here it is the end
/// itself that sends.
fn lead(namespace: &str, end: &str) {
    let (four, six) = if end == "a" { ("10.1.0.0/16", "fd01::/64") } else { ("10.2.0.0/16", "fd02::/64") };
    let run = |arguments: &str| {
        said_by_ip(&[&["-n", namespace], arguments.split(' ').collect::<Vec<_>>().as_slice()].concat())
    };
    if !run("rule show pref 210").is_empty() {
        return;
    }
    for (version, table, from, nets) in
        [("-4", LANE, four, &["10.0.0.0/8", "192.0.2.2/31"][..]), ("-6", LANE + 1, six, &["fd00::/8"])]
    {
        run(&format!("{version} rule add pref 210 iif lo from {from} lookup {table} protocol 201"));
        for net in nets {
            run(&format!("{version} route add blackhole {net} metric 4000000 table {table} protocol 201"));
        }
    }
}

/// The first table that is a lane; the next one is that of IPv6.
pub const LANE: u32 = 0x4b61_0000;

impl Drop for Lab {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            let namespace = self.namespace(end);
            let Some(inode) = inode(&namespace) else { continue };
            // First the name: an engine that is still there would start its daemon again, and now it cannot.
            let _ = Command::new("ip").args(["netns", "del", &namespace]).stderr(Stdio::null()).status();
            let mut rounds_without = 0;
            while rounds_without < 3 {
                let processes = processes_of(inode);
                rounds_without = if processes.is_empty() { rounds_without + 1 } else { 0 };
                for process in processes {
                    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The processes in a namespace that this lab has made.
pub fn processes_in(namespace: &str) -> Vec<i32> {
    inode(namespace).map(processes_of).unwrap_or_default()
}

fn inode(namespace: &str) -> Option<(u64, u64)> {
    let metadata = fs::metadata(format!("/run/netns/{namespace}")).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn processes_of(namespace: (u64, u64)) -> Vec<i32> {
    let is_inside = |pid: &i32| {
        let own = fs::metadata(format!("/proc/{pid}/ns/net"));
        own.is_ok_and(|own| (own.dev(), own.ino()) == namespace)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_inside).collect()
}

pub fn ip(arguments: &[&str]) {
    said_by_ip(arguments);
}

pub fn said_by_ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("the package iproute2 is installed");
    assert!(
        output.status.success(),
        "ip {arguments:?} (as root?): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
