use super::*;
use proptest::prelude::*;
use serde_json::json;

fn body(json: Json) -> Map<String, Json> {
    json.as_object().expect("an object").clone()
}

#[test]
fn a_policy_without_attributes_has_neutrons_defaults() {
    let policy = create(Kind::IkePolicy, &body(json!({}))).expect("a policy").object;
    assert_eq!(policy.text("auth_algorithm"), "sha1");
    assert_eq!(policy.json("lifetime"), &json!({"units": "seconds", "value": 3600}));
}

#[test]
fn a_text_given_for_a_lifetime_is_stored_as_number_and_echoed_as_text() {
    let created = create(Kind::IkePolicy, &body(json!({"lifetime": {"value": "2000"}}))).expect("a policy");
    assert_eq!(created.object.json("lifetime")["value"], json!(2000));
    assert_eq!(created.echo[0].1["value"], json!("2000"));
}

#[test]
fn a_put_keeps_the_keys_of_a_nested_object_that_it_does_not_name() {
    let mut policy =
        create(Kind::IkePolicy, &body(json!({"lifetime": {"value": 100}}))).expect("a policy").object;
    let updated = update(Kind::IkePolicy, &body(json!({"lifetime": {"units": "seconds"}}))).expect("changes");
    policy.apply(&updated.changes);
    assert_eq!(policy.json("lifetime")["value"], json!(100));
}

#[test]
fn the_two_names_of_a_project_must_agree() {
    assert!(create(Kind::IkePolicy, &body(json!({"tenant_id": "a", "project_id": "b"}))).is_err());
    let policy =
        create(Kind::IkePolicy, &body(json!({"tenant_id": "a", "project_id": "a"}))).expect("a policy");
    assert_eq!(policy.object.project_id(), "a");
}

#[test]
fn the_two_names_of_a_key_in_a_nested_object_must_agree() {
    let dpd = |json| update(Kind::IpsecSiteConnection, &body(json!({"dpd": json})));
    assert!(dpd(json!({"action": "hold", "actions": "clear"})).is_err());
    assert!(dpd(json!({"action": "hold", "actions": "hold"})).is_ok());
}

#[test]
fn of_many_unknown_attributes_a_fault_names_the_first() {
    let unknown = |number: usize| body((0..number).map(|at| (format!("{at}\n"), Json::Null)).collect());
    let message = |number| create(Kind::IkePolicy, &unknown(number)).err().expect("a fault").message;
    assert!(message(3).contains(r"Unrecognized attribute(s) '0\n', '1\n', '2\n'; "));
    assert!(message(1000).contains(r"'2\n' and 997 more; "));
}

#[test]
fn a_clipped_text_is_one_short_line_that_keeps_its_quotes() {
    assert_eq!(clip(r#"{"a": 'b\c'}"#), r#"{"a": 'b\c'}"#);
    assert_eq!(clip("a\r\n\0"), r"a\r\n\0");
    assert_eq!(clip(&"x".repeat(81)), "x".repeat(80) + "…");
    assert!(clip(&"\u{1}".repeat(500)).chars().count() <= 81);
}

#[test]
fn metainfo_is_bounded_as_the_text_that_it_is_kept_as() {
    let profile = |json| create(Kind::ServiceProfile, &body(json!({"metainfo": json})));
    assert!(profile(json!(vec![0; 2047])).is_ok());
    assert!(profile(json!(vec![0; 2048])).is_err());
}

#[test]
fn no_fault_about_a_secret_shows_it() {
    for psk in [json!("s3cret".repeat(60)), json!({"s3cret": 1}), json!(["s3cret"]), json!("s3cret\0")] {
        let fault = update(Kind::IpsecSiteConnection, &body(json!({"psk": psk}))).err().expect("a fault");
        assert!(!fault.message.contains("s3cret"), "{fault}");
    }
}

#[test]
fn floats_and_numbers_past_the_database_column_are_refused() {
    for value in [json!(99.5), json!(1e3), json!(2_147_483_648_i64), json!("x"), json!(null)] {
        assert!(create(Kind::IkePolicy, &body(json!({"lifetime": {"value": value}}))).is_err());
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec(("[a-z_]{1,12}", inner), 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_for_an_attribute_is_taken_or_refused_without_a_panic(
        at in any::<prop::sample::Index>(), kind in any::<prop::sample::Index>(), json in any_json()
    ) {
        let kind = Kind::ALL[kind.index(Kind::ALL.len())];
        let attribute = &kind.resource().attributes[at.index(kind.resource().attributes.len())];
        let sent = body(json!({attribute.name: json}));
        let _ = (create(kind, &sent).is_ok(), update(kind, &sent).is_ok());
    }
}
