//! What clients do to VPN objects.

use super::super::ground::Attached;
use super::super::project::Answer;
use super::{CONNECTIONS, ENOUGH, IKE_POLICIES, IPSEC_POLICIES, Pool, SERVICES, Storm, renaming};
use crate::support::dice::Dice;
use serde_json::json;
use std::sync::atomic::Ordering;

impl Storm<'_> {
    pub(super) fn create_ike_policy(&self, _: &mut Dice) -> anyhow::Result<()> {
        let answer = self.project.create(IKE_POLICIES, json!({"name": "storm"}), &["OverQuota"])?;
        self.ike_policies.add_created(answer)
    }

    pub(super) fn update_ike_policy(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.update_policy(IKE_POLICIES, &self.ike_policies, dice, &["IKEPolicyNotFound", "IKEPolicyInUse"])
    }

    pub(super) fn delete_ike_policy(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete(IKE_POLICIES, &self.ike_policies, dice, "IKEPolicyNotFound", &["IKEPolicyInUse"])
            .map(drop)
    }

    pub(super) fn create_ipsec_policy(&self, _: &mut Dice) -> anyhow::Result<()> {
        if self.ipsec_policies.len() >= ENOUGH {
            return Ok(());
        }
        self.ipsec_policies.add_created(self.project.create(IPSEC_POLICIES, json!({"name": "storm"}), &[])?)
    }

    pub(super) fn update_ipsec_policy(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let refusals = ["IPsecPolicyNotFound", "IPsecPolicyInUse"];
        self.update_policy(IPSEC_POLICIES, &self.ipsec_policies, dice, &refusals)
    }

    pub(super) fn delete_ipsec_policy(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let pool = &self.ipsec_policies;
        self.delete(IPSEC_POLICIES, pool, dice, "IPsecPolicyNotFound", &["IPsecPolicyInUse"]).map(drop)
    }

    pub(super) fn create_service(&self, dice: &mut Dice) -> anyhow::Result<()> {
        if self.services.len() >= ENOUGH {
            return Ok(());
        }
        let Attached { router, subnet } = dice.one_of(&self.ground.attached);
        let fields = json!({"name": "storm", "router_id": router, "subnet_id": subnet});
        self.services.add_created(self.project.create(SERVICES, fields, &[])?)
    }

    pub(super) fn update_service(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(service) = self.services.pick(dice) else { return Ok(()) };
        let refusals = ["VPNServiceNotFound", "VPNStateInvalidToUpdate"];
        self.project.update(SERVICES, &service, renaming(dice), &refusals).map(drop)
    }

    pub(super) fn delete_service(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete(SERVICES, &self.services, dice, "VPNServiceNotFound", &["VPNServiceInUse"]).map(drop)
    }

    /// On a router that another client may be detaching or deleting.
    pub(super) fn create_passing_service(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(Attached { router, subnet }) = self.attached.pick(dice) else { return Ok(()) };
        let fields = json!({"name": "passing", "router_id": router, "subnet_id": subnet});
        let refusals = ["RouterNotFound", "RouterIsNotExternal", "SubnetIsNotConnectedToRouter"];
        self.passing_services.add_created(self.project.create(SERVICES, fields, &refusals)?)
    }

    pub(super) fn delete_passing_service(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete(SERVICES, &self.passing_services, dice, "VPNServiceNotFound", &[]).map(drop)
    }

    pub(super) fn create_connection(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let parts = (self.services.pick(dice), self.ike_policies.pick(dice), self.ipsec_policies.pick(dice));
        let (Some(service), Some(ike_policy), Some(ipsec_policy)) = parts else { return Ok(()) };
        if self.connections.len() >= ENOUGH {
            return Ok(());
        }
        let fields = json!({
            "name": "storm", "vpnservice_id": service, "ikepolicy_id": ike_policy, "ipsecpolicy_id": ipsec_policy,
            "peer_address": "203.0.113.9", "peer_id": "203.0.113.9", "psk": "storm", "peer_cidrs": ["10.50.0.0/24"],
        });
        let refusals = ["VPNServiceNotFound", "IKEPolicyNotFound", "IPsecPolicyNotFound"];
        let answer = self.project.create(CONNECTIONS, fields, &refusals)?;
        self.note_write(&answer);
        self.connections.add_created(answer)
    }

    pub(super) fn update_connection(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(connection) = self.connections.pick(dice) else { return Ok(()) };
        let fields = json!({"mtu": 1300 + dice.below(200)});
        let refusals = ["IPsecSiteConnectionNotFound", "VPNStateInvalidToUpdate"];
        let answer = self.project.update(CONNECTIONS, &connection, fields, &refusals)?;
        self.note_write(&answer);
        Ok(())
    }

    pub(super) fn delete_connection(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let answer = self.delete(CONNECTIONS, &self.connections, dice, "IPsecSiteConnectionNotFound", &[])?;
        answer.iter().for_each(|answer| self.note_write(answer));
        Ok(())
    }

    fn update_policy(
        &self,
        path: &str,
        pool: &Pool<String>,
        dice: &mut Dice,
        refusals: &[&str],
    ) -> anyhow::Result<()> {
        let Some(id) = pool.pick(dice) else { return Ok(()) };
        self.project.update(path, &id, renaming(dice), refusals).map(drop)
    }

    fn note_write(&self, answer: &Answer) {
        if let Answer::Done(_) = answer {
            self.connection_writes.fetch_add(1, Ordering::SeqCst);
        }
    }
}
