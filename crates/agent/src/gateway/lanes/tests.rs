use super::*;
use karez_engine::{Bounds, ConnectionId, GatewayPlan, RouterId};
use uuid::Uuid;

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

fn guard(local: &[&str], peer: &[&str]) -> Guard {
    let nets = |texts: &[&str]| texts.iter().map(|text| net(text)).collect();
    let connection = ConnectionId(Uuid::from_u128(1));
    let peer: Vec<IpNet> = nets(peer);
    let but = Bounds::default()
        .protected()
        .filter(|net| peer.iter().any(|peer| peer.contains(*net)))
        .copied()
        .collect();
    Guard { connection, local: nets(local), peer, but, mss: None }
}

fn plan() -> RouterPlan {
    RouterPlan {
        id: RouterId(Uuid::from_u128(1)),
        generation: 1,
        revision: 1,
        gateway: GatewayPlan::default(),
        services: Vec::new(),
        tunnels: Vec::new(),
    }
}

fn inside(link: &str, addresses: &[&str], behind: &[&str]) -> Inside {
    Inside { link: link.to_owned(), addresses: nets(addresses), behind: nets(behind) }
}

fn site() -> Site {
    Site {
        inside: vec![
            inside("qr-1", &["10.0.1.1/24"], &["10.9.0.0/16"]),
            inside("qr-2", &["10.0.2.1/24", "fd02::1/64"], &[]),
        ],
        connected: nets(&["10.0.1.0/24", "10.0.2.0/24", "fd02::/64"]),
        ..Site::default()
    }
}

fn texts(lane: &Lane) -> Vec<String> {
    lane.entries.iter().map(|entry| format!("{} {}", entry.link, entry.from)).collect()
}

#[test]
fn each_local_subnet_has_the_networks_of_its_own_peers() {
    let guards = [
        guard(&["10.0.1.0/24"], &["20.0.0.0/24"]),
        guard(&["10.0.2.0/24"], &["30.0.0.0/24"]),
        guard(&["10.0.1.0/24"], &["40.0.0.0/24"]),
    ];
    let lanes = lanes(&plan(), &guards, &site());
    let to: Vec<_> = lanes.iter().map(|lane| (lane.from, lane.to.clone())).collect();
    assert_eq!(
        to,
        [
            (net("10.0.1.0/24"), nets(&["20.0.0.0/24", "40.0.0.0/24"])),
            (net("10.0.2.0/24"), nets(&["30.0.0.0/24"]))
        ]
    );
    assert_eq!(texts(&lanes[0]), ["lo 10.0.1.1/32", "qr-1 10.0.1.0/24"]);
    assert_eq!(lanes[0].kept, nets(&[]));
}

#[test]
fn a_wide_peer_keeps_what_is_connected_and_what_never_leaves() {
    let lanes = lanes(&plan(), &[guard(&["10.0.1.0/24"], &["0.0.0.0/0"])], &site());
    let kept = nets(&[
        "10.0.1.0/24",
        "10.0.2.0/24",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
    ]);
    assert_eq!(lanes[0].kept, kept);
}

#[test]
fn a_subnet_behind_another_router_comes_in_by_the_link_to_that_one() {
    let lanes = lanes(&plan(), &[guard(&["10.9.1.0/24"], &["20.0.0.0/24"])], &site());
    assert_eq!(texts(&lanes[0]), ["qr-1 10.9.1.0/24"]);
}

#[test]
fn what_is_encrypted_does_not_enter_where_the_outer_address_is_local() {
    let site = Site { inside: vec![inside("eth0", &["10.0.1.1/24"], &[])], ..Site::default() };
    let mut outer = BTreeSet::new();
    assert_eq!(entries(&net("10.0.1.0/24"), &site.inside, &outer).len(), 2);
    outer.insert("10.0.1.1".parse().expect("an address"));
    let entries = entries(&net("10.0.1.0/24"), &site.inside, &outer);
    assert_eq!(entries.into_iter().map(|entry| entry.link).collect::<Vec<_>>(), ["eth0"]);
}
