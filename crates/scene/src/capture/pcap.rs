//! The format in which packets are recorded (draft-ietf-opsawg-pcap): a header, then packets with a header each.

use super::packet::{Fragments, Packet};
use std::time::Duration;

/// Microseconds, in the writer's byte order.
const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// Reads a recording. A last packet that was not written to its end is left out.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Packet>, &'static str> {
    let magic: [u8; 4] = bytes.get(..4).and_then(|magic| magic.try_into().ok()).ok_or("it is empty")?;
    let number: fn([u8; 4]) -> u32 = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (MAGIC, _) => u32::from_le_bytes,
        (_, MAGIC) => u32::from_be_bytes,
        _ => return Err("it is no recording of packets with microseconds"),
    };
    let at = |position: usize| Some(number(bytes.get(position..position + 4)?.try_into().ok()?));
    if at(20) != Some(ETHERNET) {
        return Err("it is not of an Ethernet link");
    }
    let (mut packets, mut fragments, mut position) = (Vec::new(), Fragments::default(), FILE_HEADER);
    while let (Some(seconds), Some(micros), Some(length)) = (at(position), at(position + 4), at(position + 8))
    {
        let begin = position + PACKET_HEADER;
        let Some(frame) = bytes.get(begin..begin + length as usize) else { break };
        let time = Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into());
        packets.push(Packet::read(frame, time, &mut fragments));
        position = begin + length as usize;
    }
    Ok(packets)
}
