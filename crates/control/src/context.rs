//! What a rule has at hand: the transaction, the caller, policy and settings.

use crate::{Failure, Settings};
use karez_model::policy::{Policy, Target};
use karez_model::{Caller, Kind, Object, Reason};
use karez_store::{Datum, Stored, Tx};
use std::sync::Arc;

pub(crate) struct Context<'a, 'tx> {
    pub tx: &'a mut Tx<'tx>,
    pub caller: &'a Caller,
    pub policy: &'a Policy,
    pub settings: &'a Settings,
}

impl Context<'_, '_> {
    /// Whether the caller may do what the rule is about with this object.
    pub(crate) fn allows(&mut self, rule: &str, object: &Object) -> Result<bool, Failure> {
        let (is_shared, is_external) = self.features(object)?;
        let target = Target { project_id: Some(object.project_id()), is_shared, is_external };
        Ok(self.policy.allows(rule, self.caller, target))
    }

    /// Whether the caller may see the object.
    pub(crate) fn sees(&mut self, object: &Object) -> Result<bool, Failure> {
        self.allows(&format!("get_{}", object.resource().member), object)
    }

    /// Whether the caller is the administrator.
    pub(crate) fn is_admin(&self) -> bool {
        self.policy.allows("admin", self.caller, Target::default())
    }

    /// An object that the caller refers to: it must exist and be visible.
    pub(crate) fn visible(&mut self, kind: Kind, id: &str) -> Result<Arc<Stored>, Failure> {
        let stored = self.tx.get(kind, id)?;
        self.admit(kind, id, stored)
    }

    /// Like [`Context::visible`], and the object stays as it is until the transaction ends.
    pub(crate) fn visible_locked(&mut self, kind: Kind, id: &str) -> Result<Arc<Stored>, Failure> {
        let stored = self.tx.lock(kind, id)?;
        self.admit(kind, id, stored)
    }

    fn admit(&mut self, kind: Kind, id: &str, stored: Option<Arc<Stored>>) -> Result<Arc<Stored>, Failure> {
        let Some(stored) = stored else { return Err(not_found(kind, id)) };
        if self.sees(&stored)? {
            return Ok(stored);
        }
        // Where the caller has a project and the object is in another one, it does not exist for
        // him. Otherwise it is the role or the scope that does not let him look.
        let is_elsewhere = self.caller.project_id().is_some_and(|own| own != stored.project_id());
        if is_elsewhere { Err(not_found(kind, id)) } else { Err(hidden()) }
    }

    /// An object that an earlier check has found, or that a foreign key vouches for.
    pub(crate) fn existing(&mut self, kind: Kind, id: &str) -> Result<Arc<Stored>, Failure> {
        self.tx.get(kind, id)?.ok_or_else(|| not_found(kind, id))
    }

    /// Whether the SELECT finds a row.
    pub(crate) fn exists(&mut self, sql: &str, params: &[Datum]) -> Result<bool, Failure> {
        Ok(self.tx.query_opt(sql, params)?.is_some())
    }

    /// The first column of what the SELECT finds.
    pub(crate) fn column(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<String>, Failure> {
        let rows = self.tx.query(sql, params)?;
        Ok(rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?)
    }

    /// Refuses when the SELECT finds ids; the message is made of them.
    pub(crate) fn refuse_if_found(
        &mut self,
        sql: &str,
        params: &[Datum],
        reason: Reason,
        message: impl FnOnce(&str) -> String,
    ) -> Result<(), Failure> {
        let found = self.column(sql, params)?;
        if found.is_empty() { Ok(()) } else { Err(Failure::fault(reason, message(&found.join(", ")))) }
    }

    fn features(&mut self, object: &Object) -> Result<(bool, bool), Failure> {
        if object.kind() == Kind::Subnet && Some(object.project_id()) != self.caller.project_id() {
            let network = self.tx.get(Kind::Network, object.text("network_id"))?;
            return Ok(network.map_or((false, false), |network| network_features(&network)));
        }
        Ok(if object.kind() == Kind::Network { network_features(object) } else { (false, false) })
    }
}

fn network_features(network: &Object) -> (bool, bool) {
    (network.flag("shared"), network.flag("router:external"))
}

/// There is no object of this id.
pub(crate) fn not_found(kind: Kind, id: &str) -> Failure {
    let resource = kind.resource();
    let id = karez_model::parse::clip(id);
    Failure::fault(resource.not_found, format!("There is no {} with the id {id}", resource.member))
}

/// There may be an object, and the caller may not know of it.
pub(crate) fn hidden() -> Failure {
    Failure::fault(Reason::HTTPNotFound, "The resource could not be found.")
}

/// The caller may not do this.
pub(crate) fn not_authorized(rule: &str) -> Failure {
    Failure::fault(
        Reason::PolicyNotAuthorized,
        format!("The policy rule:{rule} does not allow this with your roles in this project"),
    )
}
