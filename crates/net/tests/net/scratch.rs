//! Namespaces that disappear with the test that made them, and the small networks that tests are about.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use karez_net::{LinkSettings, Namespace, Netlink, Route, SpawnOptions, VethEnd, ensure_veth};
use rtnetlink::packet_route::route::RouteMessage;

/// A namespace of one test's own; removed when it is dropped, also by a panic.
pub struct Scratch {
    pub namespace: Namespace,
    pub netlink: Netlink,
}

impl Scratch {
    /// With the loopback up.
    pub async fn new(label: &str) -> Result<Self> {
        let namespace = Namespace::create(&unused_name(label)).context("these tests need root")?;
        let netlink = Netlink::open(&namespace).await?;
        netlink.ensure_loopback().await?;
        Ok(Self { namespace, netlink })
    }

    pub async fn address(&self, link: &str, addresses: &[&str]) -> Result<()> {
        self.netlink.ensure_addresses(link, &nets(addresses)).await?;
        Ok(())
    }

    pub async fn default_via(&self, gateways: &[&str]) -> Result<()> {
        for gateway in gateways {
            self.netlink.ensure_route(&Route::default_via(gateway.parse()?)).await?;
        }
        Ok(())
    }

    /// One ping, answered within two seconds or not.
    pub fn pings(&self, address: &str) -> Result<bool> {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-c", "1", "-W", "2", address]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut ping = self.namespace.spawn(&mut ping, &SpawnOptions::new())?;
        Ok(ping.wait()?.success())
    }

    /// Anything that `nft` reads, from somebody who is not us.
    pub fn foreign_nft(&self, rules: &str) -> Result<()> {
        let mut nft = Command::new("nft");
        nft.arg(rules);
        let status = self.namespace.spawn(&mut nft, &SpawnOptions::new())?.wait()?;
        ensure!(status.success(), "nft: {status}");
        Ok(())
    }

    /// Commands of `ip`, one a line, done while the calling thread waits.
    pub fn batch(&self, lines: &str) -> Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped());
        let mut ip = self.namespace.spawn(&mut ip, &SpawnOptions::new())?;
        ip.stdin.take().context("no standard input")?.write_all(lines.as_bytes())?;
        let status = ip.wait()?;
        ensure!(status.success(), "ip: {status}");
        Ok(())
    }

    /// A route of somebody else, which does not say that it is ours.
    pub async fn foreign_route(&self, route: RouteMessage) -> Result<()> {
        let runtime = tokio::runtime::Handle::current();
        let opened = self.namespace.run_async(move || {
            let _runtime = runtime.enter();
            rtnetlink::new_connection()
        });
        let (connection, handle, _) = opened.await??;
        tokio::spawn(connection);
        Ok(handle.route().add(route).execute().await?)
    }

    /// What a program says.
    pub fn output(&self, command: &mut Command) -> Result<String> {
        let child = self.namespace.spawn(command.stdout(Stdio::piped()), &SpawnOptions::new())?;
        Ok(String::from_utf8(child.wait_with_output()?.stdout)?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A panic in here would hide the test's own.
        let _ = Namespace::delete(self.namespace.name());
    }
}

/// A process that is ended with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names are told apart by process, so that tests may run at the same time.
pub fn unused_name(label: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("karez-test-{}-{}-{label}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub fn nets(texts: &[&str]) -> BTreeSet<ipnet::IpNet> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

/// Joins two namespaces by a pair, both ends up.
pub async fn join(one: &Scratch, name: &str, other: &Scratch, other_name: &str) -> Result<()> {
    let end = |netlink, name| VethEnd { netlink, name, settings: LinkSettings::up() };
    ensure_veth(&end(&one.netlink, name), &end(&other.netlink, other_name)).await?;
    Ok(())
}

/// Looks again until it is so, for at most two seconds.
pub async fn eventually(mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..200 {
        if check()? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("it did not come about within two seconds")
}

/// A host behind a router, and a place beyond the router that has routes back to all of it.
///
/// ```text
/// host 10.0.1.2 ── in0 10.0.1.1 router 203.0.113.1 ex0 ── 203.0.113.2 beyond (192.168.9.1, 192.168.8.1)
///      fd01::2          fd01::1        fd03::1               fd03::2         (fd09::1)
/// ```
pub struct Journey {
    pub host: Scratch,
    pub router: Scratch,
    pub beyond: Scratch,
}

impl Journey {
    pub async fn new() -> Result<Self> {
        let (host, router, beyond) =
            (Scratch::new("host").await?, Scratch::new("router").await?, Scratch::new("beyond").await?);
        join(&host, "eth0", &router, "in0").await?;
        join(&beyond, "eth0", &router, "ex0").await?;
        host.address("eth0", &["10.0.1.2/24", "fd01::2/64"]).await?;
        router.address("in0", &["10.0.1.1/24", "fd01::1/64"]).await?;
        router.address("ex0", &["203.0.113.1/24", "fd03::1/64"]).await?;
        beyond.address("eth0", &["203.0.113.2/24", "fd03::2/64"]).await?;
        beyond.address("lo", &["192.168.9.1/32", "192.168.8.1/32", "fd09::1/128"]).await?;
        host.default_via(&["10.0.1.1", "fd01::1"]).await?;
        router.default_via(&["203.0.113.2", "fd03::2"]).await?;
        beyond.default_via(&["203.0.113.1", "fd03::1"]).await?;
        for setting in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            router.namespace.set_sysctl(setting, "1")?;
        }
        Ok(Self { host, router, beyond })
    }
}
