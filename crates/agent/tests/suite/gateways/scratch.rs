//! Namespaces that disappear with the test that made them, and what is asked of them.

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use karez_net::{LinkSettings, Namespace, Netlink, Route, SpawnOptions, VethEnd, ensure_veth, nft};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A namespace of one test's own; removed when it is dropped, also by a panic.
pub struct Scratch {
    pub namespace: Namespace,
    pub netlink: Netlink,
}

impl Scratch {
    /// With the loopback up.
    pub async fn new(label: &str) -> Result<Self> {
        Self::named(&unused_name(label)).await
    }

    pub async fn named(name: &str) -> Result<Self> {
        let namespace = Namespace::create(name).context("these tests need root")?;
        let netlink = Netlink::open(&namespace).await?;
        netlink.ensure_loopback().await?;
        Ok(Self { namespace, netlink })
    }

    /// A namespace that is somebody else's to remove.
    pub fn inside(netlink: &Netlink) -> Visit {
        Visit(netlink.namespace().clone())
    }

    pub fn speaker(&self, address: &str) -> Result<Speaker> {
        Visit(self.namespace.clone()).speaker(address)
    }

    pub fn name(&self) -> String {
        self.namespace.name().to_owned()
    }

    pub async fn address(&self, link: &str, addresses: &[&str]) -> Result<()> {
        let addresses = addresses.iter().map(|text| net(text)).collect();
        self.netlink.ensure_addresses(link, &addresses).await?;
        Ok(())
    }

    pub async fn default_via(&self, gateways: &[&str]) -> Result<()> {
        for gateway in gateways {
            self.netlink.ensure_route(&Route::default_via(gateway.parse()?)).await?;
        }
        Ok(())
    }

    /// Counts what comes in, by rules of nftables; read with [`Scratch::seen`].
    pub fn watch(&self, rules: &[(&str, &str)]) -> Result<()> {
        let mut text = "table inet watch {\n".to_owned();
        for (name, _) in rules {
            text += &format!("counter seen_{name} {{ }}\n");
        }
        text += "chain watching { type filter hook prerouting priority -400; policy accept;\n";
        for (name, rule) in rules {
            text += &format!("{rule} counter name seen_{name}\n");
        }
        self.nft(&(text + "}\n}"))
    }

    /// How many packets met a rule of [`Scratch::watch`].
    pub async fn seen(&self, name: &str) -> Result<u64> {
        let counters = nft::counters(&self.namespace, "watch").await?;
        Ok(counters.get(&format!("seen_{name}")).with_context(|| format!("no counter {name}"))?.packets)
    }

    /// Anything that `nft` reads, from somebody who is not us.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let mut nft = Command::new("nft");
        let status = self.namespace.spawn(nft.arg(rules), &SpawnOptions::new())?.wait()?;
        ensure!(status.success(), "nft: {status}");
        Ok(())
    }

    /// One ping, answered within a second or not.
    pub fn pings(&self, address: &str) -> Result<bool> {
        let mut ping = self.ping(&["-c", "1", "-W", "1", address])?;
        Ok(ping.wait()?.success())
    }

    /// Pings all the time, each hundredth of a second, until it is told to stop.
    pub fn keep_pinging(&self, address: &str) -> Result<Pinging> {
        Ok(Pinging(self.ping(&["-i", "0.01", "-W", "1", address])?))
    }

    fn ping(&self, arguments: &[&str]) -> Result<Child> {
        let mut ping = Command::new("ping");
        ping.arg("-n").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(self.namespace.spawn(&mut ping, &SpawnOptions::new())?)
    }

    pub fn listen(&self, address: &str) -> Result<TcpListener> {
        let address: SocketAddr = address.parse()?;
        Ok(self.namespace.run(|| TcpListener::bind(address))??)
    }

    /// Opens a connection, within a second or not.
    pub fn connects(&self, address: &str) -> Result<bool> {
        let address: SocketAddr = address.parse()?;
        let opened = self.namespace.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)))?;
        Ok(opened.is_ok())
    }

    /// All that is to be said of the namespace's links, addresses, routes, rules and settings, but not of its tables.
    pub fn dump(&self) -> Result<Dump> {
        let mut dump = String::new();
        let queries: [&[&str]; 6] = [
            &["-j", "link"],
            &["-j", "address"],
            &["-j", "route", "show", "table", "all"],
            &["-j", "-6", "route", "show", "table", "all"],
            &["-j", "rule"],
            &["-j", "-6", "rule"],
        ];
        for query in queries {
            dump += &self.output(Command::new("ip").args(query))?;
        }
        dump +=
            &self.output(Command::new("sysctl").args(["-a", "-r", r"^net\.ipv[46]\.(conf|ip_forward)"]))?;
        // What comes about by itself some time after a link was made says nothing.
        let mut dump = dump.replace("},{", "},\n{");
        for passing in ["\"tentative\":true,", "\"operstate\":\"UP\",", "\"operstate\":\"UNKNOWN\","] {
            dump = dump.replace(passing, "");
        }
        Ok(Dump(dump.lines().map(str::to_owned).collect()))
    }

    pub fn tables(&self) -> Result<String> {
        self.output(Command::new("nft").args(["list", "tables"]))
    }

    /// A command of iproute2, by whoever the machine belongs to.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let mut ip = Command::new("ip");
        let status = self.namespace.spawn(ip.args(arguments.split(' ')), &SpawnOptions::new())?.wait()?;
        ensure!(status.success(), "ip {arguments}: {status}");
        Ok(())
    }

    pub fn output(&self, command: &mut Command) -> Result<String> {
        let child = self.namespace.spawn(command.stdout(Stdio::piped()), &SpawnOptions::new())?;
        Ok(String::from_utf8(child.wait_with_output()?.stdout)?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // One that could not be removed is noticed by whoever lists namespaces; a test that fails has more to say.
        let _ = Namespace::delete(self.namespace.name());
    }
}

/// A look into a namespace.
pub struct Visit(Namespace);

impl Visit {
    pub fn speaker(&self, address: &str) -> Result<Speaker> {
        let address: SocketAddr = address.parse()?;
        let socket = self.0.run(|| UdpSocket::bind(address))??;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        Ok(Speaker(socket))
    }
}

/// Somebody who speaks UDP.
pub struct Speaker(UdpSocket);

impl Speaker {
    /// Whether a word to this address is heard there. A machine may refuse to send what its rules would drop.
    pub fn is_heard_by(&self, other: &Self, address: &str) -> Result<bool> {
        let address: SocketAddr = address.parse()?;
        let sent = self.0.send_to(b"word", address).is_ok();
        Ok(sent && other.0.recv(&mut [0; 16]).is_ok())
    }
}

/// What [`Scratch::dump`] says.
#[derive(Clone, PartialEq, Eq)]
pub struct Dump(BTreeSet<String>);

impl Dump {
    /// What is there and was not before, and the other way round.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let (before, after) = (&before.0, &self.0);
        let gone = before.difference(after).map(|line| format!("gone: {line}"));
        gone.chain(after.difference(before).map(|line| format!("new: {line}"))).collect()
    }
}

/// A ping that runs.
pub struct Pinging(Child);

impl Pinging {
    /// How many were sent, and how many of them answered.
    pub fn stop(mut self) -> Result<(u64, u64)> {
        // SIGINT makes it say what it has counted; the last one sent may still be on its way.
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        let output = std::io::read_to_string(self.0.stdout.take().context("no output")?)?;
        self.0.wait()?;
        let line =
            output.lines().find(|line| line.contains("packets transmitted")).context(output.clone())?;
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [sent, answered, ..] = numbers[..] else { anyhow::bail!("{line}") };
        Ok((sent, answered))
    }
}

impl Drop for Pinging {
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

pub fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

/// Joins two namespaces by a pair, both ends up.
pub async fn join(one: &Netlink, name: &str, other: &Netlink, other_name: &str) -> Result<()> {
    let end = |netlink, name| VethEnd { netlink, name, settings: LinkSettings::up() };
    ensure_veth(&end(one, name), &end(other, other_name)).await?;
    Ok(())
}

/// Looks again until it is so, for about three seconds at most.
pub async fn eventually(what: &str, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    #[allow(clippy::disallowed_methods, reason = "a look may itself take long")]
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        if check()? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("it did not come about within three seconds: {what}")
}
