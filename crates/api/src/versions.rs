//! Version discovery.

use crate::answer::Answer;
use serde_json::{Value as Json, json};

/// `GET /`, which needs no token.
pub(crate) fn root(base: &str) -> Answer {
    let links = json!([{"rel": "self", "href": format!("{base}/v2.0/")}]);
    Answer::ok(&json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}))
}

/// `GET /v2.0/`: only the core resources are listed, as in Neutron.
pub(crate) fn resources(base: &str) -> Answer {
    let resource = |name: &str| {
        let collection = format!("{name}s");
        let links = json!([{"rel": "self", "href": format!("{base}/v2.0/{collection}")}]);
        json!({"name": name, "collection": collection, "links": links})
    };
    let list: Vec<Json> = ["network", "subnet", "subnetpool", "port"].into_iter().map(resource).collect();
    Answer::ok(&json!({"resources": list}))
}
