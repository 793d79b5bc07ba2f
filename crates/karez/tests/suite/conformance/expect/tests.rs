use super::{Answer, complaints};
use crate::conformance::case::Expected;
use serde_json::json;

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![(
            "x-openstack-request-id".to_owned(),
            "req-7f0b3c9e-3a52-4c4b-8f11-0c5f8a3b2d10".to_owned(),
        )],
        text: String::new(),
        json: json!({"thing": {"id": "7f0b3c9e-3a52-4c4b-8f11-0c5f8a3b2d10", "size": 3, "none": null, "tags": ["a", "b"]}, "few": [{"x": 1, "y": 1}, {"x": 1, "y": 2}]}),
    }
}

fn complaints_about(expected: &str) -> anyhow::Result<usize> {
    let expected: Expected = toml::from_str(expected)?;
    Ok(complaints(&expected, &answer())?.len())
}

#[test]
fn an_answer_as_expected_raises_no_complaint() -> anyhow::Result<()> {
    for expected in [
        "status = 200",
        "status = [204, 200]",
        r#"equals = '{"thing.size": 3, "thing.none": null}'"#,
        r#"contains = '{"thing.tags": "a"}'"#,
        r#"lacks = '{"thing.tags": "c"}'"#,
        r#"every = '{"few.*.x": 1}'"#,
        r#"keys = { few = "x y" }"#,
        r#"one_of = '{"thing.size": [2, 3]}'"#,
        r#"absent = ["thing.colour"]"#,
        r#"keys = { thing = "id size none tags" }"#,
        r#"length = { "thing.tags" = 2 }"#,
        r#"shape = { "thing.id" = "uuid" }"#,
        r#"same = [["thing.id", "thing.id"]]"#,
        r#"header = { X-OpenStack-Request-Id = "<request-id>", X-Other = "<absent>" }"#,
    ] {
        assert_eq!(complaints_about(expected)?, 0, "{expected}");
    }
    Ok(())
}

#[test]
fn a_mark_that_comes_between_two_answers_is_no_difference_and_any_other_reason_is() -> anyhow::Result<()> {
    let expected: Expected =
        toml::from_str(r#"equals = '{"thing": {"id": 1, "status_reason": null, "status_detail": null}}'"#)?;
    for (reason, differences) in [("no_agent", 0), ("peer_lost", 1)] {
        let json = json!({"thing": {"id": 1, "status_reason": reason, "status_detail": "Words"}});
        assert_eq!(complaints(&expected, &Answer { json, ..Answer::default() })?.len(), differences);
    }
    Ok(())
}

#[test]
fn every_kind_of_difference_raises_a_complaint() -> anyhow::Result<()> {
    for expected in [
        "status = 201",
        "status = [204, 404]",
        r#"equals = '{"thing.size": "3"}'"#,
        r#"equals = '{"thing.colour": null}'"#,
        r#"contains = '{"thing.tags": "c"}'"#,
        r#"lacks = '{"thing.tags": "a"}'"#,
        r#"lacks = '{"thing.colours": "a"}'"#,
        r#"every = '{"few.*.y": 1}'"#,
        r#"every = '{"few.*.z": 1}'"#,
        r#"keys = { few = "x" }"#,
        r#"one_of = '{"thing.size": [1, 2]}'"#,
        r#"absent = ["thing.none"]"#,
        r#"keys = { thing = "id size none" }"#,
        r#"keys = { "thing.colour" = "" }"#,
        r#"length = { "thing.tags" = 1 }"#,
        r#"shape = { "thing.size" = "uuid" }"#,
        r#"same = [["thing.id", "thing.size"]]"#,
        r#"same = [["thing.colour", "thing.hue"]]"#,
        r#"header = { X-OpenStack-Request-Id = "<absent>" }"#,
        r#"header = { X-Other = "x" }"#,
        r#"text = "OK""#,
    ] {
        assert_eq!(complaints_about(expected)?, 1, "{expected}");
    }
    assert_eq!(complaints_about(r#"type = "NetworkNotFound""#)?, 3);
    Ok(())
}
