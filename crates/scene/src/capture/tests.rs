use super::packet::Fragments;
use super::*;

const UDP: u8 = 17;

fn kinds(frames: &[Vec<u8>]) -> Vec<PacketKind> {
    let mut fragments = Fragments::default();
    frames.iter().map(|frame| Packet::read(frame, Duration::ZERO, &mut fragments).kind).collect()
}

fn ethernet(ethertype: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ethertype.to_be_bytes(), body].concat()
}

/// `place` is flags and offset.
fn v4(protocol: u8, place: u16, body: &[u8]) -> Vec<u8> {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[4..6].copy_from_slice(&7u16.to_be_bytes());
    header[6..8].copy_from_slice(&place.to_be_bytes());
    header[9] = protocol;
    header[12..16].copy_from_slice(&[200, 200, 128, 100]);
    header[16..20].copy_from_slice(&[200, 200, 128, 151]);
    ethernet(0x0800, &[&header[..], body].concat())
}

fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[6] = next;
    header[8..24].copy_from_slice(&[1; 16]);
    header[24..40].copy_from_slice(&[2; 16]);
    ethernet(0x86dd, &[&header[..], body].concat())
}

fn udp(from: u16, to: u16, body: &[u8]) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 0, 0, 0], body].concat()
}

#[test]
fn what_a_gateway_sends_is_told_apart() {
    let frames = [
        v4(50, 0, &[1; 40]),
        v4(51, 0, &[1; 40]),
        v4(UDP, 0, &udp(500, 500, &[1; 28])),
        v4(UDP, 0, &udp(4500, 4500, &[0, 0, 0, 0, 9])),
        v4(UDP, 0, &udp(4500, 61_234, &[1, 2, 3, 4, 5])),
        v4(UDP, 0, &udp(61_234, 4500, &[0xff])),
        v6(UDP, &udp(4500, 4500, &[1, 2, 3, 4, 5])),
    ];
    use PacketKind::*;
    assert_eq!(kinds(&frames), [Esp, Ah, Ike, IkeOnNatPort, EspInUdp, KeepAlive, EspInUdp]);
}

#[test]
fn neighbours_talking_is_no_leak() {
    let hop_by_hop = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &[143, 0, 0, 0]].concat();
    let frames = [ethernet(0x0806, &[0; 28]), v6(58, &[135, 0, 0, 0]), v6(0, &hop_by_hop), v4(2, 0, &[0x22])];
    assert_eq!(kinds(&frames), [PacketKind::Neighbour; 4]);
}

#[test]
fn an_error_about_ike_is_no_leak_and_one_about_a_ping_is() {
    let about = |packet: Vec<u8>| [&[3, 3, 0, 0, 0, 0, 0, 0][..], &packet[14..]].concat();
    let of_ike = v4(1, 0, &about(v4(UDP, 0, &udp(500, 500, &[1; 28]))));
    let of_ping = v4(1, 0, &about(v4(1, 0, &[8, 0, 0, 0])));
    let about = |packet: Vec<u8>| [&[1, 4, 0, 0, 0, 0, 0, 0][..], &packet[14..]].concat();
    let of_esp = v6(58, &about(v6(50, &[1; 40])));
    assert_eq!(kinds(&[of_ike, of_ping, of_esp]), [PacketKind::Error, PacketKind::Clear, PacketKind::Error]);
}

#[test]
fn a_ping_in_clear_is_a_leak() {
    let frames = [v4(1, 0, &[8, 0, 0, 0]), v6(58, &[128, 0, 0, 0]), v4(UDP, 0, &udp(53, 53, &[0; 20]))];
    assert_eq!(kinds(&frames), [PacketKind::Clear; 3]);
}

#[test]
fn what_cannot_be_understood_is_a_leak() {
    let frames =
        [vec![], vec![1; 13], ethernet(0x0800, &[0x45, 0]), ethernet(0x88cc, &[0; 60]), v4(UDP, 0, &[1])];
    assert_eq!(kinds(&frames), [PacketKind::Clear; 5]);
}

#[test]
fn a_fragment_is_what_its_first_one_was() {
    const MORE: u16 = 0x2000;
    let first = v4(UDP, MORE, &udp(4500, 4500, &[1; 64]));
    let second = v4(UDP, 9, &[1; 64]);
    assert_eq!(kinds(&[first, second.clone()]), [PacketKind::EspInUdp; 2]);
    assert_eq!(kinds(&[second]), [PacketKind::Clear]);

    let header = |place: u16| [&[UDP, 0][..], &place.to_be_bytes(), &[0, 0, 0, 5]].concat();
    let first = v6(44, &[header(1), udp(4500, 4500, &[1; 64])].concat());
    let second = v6(44, &[header(9 << 3), vec![1; 64]].concat());
    assert_eq!(kinds(&[first, second]), [PacketKind::EspInUdp; 2]);
}

#[test]
fn a_recording_is_read_up_to_the_packet_that_was_cut() {
    let frame = v4(50, 0, &[1; 40]);
    let header = |magic: [u8; 4]| [&magic[..], &[0; 16], &1u32.to_le_bytes()].concat();
    let length = u32::try_from(frame.len()).expect("small").to_le_bytes();
    let record = [&9u32.to_le_bytes()[..], &5u32.to_le_bytes(), &length, &length, &frame].concat();
    let file = [header([0xd4, 0xc3, 0xb2, 0xa1]), record.clone(), record[..30].to_vec()].concat();
    let packets = pcap::read(&file).expect("a recording");
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].kind, packets[0].at), (PacketKind::Esp, Duration::from_micros(9_000_005)));
    assert!(pcap::read(&header([0; 4])).is_err());
    assert!(pcap::read(&[]).is_err());
}

#[test]
fn the_accounts_of_tcpdump_are_read() {
    let log = "tcpdump: listening on eth0, link-type EN10MB\n\
        tcpdump: 7 packets captured, 8 packets received by filter, 0 packets dropped by kernel\n\
        9 packets captured\n9 packets received by filter\n3 packets dropped by kernel\n";
    let account = |written, received, dropped| Account { written, received, dropped };
    assert_eq!(accounts(log), [account(7, 8, 0), account(9, 9, 3)]);
    assert_eq!(
        accounts("1 packet captured\n1 packet received by filter\n0 packets dropped by kernel"),
        [account(1, 1, 0)]
    );
}
