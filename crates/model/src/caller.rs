//! Who sends a request, as far as rules need to know.

/// What a caller's token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One project, by its id.
    Project(String),
    /// One domain, by its id.
    Domain(String),
    /// The whole deployment.
    System,
    /// Nothing in particular.
    Unscoped,
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user_id: String,
    /// What the token is scoped to.
    pub scope: Scope,
    /// The id of the domain that the scoped project or the user belongs to.
    pub domain_id: String,
    /// Names of the caller's roles in that scope, implied roles included, in lower case.
    pub roles: Vec<String>,
}

impl Caller {
    /// The project that the caller acts in, when the token has one.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        match &self.scope {
            Scope::Project(id) => Some(id),
            Scope::Domain(_) | Scope::System | Scope::Unscoped => None,
        }
    }

    /// Whether the caller holds a role of this name.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}
