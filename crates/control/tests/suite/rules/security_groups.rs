//! Security groups and their rules.

use super::ground::{Ground, refusal};
use karez_control::Failure;
use karez_model::{Kind, Object, Reason};
use serde_json::{Value as Json, json};

async fn group(ground: &Ground, name: &str) -> Object {
    ground.create(&ground.member, Kind::SecurityGroup, json!({"name": name})).await.expect("a group")
}

async fn rule(ground: &Ground, group: &Object, more: Json) -> Result<Object, Failure> {
    let mut body = json!({"security_group_id": group.id(), "direction": "ingress"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ground.create(&ground.member, Kind::SecurityGroupRule, body).await
}

async fn change(ground: &Ground, group: &Object, change: Json) -> Result<Object, Failure> {
    ground.update(&ground.member, Kind::SecurityGroup, group.id(), change).await
}

async fn default_group(ground: &Ground) -> Object {
    ground.control.ensure_default_group(&ground.member).await.expect("a group");
    let groups =
        ground.all(Kind::SecurityGroup, "project_id", ground.member.project_id().expect("a project")).await;
    groups.into_iter().find(|group| group.text("name") == "default").expect("the default group")
}

#[tokio::test]
async fn every_project_has_one_default_group_with_neutrons_rules() {
    let ground = Ground::new();
    let default = default_group(&ground).await;
    assert_eq!(default.text("description"), "Default security group");
    let rules = default.json("security_group_rules").as_array().expect("a list").clone();
    let told =
        |rule: &Json| format!("{} {} {}", rule["direction"], rule["ethertype"], rule["remote_group_id"]);
    let own = default.id();
    assert_eq!(
        rules.iter().map(told).collect::<Vec<_>>(),
        [
            r#""egress" "IPv4" null"#.to_owned(),
            r#""egress" "IPv6" null"#.to_owned(),
            format!(r#""ingress" "IPv4" "{own}""#),
            format!(r#""ingress" "IPv6" "{own}""#)
        ]
    );
    assert_eq!(rules[0]["tenant_id"], default.project_id());
    assert_eq!(default_group(&ground).await.id(), default.id());
    group(&ground, "web").await;
    let all = ground.all(Kind::SecurityGroup, "project_id", default.project_id()).await;
    assert_eq!(all.len(), 2);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_new_group_lets_everything_out() {
    let ground = Ground::new();
    let web = group(&ground, "web").await;
    let rules = web.json("security_group_rules").as_array().expect("a list");
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule["direction"] == "egress" && rule["protocol"].is_null()));
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn the_default_group_stays_and_its_name_is_its_own() {
    let ground = Ground::new();
    let default = default_group(&ground).await;
    for name in ["default", "Default"] {
        let refused = ground.create(&ground.member, Kind::SecurityGroup, json!({"name": name})).await;
        assert_eq!(refusal(refused), Reason::SecurityGroupDefaultAlreadyExists);
    }
    let web = group(&ground, "web").await;
    let refused = change(&ground, &web, json!({"name": "default"})).await;
    assert_eq!(refusal(refused), Reason::SecurityGroupDefaultAlreadyExists);
    let refused = change(&ground, &default, json!({"name": "web"})).await;
    assert_eq!(refusal(refused), Reason::SecurityGroupCannotUpdateDefault);
    change(&ground, &default, json!({"name": "default", "description": "ours"})).await.expect("changed");
    let refused = ground.control.delete(&ground.admin, Kind::SecurityGroup, default.id()).await;
    assert_eq!(refusal(refused), Reason::SecurityGroupCannotRemoveDefault);
}

#[tokio::test]
async fn a_group_of_ports_stays_and_its_rules_elsewhere_go_with_it() {
    let ground = Ground::new();
    let network = ground.network().await;
    let (web, database) = (group(&ground, "web").await, group(&ground, "database").await);
    rule(&ground, &database, json!({"remote_group_id": web.id()})).await.expect("a rule");
    rule(&ground, &web, json!({"remote_group_id": web.id()})).await.expect("a rule");
    let body = json!({"network_id": network.id(), "security_groups": [web.id()]});
    let port = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert_eq!(refusal(ground.delete(Kind::SecurityGroup, web.id()).await), Reason::SecurityGroupInUse);
    let change = json!({"security_groups": [database.id()]});
    ground.update(&ground.member, Kind::Port, port.id(), change).await.expect("changed");
    ground.delete(Kind::SecurityGroup, web.id()).await.expect("deleted");
    let database = ground.show(Kind::SecurityGroup, database.id()).await;
    assert_eq!(database.json("security_group_rules").as_array().map(Vec::len), Some(2));
    assert!(ground.all(Kind::SecurityGroupRule, "security_group_id", web.id()).await.is_empty());
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn rules_that_make_sense_are_taken() {
    let ground = Ground::new();
    let web = group(&ground, "web").await;
    for more in [
        json!({}),
        json!({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}),
        json!({"protocol": 17, "port_range_min": 1, "port_range_max": 65535}),
        json!({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}),
        json!({"protocol": "icmp", "port_range_min": 3}),
        json!({"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        json!({"protocol": "esp"}),
        json!({"protocol": "112", "remote_ip_prefix": "10.0.0.0/8"}),
        json!({"protocol": "SCTP", "ethertype": "IPv6", "remote_ip_prefix": "2001:db8::/32"}),
        json!({"protocol": "any", "remote_group_id": web.id()}),
    ] {
        rule(&ground, &web, more.clone()).await.unwrap_or_else(|failure| panic!("{more}: {failure}"));
    }
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_with_their_reason() {
    let ground = Ground::new();
    let web = group(&ground, "web").await;
    let theirs = ground
        .create(&ground.stranger, Kind::SecurityGroup, json!({"name": "theirs"}))
        .await
        .expect("a group");
    let ports = |protocol: Json, min: Json, max: Json| json!({"protocol": protocol, "port_range_min": min, "port_range_max": max});
    for (more, reason) in [
        (json!({"protocol": "tcpp"}), Reason::SecurityGroupRuleInvalidProtocol),
        (json!({"protocol": 256}), Reason::SecurityGroupRuleInvalidProtocol),
        (json!({"protocol": -1}), Reason::SecurityGroupRuleInvalidProtocol),
        (json!({"protocol": "icmpv6"}), Reason::SecurityGroupRuleParameterConflict),
        (ports(json!(null), json!(80), json!(80)), Reason::SecurityGroupInvalidProtocolForPort),
        (ports(json!("gre"), json!(80), json!(80)), Reason::SecurityGroupInvalidProtocolForPort),
        (ports(json!("tcp"), json!(81), json!(80)), Reason::SecurityGroupInvalidPortRange),
        (ports(json!("tcp"), json!(80), json!(null)), Reason::SecurityGroupInvalidPortRange),
        (ports(json!("udp"), json!(0), json!(80)), Reason::SecurityGroupInvalidPortRange),
        (ports(json!("icmp"), json!(256), json!(null)), Reason::SecurityGroupInvalidPortRange),
        (ports(json!("icmp"), json!(null), json!(3)), Reason::SecurityGroupInvalidPortRange),
        (ports(json!("tcp"), json!(80), json!(65536)), Reason::HTTPBadRequest),
        (json!({"remote_ip_prefix": "2001:db8::/32"}), Reason::SecurityGroupRuleParameterConflict),
        (
            json!({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": web.id()}),
            Reason::SecurityGroupRemoteGroupAndRemoteIpPrefix,
        ),
        (json!({"remote_group_id": theirs.id()}), Reason::SecurityGroupNotFound),
    ] {
        assert_eq!(refusal(rule(&ground, &web, more.clone()).await), reason, "{more}");
    }
    assert_eq!(refusal(rule(&ground, &theirs, json!({})).await), Reason::SecurityGroupNotFound);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn the_same_rule_in_other_words_exists_already() {
    let ground = Ground::new();
    let web = group(&ground, "web").await;
    let http = json!({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80});
    let first = rule(&ground, &web, http.clone()).await.expect("a rule");
    for more in [
        http.clone(),
        json!({"protocol": 6, "port_range_min": 80, "port_range_max": 80}),
        json!({"protocol": "tcp", "port_range_min": "80", "port_range_max": 80, "remote_ip_prefix": "0.0.0.0/0"}),
        json!({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "description": "again"}),
    ] {
        assert_eq!(
            refusal(rule(&ground, &web, more.clone()).await),
            Reason::SecurityGroupRuleExists,
            "{more}"
        );
    }
    ground.delete(Kind::SecurityGroupRule, first.id()).await.expect("deleted");
    rule(&ground, &web, http).await.expect("it is gone");
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn an_administrators_rule_belongs_to_the_project_of_its_group() {
    let ground = Ground::new();
    let web = group(&ground, "web").await;
    let body = json!({"security_group_id": web.id(), "direction": "ingress", "protocol": "tcp"});
    let rule = ground.create(&ground.admin, Kind::SecurityGroupRule, body).await.expect("a rule");
    assert_eq!(rule.project_id(), web.project_id());
    ground.delete(Kind::SecurityGroupRule, rule.id()).await.expect("the member may delete it");
}
