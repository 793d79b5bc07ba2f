use super::*;
use proptest::prelude::*;

#[test]
fn the_spellings_of_a_collection_are_the_same() {
    for path in
        ["vpn/endpoint-groups", "vpn/endpoint_groups/", "endpoint-groups.json", "/vpn/endpoint-groups.json"]
    {
        assert_eq!(Target::read(path), Some(Target::Collection(Kind::EndpointGroup)), "{path}");
    }
}

#[test]
fn core_resources_do_not_answer_below_the_vpn_prefix() {
    for path in
        ["vpn", "vpn/", "vpn/networks", "vpn/nosuch", "nosuch", "networks/a/b", "vpn/ikepolicies/a/tags"]
    {
        assert_eq!(Target::read(path), None, "{path}");
    }
}

#[test]
fn every_route_is_read_back_as_itself() {
    for kind in Kind::ALL {
        let route = Target::Item(*kind, "x".into()).route();
        let path = route.strip_prefix("/v2.0").expect("below the root");
        assert_eq!(Target::read(path), Some(Target::Item(*kind, "{id}".into())));
    }
}

#[test]
fn of_vpn_objects_only_connections_have_a_status_below_them() {
    for path in ["vpn/ipsec-site-connections/x/status", "ipsec_site_connections/x/status.json"] {
        assert_eq!(Target::read(path), Some(Target::ConnectionStatus("x".into())), "{path}");
    }
    for path in ["vpn/vpnservices/x/status", "networks/x/status", "vpn/ipsec-site-connections/x/status/y"] {
        assert_eq!(Target::read(path), None, "{path}");
    }
}

/// Words that mean something somewhere in a path.
fn words() -> Vec<&'static str> {
    Kind::ALL
        .iter()
        .flat_map(|kind| [kind.resource().collection, kind.resource().path])
        .chain(["vpn", "tags", "quotas", "tenant", "project", "default", "details", "extensions"])
        .chain(["add_router_interface", "remove_router_interface", "add_extraroutes", "remove_extraroutes"])
        .chain([
            "vpn-agents",
            "vpn-routers",
            "status",
            "next_providers",
            "service-providers",
            "availability_zones",
        ])
        .chain([
            "subnetpools",
            "address-scopes",
            "rbac-policies",
            "",
            ".json",
            "%2F",
            "%",
            "%00",
            "%ff",
            "{id}",
        ])
        .collect()
}

/// Fails when a path is read whose route is that of something else.
fn check_route(path: &str) {
    let Some(target) = Target::read(path) else { return };
    let route = target.route();
    let again = Target::read(route.strip_prefix("/v2.0").expect("below the root"));
    assert_eq!(again.map(|target| target.route()), Some(route), "{path}");
}

#[test]
fn the_route_of_each_path_is_the_route_of_itself() {
    for first in words() {
        for last in words() {
            for path in
                [format!("{first}/{last}"), format!("{first}/a/{last}"), format!("{first}/a/{last}/b")]
            {
                check_route(&path);
            }
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => prop::sample::select(words()).prop_map(str::to_owned), 1 => "\\PC{0,8}"];
    (prop::collection::vec(part, 0..5), "(/|\\.json|)")
        .prop_map(|(parts, end)| format!("/{}{end}", parts.join("/")))
}

proptest! {
    #[test]
    fn the_route_of_a_path_that_nobody_thought_of_is_the_route_of_itself(path in path()) {
        check_route(&path);
    }

    #[test]
    fn an_id_comes_through_its_spelling_in_a_url(id in "[^\0]{1,12}") {
        let spelt = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
        let read = Target::read(&format!("/vpn/ikepolicies/{spelt}"));
        prop_assert_eq!(read, Some(Target::Item(Kind::IkePolicy, id)));
    }
}
