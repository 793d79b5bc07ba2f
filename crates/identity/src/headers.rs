//! No identity service: the headers that keystonemiddleware would set are taken at face value.
//!
//! Anyone who reaches the listener is whom he says he is, so the binary starts this mode on
//! loopback only.

use crate::{BoxFuture, Denied, Identity};
use http::HeaderMap;
use karez_model::{Caller, Scope};
use std::sync::Arc;

/// Believes the headers `X-User-Id`, `X-Project-Id` (or `X-Tenant-Id`), `X-Roles` (separated by
/// commas) and `OpenStack-System-Scope: all`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers;

impl Identity for Headers {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Arc<Caller>, Denied>> {
        Box::pin(std::future::ready(caller(headers).map(Arc::new)))
    }

    fn www_authenticate(&self, _headers: &HeaderMap) -> Option<String> {
        None
    }
}

fn caller(headers: &HeaderMap) -> Result<Caller, Denied> {
    let project = match text(headers, "x-project-id")? {
        Some(project) => Some(project),
        None => text(headers, "x-tenant-id")?,
    };
    let is_system = text(headers, "openstack-system-scope")? == Some("all");
    let scope = match project {
        _ if is_system => Scope::System,
        Some(project) => Scope::Project(project.to_owned()),
        None => Scope::Unscoped,
    };
    let roles = text(headers, "x-roles")?.unwrap_or_default();
    let roles = roles.split(',').map(str::trim).filter(|role| !role.is_empty());
    Ok(Caller {
        user_id: text(headers, "x-user-id")?.unwrap_or_default().to_owned(),
        scope,
        domain_id: text(headers, "x-project-domain-id")?.unwrap_or("default").to_owned(),
        roles: roles.map(str::to_lowercase).collect(),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Denied> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let value = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Denied::Unauthorized(format!("The header {name} is not UTF-8.")))?;
    Ok(Some(value.trim()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[tokio::test]
    async fn headers_are_taken_at_face_value() {
        let headers = headers(&[("x-project-id", "p"), ("x-user-id", "u"), ("x-roles", "Member, reader,")]);
        let caller = Headers.authenticate(&headers).await.unwrap();
        assert_eq!(
            *caller,
            Caller {
                user_id: "u".into(),
                scope: Scope::Project("p".into()),
                domain_id: "default".into(),
                roles: vec!["member".into(), "reader".into()],
            }
        );
    }

    #[tokio::test]
    async fn the_old_name_of_a_project_is_understood() {
        let headers = headers(&[("x-tenant-id", "p")]);
        assert_eq!(Headers.authenticate(&headers).await.unwrap().project_id(), Some("p"));
    }

    #[tokio::test]
    async fn the_system_scope_wins_over_a_project() {
        let headers = headers(&[("openstack-system-scope", "all"), ("x-project-id", "p")]);
        assert_eq!(Headers.authenticate(&headers).await.unwrap().scope, Scope::System);
    }

    #[tokio::test]
    async fn a_caller_who_says_nothing_has_no_scope_and_no_role() {
        let caller = Headers.authenticate(&HeaderMap::new()).await.unwrap();
        assert_eq!(caller.scope, Scope::Unscoped);
        assert!(caller.roles.is_empty());
    }
}
