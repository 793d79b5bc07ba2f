//! Valid bodies with random faults, at every route that takes one.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Caller, Launch, Server, Site};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

const MUTATIONS: usize = 2000;

#[test]
fn no_mutation_of_a_body_is_a_fault_of_the_server_on_sqlite() -> anyhow::Result<()> {
    no_mutation_of_a_body_is_a_fault_of_the_server(Sqlite)
}

#[test]
fn no_mutation_of_a_body_is_a_fault_of_the_server_on_postgresql() -> anyhow::Result<()> {
    no_mutation_of_a_body_is_a_fault_of_the_server(Postgresql)
}

fn no_mutation_of_a_body_is_a_fault_of_the_server(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let requests = requests(&server)?;
    let mut dice = Dice(0x5eed);
    let (mut taken, mut refused) = (0, 0);
    for number in 0..MUTATIONS {
        let (method, path, body) = &requests[dice.below(requests.len())];
        let bytes = mutate(body, &mut dice);
        let caller = if dice.below(2) == 0 { Caller::member("p") } else { Caller::admin("p") };
        let response = caller.request(&server, method.clone(), path).body(bytes.clone()).send()?;
        let status = response.status().as_u16();
        if status < 400 {
            taken += 1;
        } else {
            refused += 1;
        }
        let answer = response.text()?;
        // Neutron answers 503 when a flavor is disabled; nothing else is away here.
        let is_disabled =
            answer.contains("\"FlavorDisabled\"") || answer.contains("\"ServiceProfileDisabled\"");
        ensure!(
            status < 500 || is_disabled,
            "mutation {number}: {method} {path} {}\nwas answered {status} {answer}",
            String::from_utf8_lossy(&bytes).chars().take(2000).collect::<String>()
        );
        ensure!(status < 400 || serde_json::from_str::<Json>(&answer).is_ok(), "{status} {answer}");
    }
    // Otherwise the mutations are too wild, or too tame, to prove anything.
    ensure!(taken > MUTATIONS / 50 && refused > MUTATIONS / 5, "{taken} were taken, {refused} refused");
    ensure!(server.is_alive()?);
    ensure!(!server.log()?.contains("panicked"), "{}", server.log()?);
    Ok(())
}

/// Requests that are right, or would be at another time.
fn requests(server: &Server) -> anyhow::Result<Vec<(Method, String, Json)>> {
    let site = Site::build(server, "p")?;
    let connection = site.connect("a secret")?;
    let Site { router, subnet, network, ike_policy, ipsec_policy, service, .. } = &site;
    let policy = json!({"name": "n", "description": "d", "auth_algorithm": "sha256", "encryption_algorithm": "aes-256",
        "pfs": "group14", "lifetime": {"units": "seconds", "value": 7200}});
    let port = json!({"network_id": network, "name": "n", "fixed_ips": [{"subnet_id": subnet}],
        "allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}], "security_groups": [], "device_id": "d",
        "binding:host_id": "", "mac_address": "fa:16:3e:01:02:03"});
    let subnet_body = json!({"network_id": network, "cidr": "10.77.0.0/24", "gateway_ip": "10.77.0.1",
        "allocation_pools": [{"start": "10.77.0.10", "end": "10.77.0.20"}], "dns_nameservers": ["192.0.2.53"],
        "host_routes": [{"destination": "10.1.0.0/16", "nexthop": "10.77.0.9"}], "enable_dhcp": true, "ip_version": 4});
    let route = json!({"routes": [{"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}]});
    let rule = json!({"security_group_id": network, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
        "port_range_min": 1, "port_range_max": 2, "remote_ip_prefix": "10.0.0.0/8"});
    let group = json!({"name": "n", "type": "cidr", "endpoints": ["10.1.0.0/16", "10.2.0.0/16"]});
    let own = |path: &str, id: &str| format!("/v2.0/{path}/{id}");
    let post = |path: &str, member: &str, body: &Json| {
        (Method::POST, format!("/v2.0/{path}"), json!({member: body}))
    };
    let put = |path: String, body: Json| (Method::PUT, path, body);
    Ok(vec![
        post("vpn/ikepolicies", "ikepolicy", &policy),
        post("vpn/ipsecpolicies", "ipsecpolicy", &policy),
        post(
            "vpn/vpnservices",
            "vpnservice",
            &json!({"router_id": router, "subnet_id": subnet, "name": "n", "flavor_id": null}),
        ),
        post("vpn/endpoint-groups", "endpoint_group", &group),
        post("vpn/ipsec-site-connections", "ipsec_site_connection", &with_more(site.connection("a secret"))),
        post(
            "networks",
            "network",
            &json!({"name": "n", "mtu": 1500, "shared": false, "provider:segmentation_id": 7,
            "availability_zone_hints": ["nova"], "provider:network_type": "vlan"}),
        ),
        post("networks", "networks", &json!([{"name": "a"}, {"name": "b"}])),
        post("subnets", "subnet", &subnet_body),
        post("ports", "port", &port),
        post("routers", "router", &json!({"name": "n", "external_gateway_info": null, "distributed": false})),
        post(
            "floatingips",
            "floatingip",
            &json!({"floating_network_id": network, "port_id": null, "fixed_ip_address": null}),
        ),
        post("security-groups", "security_group", &json!({"name": "n", "stateful": true})),
        post("security-group-rules", "security_group_rule", &rule),
        post("flavors", "flavor", &json!({"name": "n", "service_type": "VPN", "enabled": true})),
        post(
            "service_profiles",
            "service_profile",
            &json!({"driver": "d", "metainfo": {"a": [1]}, "description": "d"}),
        ),
        put(own("vpn/ikepolicies", ike_policy), json!({"ikepolicy": policy})),
        put(own("vpn/ipsecpolicies", ipsec_policy), json!({"ipsecpolicy": policy})),
        put(own("vpn/vpnservices", service), json!({"vpnservice": {"name": "n", "admin_state_up": "true"}})),
        put(
            own("vpn/ipsec-site-connections", &connection),
            json!({"ipsec_site_connection": {"psk": "another", "mtu": "1400",
            "dpd": {"action": "restart", "interval": 10, "timeout": "60"}, "peer_cidrs": "10.8.0.0/24", "initiator": "response-only"}}),
        ),
        put(own("networks", network), json!({"network": {"name": "n", "mtu": 1400, "admin_state_up": 1}})),
        put(
            own("subnets", subnet),
            json!({"subnet": {"dns_nameservers": null, "host_routes": [], "gateway_ip": "10.0.0.1"}}),
        ),
        put(own("routers", router), json!({"router": route})),
        put(format!("{}/add_extraroutes", own("routers", router)), json!({"router": route})),
        put(format!("{}/remove_extraroutes", own("routers", router)), json!({"router": route})),
        put(format!("{}/add_router_interface", own("routers", router)), json!({"subnet_id": subnet})),
        put(format!("{}/remove_router_interface", own("routers", router)), json!({"port_id": subnet})),
        put(format!("{}/tags", own("networks", network)), json!({"tags": ["a", "b"]})),
        (Method::POST, format!("{}/tags", own("networks", network)), json!({"tags": ["c"]})),
        put("/v2.0/quotas/p".into(), json!({"quota": {"port": 100, "ikepolicy": -1, "router": 100}})),
    ])
}

fn with_more(mut connection: Json) -> Json {
    connection["dpd"] = json!({"action": "hold", "interval": 30, "timeout": 120});
    connection["mtu"] = json!(1500);
    connection["local_id"] = json!("@here");
    connection["local_ep_group_id"] = Json::Null;
    connection
}

/// One to three faults in the structure, and now and then one in the bytes.
fn mutate(body: &Json, dice: &mut Dice) -> Vec<u8> {
    let mut body = body.clone();
    for _ in 0..=dice.below(3) {
        let depth = 1 + dice.below(4);
        strike(&mut body, depth, dice);
    }
    let mut bytes = body.to_string().into_bytes();
    if dice.below(8) == 0 {
        let at = dice.below(bytes.len());
        match dice.below(3) {
            0 => bytes[at] = dice.below(256) as u8,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, b"\"{}[]\\,\0"[dice.below(8)]),
        }
    }
    bytes
}

/// Goes down to a random place and changes it.
fn strike(json: &mut Json, depth: usize, dice: &mut Dice) {
    match json {
        Json::Object(map) if depth > 0 && !map.is_empty() => {
            let key = map.keys().nth(dice.below(map.len())).cloned().unwrap_or_default();
            // A host name would be asked for in the DNS, and nothing here leaves this machine.
            if key == "peer_address" {
                map.insert(key, json!([null, "", 7, "::1", "10.0.0.300"])[dice.below(5)].clone());
                return;
            }
            match dice.below(12) {
                0 if depth < 3 => drop(map.remove(&key)),
                1 if depth < 3 => drop(map.insert("surplus".into(), odd(dice))),
                2 if depth < 3 => drop(map.insert("id".into(), json!("x"))),
                _ => strike(&mut map[&key], depth - 1, dice),
            }
        }
        Json::Array(list) if depth > 0 && !list.is_empty() => {
            let at = dice.below(list.len());
            match dice.below(6) {
                0 => list.push(list[at].clone()),
                1 => drop(list.remove(at)),
                2 => *list = vec![list[at].clone(); 1001],
                _ => strike(&mut list[at], depth - 1, dice),
            }
        }
        _ => *json = odd(dice),
    }
}

fn odd(dice: &mut Dice) -> Json {
    const TEXTS: [&str; 30] = [
        "",
        " ",
        "x",
        "true",
        "-1",
        "0",
        "1e3",
        "\u{0}",
        "a\u{0}b",
        "ß✓😀",
        "\u{202e}",
        "'; DROP TABLE ports; --",
        "%s%n",
        "../..",
        "10.0.0.0/33",
        "10.0.0.7",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "255.255.255.255",
        "::",
        "2001:db8::/128",
        "::/0",
        "fa:16:3e:ff:ff:ff",
        "00000000-0000-0000-0000-000000000000",
        "subnet",
        "vlan",
        "default",
        "VPN",
        "udp",
        "99999999999999999999",
    ];
    match dice.below(12) {
        0 => Json::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!([-1, 0, 1, 5, 68, 65_535, 65_536, i64::MAX, i64::MIN][dice.below(9)]),
        3 => json!([1.5, -0.0, 1e300, 4294967296.0][dice.below(4)]),
        4 => json!(u64::MAX),
        5 => Json::String("x".repeat([255, 256, 1025, 5000, 100_000][dice.below(5)])),
        6 => json!([odd_text(dice, &TEXTS), {"a": [null]}]),
        7 => json!({odd_text(dice, &TEXTS): odd_text(dice, &TEXTS)}),
        8 => Json::Object(Map::new()),
        9 => json!([]),
        _ => json!(odd_text(dice, &TEXTS)),
    }
}

fn odd_text(dice: &mut Dice, texts: &[&'static str]) -> &'static str {
    texts[dice.below(texts.len())]
}

/// Randomness that is the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound
    }
}
