use super::*;

fn caller(project: &str, roles: &[&str]) -> Caller {
    Caller {
        user_id: "u".into(),
        scope: Scope::Project(project.into()),
        domain_id: "default".into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
    }
}

fn policy() -> Policy {
    Policy::new([]).expect("the built-in rules")
}

#[test]
fn members_write_in_their_own_project_and_nowhere_else() {
    let member = caller("p", &["member"]);
    assert!(policy().allows("create_ikepolicy", &member, Target::of_project("p")));
    assert!(!policy().allows("create_ikepolicy", &member, Target::of_project("q")));
}

#[test]
fn readers_see_but_neither_write_nor_learn_the_key() {
    let reader = caller("p", &["reader"]);
    assert!(policy().allows("get_ipsec_site_connection", &reader, Target::of_project("p")));
    assert!(!policy().allows("get_ipsec_site_connection:psk", &reader, Target::of_project("p")));
    assert!(!policy().allows("update_ipsec_site_connection", &reader, Target::of_project("p")));
}

#[test]
fn strict_readers_see_nothing() {
    let strict = Policy::new(STRICT_READERS.iter().copied()).expect("rules");
    assert!(!strict.allows("get_ikepolicy", &caller("p", &["reader"]), Target::of_project("p")));
}

#[test]
fn an_override_replaces_a_rule_and_the_others_stay() {
    let policy = Policy::new([("create_ikepolicy", "role:vpn_admin and not role:intern")]).expect("rules");
    assert!(policy.allows("create_ikepolicy", &caller("q", &["vpn_admin"]), Target::of_project("p")));
    assert!(!policy.allows(
        "create_ikepolicy",
        &caller("q", &["vpn_admin", "intern"]),
        Target::of_project("p")
    ));
    assert!(!policy.allows("delete_ikepolicy", &caller("q", &["vpn_admin"]), Target::of_project("p")));
}

#[test]
fn a_rule_without_sense_is_refused_with_its_name() {
    for (rule, part) in [
        ("role:admin or", "missing at the end"),
        ("(role:admin", "closing parenthesis"),
        ("rule:nosuch", "does not exist"),
        ("rule:create_ikepolicy", "refers to itself"),
        ("http://policy.example/", "is not a check"),
    ] {
        let why = Policy::new([("create_ikepolicy", rule)]).expect_err(rule);
        assert!(why.contains("create_ikepolicy") && why.contains(part), "{why}");
    }
}

#[test]
fn a_caller_without_project_owns_nothing() {
    let mut system = caller("p", &["member"]);
    system.scope = Scope::System;
    assert!(!policy().allows("create_ikepolicy", &system, Target::default()));
}

#[test]
fn an_administrator_of_the_system_does_nothing_in_projects() {
    let mut system = caller("p", &["admin"]);
    system.scope = Scope::System;
    for rule in ["get_ikepolicy", "delete_ikepolicy", "get_ipsec_site_connection:psk", "update_quota"] {
        assert!(!policy().allows(rule, &system, Target::of_project("p")), "{rule}");
    }
    assert!(policy().allows("get_extension", &system, Target::default()));
}

#[test]
fn a_misspelt_rule_is_told_and_one_that_others_refer_to_is_not() {
    let rules = [
        ("create_ikpolicy", "!"),
        ("vpn_admin", "role:vpn_admin"),
        ("create_ikepolicy", "rule:vpn_admin"),
        ("update_network:shared", "@"),
    ];
    assert_eq!(Policy::new(rules).expect("rules").unused(), ["create_ikpolicy"]);
}
