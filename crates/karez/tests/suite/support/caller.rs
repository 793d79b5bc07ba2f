//! Callers for a server in identity mode `none`, which takes them at their word.

use super::Server;
use reqwest::Method;
use reqwest::blocking::RequestBuilder;

/// Who sends a request.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    /// Nobody: no header at all.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Somebody with these roles (a comma list) in a project.
    pub fn with_roles(project_id: &str, roles: &str) -> Self {
        Self {
            headers: vec![
                ("X-Project-Id", project_id.to_owned()),
                ("X-User-Id", format!("user-of-{project_id}")),
                ("X-Roles", roles.to_owned()),
            ],
        }
    }

    /// An admin, with the roles that admin implies.
    pub fn admin(project_id: &str) -> Self {
        Self::with_roles(project_id, "admin,manager,member,reader")
    }

    /// A member of a project.
    pub fn member(project_id: &str) -> Self {
        Self::with_roles(project_id, "member,reader")
    }

    /// A reader of a project.
    pub fn reader(project_id: &str) -> Self {
        Self::with_roles(project_id, "reader")
    }

    /// An admin of the whole deployment, in no project.
    pub fn system() -> Self {
        Self {
            headers: vec![
                ("X-User-Id", "system-admin".to_owned()),
                ("X-Roles", "admin,manager,member,reader".to_owned()),
                ("OpenStack-System-Scope", "all".to_owned()),
            ],
        }
    }

    /// A request of this caller, to be filled and sent.
    pub fn request(&self, server: &Server, method: Method, path: &str) -> RequestBuilder {
        let request = server.client().request(method, format!("{}{path}", server.base()));
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }
}
