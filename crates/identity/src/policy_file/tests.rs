use super::*;
use karez_model::policy::Target;
use karez_model::{Caller, Scope};
use std::fs;

fn file(text: &str) -> Result<Policy, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    fs::write(&path, text).unwrap();
    load(&path, &[])
}

fn auditor() -> Caller {
    Caller {
        user_id: "u".into(),
        scope: Scope::Project("p".into()),
        domain_id: "default".into(),
        roles: vec!["auditor".into()],
    }
}

#[test]
fn a_rule_in_the_file_replaces_the_built_in_one() {
    let own = Target::of_project("p");
    let built_in = file("# nothing but a comment\n").unwrap();
    assert!(!built_in.allows("get_ikepolicy", &auditor(), own));
    let changed =
        file("# who may look\n\"get_ikepolicy\": \"role:auditor\"\n# \"get_port\": \"!\"\n").unwrap();
    assert!(changed.allows("get_ikepolicy", &auditor(), own));
    assert!(!changed.allows("get_vpnservice", &auditor(), own));
}

#[test]
fn the_json_form_is_read_as_well() {
    let policy = file("{\"get_ikepolicy\": \"role:auditor\",\n \"create_ikepolicy\": \"!\"}").unwrap();
    assert!(policy.allows("get_ikepolicy", &auditor(), Target::of_project("p")));
}

#[test]
fn an_empty_text_is_a_rule_that_always_holds() {
    let policy = file("get_ikepolicy: ''\n").unwrap();
    assert!(policy.allows("get_ikepolicy", &auditor(), Target::of_project("other")));
}

#[test]
fn a_file_without_rules_is_the_built_in_policy() {
    for text in ["", "---\n", "{}", "# x\n", "null\n"] {
        assert!(file(text).is_ok(), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_or_rule() {
    let cases = [
        ("get_ikepolicy: role:admin\nget_ikepolicy: '!'\n", "line 2: the rule get_ikepolicy is here twice"),
        ("get_ikepolicy:\n", "the rule get_ikepolicy is empty"),
        ("# x\nget_ikepolicy: [[role:admin]]\n", "line 2: the rule get_ikepolicy must be a text"),
        ("- role:admin\n", "line 1: the file must be one mapping"),
        ("just words\n", "line 1: the file must be one mapping"),
        ("a: role:admin\n---\nb: role:admin\n", "line 3: the file must be one mapping"),
        ("get_ikepolicy: 'role:admin\n", "line"),
        ("get_ikepolicy: rule:nobody\n", "get_ikepolicy"),
        ("get_ikepolicy: role:admin or\n", "get_ikepolicy"),
    ];
    for (text, expected) in cases {
        let error = file(text).err().unwrap_or_else(|| panic!("{text:?} is taken"));
        assert!(error.contains("policy.yaml") && error.contains(expected), "{text:?} gives: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("/nonexistent/policy.yaml"), &[]).err().unwrap();
    assert!(error.contains("/nonexistent/policy.yaml"), "{error}");
}
