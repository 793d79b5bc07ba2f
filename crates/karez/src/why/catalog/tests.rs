use super::super::access::{Method, Trust};
use super::*;
use karez_model::Secret;
use serde_json::json;

fn access(region: Option<&str>, interface: &str, network_endpoint: Option<&str>) -> Access {
    Access {
        auth_url: "http://x/v3".to_owned(),
        method: Method::Token(Secret::new("t".to_owned())),
        project: None,
        region: region.map(str::to_owned),
        interface: interface.to_owned(),
        network_endpoint: network_endpoint.map(str::to_owned),
        trust: Trust::System,
        place: "the environment".to_owned(),
    }
}

fn token() -> Json {
    let endpoint = |region: &str, interface: &str, url: &str| json!({"region": region, "region_id": region, "interface": interface, "url": url});
    json!({"token": {"project": {"id": "p"}, "catalog": [
        {"type": "identity", "endpoints": [endpoint("north", "public", "http://keystone")]},
        {"type": "network", "endpoints": [
            endpoint("north", "public", "http://north:9696/"),
            endpoint("south", "public", "http://south/networking/v2.0/"),
            endpoint("south", "internal", "http://inner"),
        ]},
    ]}})
}

#[test]
fn the_endpoint_is_that_of_the_region_and_the_interface() {
    let network = |access: &Access| read(&token(), access).unwrap().network;
    assert_eq!(network(&access(None, "public", None)), "http://north:9696");
    assert_eq!(network(&access(Some("south"), "public", None)), "http://south/networking");
    assert_eq!(network(&access(Some("south"), "internal", None)), "http://inner");
    assert_eq!(network(&access(Some("west"), "admin", Some("http://own/v2.0"))), "http://own");
}

#[test]
fn what_the_catalog_lacks_is_told_with_what_it_has() {
    let error = |document: &Json, access: &Access| read(document, access).unwrap_err();
    let told = error(&token(), &access(Some("west"), "public", None));
    assert!(told.contains("\"west\", only in north, south") && told.contains("OS_REGION_NAME"), "{told}");
    let told = error(&token(), &access(Some("north"), "admin", None));
    assert!(told.contains("no admin endpoint") && told.contains("only public"), "{told}");
    let bare =
        json!({"token": {"project": {"id": "p"}, "catalog": [{"type": "identity\u{1b}", "endpoints": []}]}});
    let told = error(&bare, &access(None, "public", None));
    assert!(told.contains("only identity\u{fffd};"), "{told}");
    let told = error(&json!({"token": {}}), &access(None, "public", None));
    assert!(told.contains("for no project"), "{told}");
}
