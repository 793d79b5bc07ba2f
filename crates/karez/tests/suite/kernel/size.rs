//! TCP opens connections that fit into the tunnel, and no smaller than need be.

use crate::kernel::stage::{Stage, UP};
use anyhow::Result;
use karez_scene::{Capture, Host, Wish, wait};
use std::net::IpAddr;
use std::time::Duration;

/// 1500 octets, without an IP header (20), ESP's (8), its IV (16) and its ICV (16), are 1440, which AES can fill; two
/// of them are ESP's trailer (RFC 4303, section 2).
const PACKET: u32 = 1438;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn a_tcp_connection_opens_with_segments_that_just_fit_into_the_tunnel() -> Result<()> {
    let stage = Stage::build("kernelsize")?;
    let (_, there) = stage.hosts();
    let (_left, _right) = stage.connected(&Wish::modern())?;
    let segment = format!("mss {},", PACKET - 40);
    // What was negotiated is known a moment before the rules go by it.
    wait::until(&format!("a handshake with {segment}"), UP, || {
        let capture: Capture = stage.two.host.capture()?;
        opens(&stage.one.host, there)?;
        let seen = capture.stop()?.text(10, "tcp")?;
        Ok(if seen.contains(&segment) { Ok(()) } else { Err(seen) })
    })?;
    assert!(fits(&stage.one.host, there, PACKET)?);
    // The next block of AES is one too many; the router says so and drops it.
    assert!(!fits(&stage.one.host, there, PACKET + 1)?);
    stage.ground.succeeded();
    Ok(())
}

/// Nobody listens there; the handshake's first packet is enough.
fn opens(host: &Host, address: IpAddr) -> Result<(), karez_scene::Error> {
    let command = format!("(exec 3<>/dev/tcp/{address}/7) 2>/dev/null; true");
    host.run("bash", &["-c", &command], Duration::from_secs(10)).map(drop)
}

/// Whether a packet of this size gets through in one piece, with IP's header (20) and ICMP's (8).
fn fits(host: &Host, address: IpAddr, size: u32) -> Result<bool> {
    let command = format!("ping -q -n -c 3 -i 0.02 -W 1 -M do -s {} {address}; echo $?", size - 28);
    let said = host.run("sh", &["-c", &command], Duration::from_secs(10))?;
    Ok(said.trim_end().ends_with("\n0"))
}
