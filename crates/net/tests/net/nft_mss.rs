//! The size of TCP segments, as both ends of a connection have agreed on it.

use std::net::TcpStream;

use anyhow::Result;
use karez_net::nft::{Chain, Hook, Table, clamp_mss, priority};
use nix::sys::socket::{getsockopt, sockopt};

use crate::nft_live::pairs;
use crate::scratch::Journey;
use crate::traffic::tcp;

/// Linux takes the bytes of its timestamps off what the other end announced.
const TIMESTAMPS: u32 = 12;

fn segment(end: &TcpStream) -> Result<u32> {
    Ok(getsockopt(end, sockopt::TcpMaxSeg)? + TIMESTAMPS)
}

async fn clamped(journey: &Journey, mss: u16) -> Result<()> {
    let mut table = Table::new("karez-test");
    let set =
        table.add_pairs("tunnel", pairs(&[("10.0.1.0/24", "192.168.9.0/24"), ("fd01::/64", "fd09::/64")]));
    table.add_chain(Chain::filter("forward", Hook::Forward, priority::MANGLE).rules(clamp_mss(&set, mss)));
    table.ensure(&journey.router.namespace).await?;
    Ok(())
}

#[tokio::test]
async fn connections_between_a_pair_use_smaller_segments_both_ways_whoever_opens_them() -> Result<()> {
    let journey = Journey::new().await?;
    clamped(&journey, 1000).await?;
    for (client, server, to) in
        [(&journey.host, &journey.beyond, "192.168.9.1"), (&journey.host, &journey.beyond, "fd09::1")]
    {
        let (near, far) = tcp(client, server, to)?;
        assert_eq!((segment(&near)?, segment(&far)?), (1000, 1000), "{to}");
    }
    // From the other side; its own source is the pair's destination.
    let listener = journey.host.namespace.run(|| std::net::TcpListener::bind("10.0.1.2:0"))??;
    let to = listener.local_addr()?;
    let near = journey.beyond.namespace.run(|| connect_from("192.168.9.1", to))??;
    let (far, _) = listener.accept()?;
    assert_eq!((segment(&near)?, segment(&far)?), (1000, 1000));
    Ok(())
}

#[tokio::test]
async fn other_connections_keep_theirs() -> Result<()> {
    let journey = Journey::new().await?;
    clamped(&journey, 1000).await?;
    let (near, far) = tcp(&journey.host, &journey.beyond, "192.168.8.1")?;
    assert_eq!((segment(&near)?, segment(&far)?), (1460, 1460));
    Ok(())
}

#[tokio::test]
async fn a_smaller_size_is_never_raised() -> Result<()> {
    let journey = Journey::new().await?;
    let link = karez_net::LinkSettings::default().mtu(1280);
    journey.host.netlink.ensure_link("eth0", &link).await?;
    clamped(&journey, 1400).await?;
    let (near, far) = tcp(&journey.host, &journey.beyond, "192.168.9.1")?;
    assert_eq!((segment(&near)?, segment(&far)?), (1240, 1240));
    Ok(())
}

/// From one of several addresses of its own, which the standard library has no way to say.
fn connect_from(source: &str, to: std::net::SocketAddr) -> Result<TcpStream> {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, socket,
    };
    use std::os::fd::AsRawFd;
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
    let source = std::net::SocketAddrV4::new(source.parse()?, 0);
    bind(socket.as_raw_fd(), &SockaddrIn::from(source))?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(TcpStream::from(socket))
}
