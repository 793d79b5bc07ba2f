use super::*;

fn body(text: &'static str) -> Body {
    Body::parse(Bytes::from_static(text.as_bytes())).unwrap()
}

fn refused<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("it is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_wrong_value_is_named_with_its_field_and_what_is_allowed() {
    let body = body(r#"{"user": {"name": 42, "enabled": "yes", "email": "\u0007", "domain": []}}"#);
    let user = body.envelope("user").unwrap();
    assert_eq!(
        refused(user.text("name", 10)),
        "user.name: 42 is not allowed; it must be a text of at most 10 characters."
    );
    assert_eq!(
        refused(user.opt_bool("enabled")),
        "user.enabled: \"yes\" is not allowed; it must be true or false."
    );
    assert_eq!(refused(user.text("id", 10)), "user.id is missing.");
    assert_eq!(refused(user.object("domain")), "user.domain must be an object.");
    assert!(refused(user.name("email", 10)).contains("one line of 1 to 10 characters"));
}

#[test]
fn the_value_of_a_secret_is_never_repeated() {
    let body = body(r#"{"user": {"password": 271828, "original": ["hunter2"], "empty": ""}}"#);
    let user = body.envelope("user").unwrap();
    for name in ["password", "original", "empty"] {
        let message = refused(user.secret(name));
        assert!(message.starts_with(&format!("user.{name} must be a text of 1 to 4096 bytes")), "{message}");
    }
    assert!(!refused(user.object("password")).contains("271828"));
}

#[test]
fn what_is_not_json_is_refused_with_its_place_and_without_its_text() {
    let error = refused(Body::parse(Bytes::from_static(b"{\"password\": \"hunter2\", }")));
    assert_eq!(error, "The body is not JSON: line 1 column 25.");
    assert!(Body::parse(Bytes::from("[".repeat(100_000))).is_err());
    assert!(Body::parse(Bytes::from_static(b"{\"a\": \"\xff\"}")).is_err());
}

#[test]
fn a_nul_character_is_refused_wherever_it_is() {
    for text in [r#"{"user": {"tags": ["a", "b\u0000"]}}"#, r#"{"user": {"a\u0000": 1}}"#] {
        let error = refused(Body::parse(Bytes::from_static(text.as_bytes())));
        assert!(error.contains("NUL"), "{error}");
    }
}

#[test]
fn texts_are_bounded_in_characters() {
    let body = body(r#"{"user": {"name": "äöü"}}"#);
    let user = body.envelope("user").unwrap();
    assert_eq!(user.text("name", 3).unwrap(), "äöü");
    assert!(user.text("name", 2).is_err());
}
