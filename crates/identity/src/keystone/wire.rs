//! What Keystone writes about a token.

use crate::timestamp;
use karez_model::{Caller, Scope};
use serde_json::Value as Json;

/// A valid token.
pub(super) struct Valid {
    pub caller: Caller,
    /// Microseconds since 1970 UTC.
    pub expires_at: i64,
}

/// Reads the body about a token; nothing when it is not one.
pub(super) fn valid(body: &Json) -> Option<Valid> {
    let token = body.get("token")?;
    let user = token.get("user")?;
    let (scope, domain) = if let Some(project) = token.get("project") {
        (Scope::Project(text(project, "id")?), project.get("domain")?)
    } else if let Some(domain) = token.get("domain") {
        (Scope::Domain(text(domain, "id")?), domain)
    } else if token.get("system").is_some_and(|system| system["all"] == true) {
        (Scope::System, user.get("domain")?)
    } else {
        (Scope::Unscoped, user.get("domain")?)
    };
    let roles = token.get("roles").and_then(Json::as_array);
    let roles = roles.into_iter().flatten().map(|role| Some(text(role, "name")?.to_lowercase()));
    Some(Valid {
        caller: Caller {
            user_id: text(user, "id")?,
            scope,
            domain_id: text(domain, "id")?,
            roles: roles.collect::<Option<_>>()?,
        },
        expires_at: timestamp::parse(token.get("expires_at")?.as_str()?)?,
    })
}

fn text(object: &Json, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(scope: &Json) -> Json {
        let mut token = json!({
            "methods": ["password"],
            "user": {"id": "u", "name": "demo", "domain": {"id": "d1", "name": "One"}},
            "expires_at": "2026-11-23T01:02:03.000000Z",
            "roles": [{"id": "1", "name": "Member"}, {"id": "2", "name": "reader"}],
        });
        for (name, value) in scope.as_object().unwrap() {
            token[name] = value.clone();
        }
        json!({"token": token})
    }

    #[test]
    fn scopes_and_their_domains_are_told_apart() {
        let project = json!({"project": {"id": "p", "name": "x", "domain": {"id": "d2", "name": "Two"}}});
        let cases = [
            (project, Scope::Project("p".into()), "d2"),
            (json!({"domain": {"id": "d3", "name": "Three"}}), Scope::Domain("d3".into()), "d3"),
            (json!({"system": {"all": true}}), Scope::System, "d1"),
            (json!({}), Scope::Unscoped, "d1"),
        ];
        for (wire, scope, domain) in cases {
            let valid = valid(&body(&wire)).unwrap();
            assert_eq!((valid.caller.scope, valid.caller.domain_id.as_str()), (scope, domain));
            assert_eq!(valid.caller.roles, ["member", "reader"]);
            assert_eq!(valid.expires_at, 1_795_395_723_000_000);
        }
    }

    #[test]
    fn what_is_not_about_a_token_is_not_understood() {
        for body in [json!({}), json!([]), json!({"token": {}}), json!({"token": {"user": {"id": 1}}})] {
            assert!(valid(&body).is_none(), "{body}");
        }
    }
}
