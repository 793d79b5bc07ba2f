//! What a role is given on and a token is scoped to.

use super::domain;
use karez_model::Scope;
use karez_store::{Datum, Error as StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Project(String),
    Domain(String),
    System,
}

impl Target {
    /// As the columns `target_kind` and `target_id` have it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Domain(_) => "domain",
            Self::System => "system",
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Project(id) | Self::Domain(id) => id,
            Self::System => "all",
        }
    }

    pub(super) fn from_columns(kind: &str, id: &str) -> Result<Self, StoreError> {
        match kind {
            "project" => Ok(Self::Project(id.to_owned())),
            "domain" => Ok(Self::Domain(id.to_owned())),
            "system" => Ok(Self::System),
            other => Err(StoreError::Bug(format!("a target of the kind {other}"))),
        }
    }

    /// The parameters of a condition on `user_id`, `target_kind` and `target_id`.
    pub(super) fn params_with(&self, user_id: &str) -> [Datum; 3] {
        [user_id.into(), self.kind().into(), self.id().into()]
    }

    pub(super) fn scope(target: Option<&Self>) -> Scope {
        match target {
            Some(Self::Project(id)) => Scope::Project(id.clone()),
            Some(Self::Domain(id)) => Scope::Domain(id.clone()),
            Some(Self::System) => Scope::System,
            None => Scope::Unscoped,
        }
    }

    /// As `/role_assignments` shows it, when no names are asked for.
    pub(super) fn reference(&self) -> serde_json::Value {
        match self {
            Self::Project(id) => serde_json::json!({"project": {"id": id}}),
            Self::Domain(id) => serde_json::json!({"domain": {"id": id}}),
            Self::System => serde_json::json!({"system": {"all": true}}),
        }
    }

    /// The same with names.
    pub(super) fn named_reference(&self, project_name: &str) -> serde_json::Value {
        match self {
            Self::Project(id) => serde_json::json!({
                "project": {"id": id, "name": project_name, "domain": domain::reference()}
            }),
            Self::Domain(_) => serde_json::json!({"domain": domain::reference()}),
            Self::System => self.reference(),
        }
    }
}
