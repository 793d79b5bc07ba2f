//! The five things that can be done with any kind of object.

use crate::context::{Context, not_authorized, not_found};
use crate::resolve::{Lookups, Peers};
use crate::{Failure, ownership, quota, resolve, rules};
use karez_engine::Bounds;
use karez_model::object::Changes;
use karez_model::parse::{Created, Updated};
use karez_model::policy::{Policy, Target};
use karez_model::{Attribute, Caller, Kind, Object, Post, Value};
use karez_store::{Lane, Store, Stored, Tx};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// What an operator can choose about the rules.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Quotas of projects that have none of their own, by the resource's quota name; where
    /// nothing stands here the resource's own default counts.
    pub quotas: BTreeMap<String, i64>,
    /// Refuse SHA-1 and 3DES in policies (the extension `vpn-no-sha1-3des`).
    pub refuse_weak_algorithms: bool,
    /// What no tunnel may be. That a peer's name has an allowed address now says nothing about later: agents have to be
    /// told the same.
    pub bounds: Bounds,
}

/// The use cases over one store. Clones share it.
#[derive(Clone)]
pub struct Control {
    pub(crate) store: Store,
    pub(crate) policy: Arc<Policy>,
    pub(crate) settings: Arc<Settings>,
    lookups: Lookups,
}

impl Control {
    /// The use cases over a store, with the rules of a policy.
    #[must_use]
    pub fn new(store: Store, policy: Policy, settings: Settings) -> Self {
        Self { store, policy: Arc::new(policy), settings: Arc::new(settings), lookups: Lookups::system() }
    }

    /// The same, with another way to find the addresses of a peer's host name than the system's resolver.
    #[must_use]
    pub fn resolving_by(
        self,
        resolver: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { lookups: Lookups::by(resolver), ..self }
    }

    /// The same, for what the service owes whoever asks what: leases, health, the sessions of agents. It waits for no request.
    #[must_use]
    pub fn for_duties(&self) -> Self {
        Self { store: self.store.on(Lane::Duty), ..self.clone() }
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the caller may see a veiled attribute of the object.
    #[must_use]
    pub fn unveils(&self, caller: &Caller, object: &Object, attribute: &Attribute) -> bool {
        if !attribute.veiled {
            return true;
        }
        let rule = format!("get_{}:{}", object.resource().member, attribute.name);
        self.policy.allows(&rule, caller, Target::of_project(object.project_id()))
    }

    /// Whether the caller may see an attribute of the objects of his project, and so may search by
    /// it.
    #[must_use]
    pub fn searches(&self, caller: &Caller, kind: Kind, attribute: &Attribute) -> bool {
        let own = Target { project_id: caller.project_id(), ..Target::default() };
        let rule = format!("get_{}:{}", kind.resource().member, attribute.name);
        !attribute.veiled || self.policy.allows(&rule, caller, own)
    }

    /// Whether a rule that is not about an object lets the caller in.
    ///
    /// # Errors
    /// [`karez_model::Reason::PolicyNotAuthorized`] when it does not.
    pub fn check(&self, caller: &Caller, rule: &str) -> Result<(), Failure> {
        if self.policy.allows(rule, caller, Target::default()) { Ok(()) } else { Err(not_authorized(rule)) }
    }

    /// One object.
    ///
    /// # Errors
    /// The kind's "not found" when there is none that the caller may see.
    pub async fn show(&self, caller: &Arc<Caller>, kind: Kind, id: &str) -> Result<Arc<Stored>, Failure> {
        let id = id.to_owned();
        self.reading(caller, move |context| context.visible(kind, &id)).await
    }

    /// Creates objects of one kind, all or none.
    ///
    /// # Errors
    /// A fault of project, policy, quota or the rules of the kind.
    pub async fn create(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        mut requests: Vec<Created>,
    ) -> Result<Vec<Object>, Failure> {
        let member = kind.resource().member;
        for created in &mut requests {
            ownership::settle_project(&self.policy, caller, created)?;
            let project = created.object.project_id();
            let rule = format!("create_{member}");
            if !self.policy.allows(&rule, caller, Target::of_project(project)) {
                return Err(not_authorized(&rule));
            }
            let guarded = created.given.iter().filter(|attribute| is_raised(attribute, &created.object));
            let names = guarded.map(|attribute| attribute.name);
            ownership::check_guards(&self.policy, caller, "create", member, project, names)?;
        }
        let peers = self.lookups.peers(requests.iter().map(|created| &created.object)).await?;
        self.writing(caller, move |context| {
            quota::check(context, kind, &requests)?;
            let mut objects = Vec::with_capacity(requests.len());
            for created in &requests {
                let mut object = created.object.clone();
                object.set("id", Uuid::new_v4().to_string());
                rules::before_create(context, created, &mut object, &peers)?;
                let object = context.tx.insert(object)?;
                objects.push(rules::after_create(context, object)?);
            }
            Ok(objects)
        })
        .await
    }

    /// Changes an object.
    ///
    /// # Errors
    /// A fault of policy or the rules of the kind, or the kind's "not found".
    pub async fn update(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        id: &str,
        updated: Updated,
    ) -> Result<Object, Failure> {
        let id = id.to_owned();
        let resource = kind.resource();
        let rule = format!("update_{}", resource.member);
        let peers = match resolve::new_peer(resource, &updated.changes) {
            Some(name) => {
                let (id, rule) = (id.clone(), rule.clone());
                let project = self.reading(caller, move |context| {
                    let old = context.visible(kind, &id)?;
                    if !context.allows(&rule, &old)? {
                        return Err(not_authorized(&rule));
                    }
                    Ok(old.project_id().to_owned())
                });
                self.lookups.changed_peer(&project.await?, name).await?
            }
            None => Peers::new(),
        };
        self.writing(caller, move |context| {
            let old = context.visible_locked(kind, &id)?;
            if !context.allows(&rule, &old)? {
                return Err(not_authorized(&rule));
            }
            let guarded = guarded_changes(&old, &updated.changes);
            ownership::check_guards(
                context.policy,
                context.caller,
                "update",
                resource.member,
                old.project_id(),
                guarded.into_iter(),
            )?;
            let mut new = old.object.clone();
            new.apply(&updated.changes);
            rules::before_update(context, &old, &mut new, &updated.changes, &peers)?;
            if new == old.object {
                return Ok(new);
            }
            let new = context.tx.update(new)?;
            rules::after_update(context, &old, new)
        })
        .await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// A fault of policy or the rules of the kind, or the kind's "not found".
    pub async fn delete(&self, caller: &Arc<Caller>, kind: Kind, id: &str) -> Result<(), Failure> {
        let id = id.to_owned();
        self.writing(caller, move |context| {
            rules::hold_before_delete(context, kind, &id)?;
            let object = context.visible_locked(kind, &id)?;
            let rule = format!("delete_{}", kind.resource().member);
            if !context.allows(&rule, &object)? {
                return Err(not_authorized(&rule));
            }
            rules::before_delete(context, &object)?;
            if !context.tx.delete(kind, &id)? {
                return Err(not_found(kind, &id));
            }
            rules::after_delete(context, &object)
        })
        .await
    }

    /// Runs a use case that reads.
    pub(crate) async fn reading<T: Send + 'static>(
        &self,
        caller: &Arc<Caller>,
        mut use_case: impl FnMut(&mut Context<'_, '_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (control, caller) = (self.clone(), Arc::clone(caller));
        self.store.read(move |tx| use_case(&mut control.context(tx, &caller))).await
    }

    /// Runs a use case that writes.
    pub(crate) async fn writing<T: Send + 'static>(
        &self,
        caller: &Arc<Caller>,
        mut use_case: impl FnMut(&mut Context<'_, '_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (control, caller) = (self.clone(), Arc::clone(caller));
        self.store.write(move |tx| use_case(&mut control.context(tx, &caller))).await
    }

    fn context<'a, 'tx>(&'a self, tx: &'a mut Tx<'tx>, caller: &'a Caller) -> Context<'a, 'tx> {
        Context { tx, caller, policy: &self.policy, settings: &self.settings }
    }
}

/// Giving a guarded attribute the value that it has anyway needs no permission: clients send
/// defaults.
fn is_raised(attribute: &Attribute, object: &Object) -> bool {
    let is_default = match (attribute.post, object.get(attribute.name)) {
        (Post::Default(_), Value::Null | Value::Bool(false)) => true,
        (Post::Default(_), Value::Text(text)) => text.is_empty(),
        _ => false,
    };
    attribute.guarded && !is_default
}

fn guarded_changes(old: &Object, changes: &Changes) -> Vec<&'static str> {
    let attributes = old.resource().attributes;
    let changed = changes.0.iter().map(|(at, value)| (&attributes[*at], value));
    changed
        .filter(|(attribute, value)| attribute.guarded && old.get(attribute.name) != *value)
        .map(|(attribute, _)| attribute.name)
        .collect()
}
