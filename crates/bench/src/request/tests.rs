use super::*;

const FIRST: &Id = b"87055c24-0000-4000-8000-000000000001";
const SECOND: &Id = b"87055c24-0000-4000-8000-000000000002";

#[test]
fn a_request_says_the_length_of_its_body_and_carries_the_token() {
    let bytes = request("POST", "/v2.0/x", "host:1", Some("t0"), Some("{\"a\":1}"));
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "POST /v2.0/x HTTP/1.1\r\nHost: host:1\r\nX-Auth-Token: t0\r\n\
         Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
    );
}

#[test]
fn a_template_takes_new_ids_for_each_request() {
    let body = format!("{{\"b\":\"{}\",\"a\":\"{}\"}}", blank(1), blank(0));
    let mut template = Template::new(body.into_bytes());
    template.fill(&[*SECOND, *SECOND]);
    let filled = template.fill(&[*FIRST, *SECOND]);
    let [first, second] = [FIRST, SECOND].map(|id| std::str::from_utf8(id).unwrap());
    assert_eq!(std::str::from_utf8(filled).unwrap(), format!("{{\"b\":\"{second}\",\"a\":\"{first}\"}}"));
}

#[test]
fn the_id_in_a_body_is_the_objects_own() {
    let text = std::str::from_utf8(FIRST).unwrap();
    let body = format!(r#"{{"port":{{"subnet_id":"short","id": "{text}","name":""}}}}"#);
    assert_eq!(id_in(body.as_bytes()), Some(*FIRST));
    assert_eq!(id_in(br#"{"port":{"subnet_id":"short"}}"#), None);
    assert_eq!(id_in(br#"{"id":"short"}"#), None);
    assert_eq!(id_in(br#"{"id":"87055c24-0000-4000-8000-000000000001-longer"}"#), None);
}
