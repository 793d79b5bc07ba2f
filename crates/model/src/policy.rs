//! Policy: who may do what. One table of rules in the language of oslo.policy, which operators
//! can override.
//!
//! A rule is asked for by name: `<action>_<member>` with the actions `create`, `get`, `update`
//! and `delete`, and `<action>_<member>:<attribute>` for attributes that only some may set or see.

mod defaults;
mod language;

use crate::caller::Scope;
use crate::{Caller, Kind};
use language::{Check, Expression};
use std::collections::BTreeMap;

use defaults::ANY_SCOPE;
pub use defaults::{DEFAULTS, STRICT_READERS};

/// What a rule is asked about: the object's project and what else rules may look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The project that owns the object; none for objects of the deployment.
    pub project_id: Option<&'a str>,
    /// The object is a network that is shared, or belongs to one.
    pub is_shared: bool,
    /// The object is an external network, or belongs to one.
    pub is_external: bool,
}

impl<'a> Target<'a> {
    /// An object of a project, without special features.
    #[must_use]
    pub fn of_project(project_id: &'a str) -> Self {
        Self { project_id: Some(project_id), ..Self::default() }
    }
}

/// A set of rules, ready to be asked.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: BTreeMap<String, Expression>,
}

impl Policy {
    /// The built-in rules with an operator's own in their place, as pairs of name and rule.
    ///
    /// # Errors
    /// Names the rule that cannot be read, that refers to one that does not exist, or that refers
    /// to itself.
    pub fn new<'a>(overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut rules = BTreeMap::new();
        for (name, rule) in DEFAULTS.iter().map(|(name, rule, _)| (*name, *rule)).chain(overrides) {
            let expression = language::parse(rule).map_err(|why| format!("policy rule {name}: {why}"))?;
            rules.insert(name.to_owned(), expression);
        }
        let policy = Self { rules };
        for name in policy.rules.keys() {
            policy.check_references(name, &mut Vec::new())?;
        }
        Ok(policy)
    }

    /// The rules that nothing asks for: names that are misspelt, or that belong to other services.
    /// They are harmless, and worth a warning.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        let referenced: Vec<&str> = self.rules.values().flat_map(Expression::references).collect();
        let is_built_in = |name: &str| DEFAULTS.iter().any(|(known, ..)| *known == name);
        let is_unused =
            |name: &&str| !is_built_in(name) && !referenced.contains(name) && !is_of_attribute(name);
        self.rules.keys().map(String::as_str).filter(is_unused).collect()
    }

    /// Whether the caller may do what the rule of this name is about. A name without a rule of
    /// its own falls to `default`. Whatever the rule says, actions are for callers in a project:
    /// the scope of a token is no role, and an override must not open it by accident.
    #[must_use]
    pub fn allows(&self, rule: &str, caller: &Caller, target: Target<'_>) -> bool {
        if is_action(rule) && caller.project_id().is_none() {
            return false;
        }
        let rule = self.rules.get(rule).or_else(|| self.rules.get("default"));
        rule.is_some_and(|rule| self.holds(rule, caller, target))
    }

    fn holds(&self, expression: &Expression, caller: &Caller, target: Target<'_>) -> bool {
        match expression {
            Expression::Always => true,
            Expression::Never => false,
            Expression::Not(inner) => !self.holds(inner, caller, target),
            Expression::And(all) => all.iter().all(|inner| self.holds(inner, caller, target)),
            Expression::Or(any) => any.iter().any(|inner| self.holds(inner, caller, target)),
            Expression::Check(Check::Role(role)) => caller.has_role(role),
            Expression::Check(Check::Rule(name)) => self.allows(name, caller, target),
            Expression::Check(Check::OwnProject) => {
                caller.project_id().is_some() && caller.project_id() == target.project_id
            }
            Expression::Check(Check::SystemScope) => caller.scope == Scope::System,
            Expression::Check(Check::User(id)) => caller.user_id == *id,
            Expression::Check(Check::Project(id)) => caller.project_id() == Some(id),
            Expression::Check(Check::Shared) => target.is_shared,
            Expression::Check(Check::External) => target.is_external,
        }
    }

    fn check_references<'a>(&'a self, name: &'a str, path: &mut Vec<&'a str>) -> Result<(), String> {
        if path.contains(&name) {
            return Err(format!("policy rule {name} refers to itself by way of {}", path.join(", ")));
        }
        let Some(rule) = self.rules.get(name) else {
            return Err(format!(
                "policy rule {} refers to rule:{name}, which does not exist",
                path.join(", ")
            ));
        };
        path.push(name);
        for reference in rule.references() {
            self.check_references(reference, path)?;
        }
        path.pop();
        Ok(())
    }
}

/// Whether the rule is about an attribute that only some may set or see: `update_network:shared`.
fn is_of_attribute(rule: &str) -> bool {
    let Some((action, attribute)) = rule.split_once(':') else { return false };
    let Some((verb, member)) = action.split_once('_') else { return false };
    let resource = Kind::ALL.iter().map(|kind| kind.resource()).find(|resource| resource.member == member);
    let first = attribute.split(':').next().unwrap_or_default();
    let attribute = resource.and_then(|resource| resource.attribute(attribute).or(resource.attribute(first)));
    attribute.is_some_and(|_| matches!(verb, "create" | "update" | "get"))
}

/// Whether the rule is about doing something, and not one of those that only serve others or are
/// open to any token.
fn is_action(rule: &str) -> bool {
    let is_open = ANY_SCOPE.contains(&rule);
    !is_open && ["create_", "get_", "update_", "delete_"].iter().any(|action| rule.starts_with(action))
}

#[cfg(test)]
mod tests;
