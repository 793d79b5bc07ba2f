//! Places in a JSON document: names and indices joined by dots; `*` stands for every element of a
//! list, and makes the place a list of what is found in each; the empty path is the document.

use serde_json::Value as Json;

/// What is at a place, if there is one.
pub fn at(document: &Json, path: &str) -> Option<Json> {
    if path.is_empty() {
        return Some(document.clone());
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    match document {
        Json::Array(elements) if step == "*" => {
            Some(elements.iter().filter_map(|element| at(element, rest)).collect())
        }
        Json::Array(elements) => at(elements.get(step.parse::<usize>().ok()?)?, rest),
        Json::Object(members) => at(members.get(step)?, rest),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

#[test]
fn a_path_leads_through_objects_and_lists() {
    let document = serde_json::json!({"a": [{"b": 1}, {"b": 2}, {}]});
    assert_eq!(at(&document, "a.1.b"), Some(2.into()));
    assert_eq!(at(&document, "a.*.b"), Some(serde_json::json!([1, 2])));
    assert_eq!(at(&document, "a.2.b"), None);
    assert_eq!(at(&document, ""), Some(document.clone()));
}
