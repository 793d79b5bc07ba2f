//! What clients do to networks, ports and routers.

use super::super::ground::Attached;
use super::super::project::Answer;
use super::{ENOUGH, Storm, renaming};
use crate::support::dice::Dice;
use reqwest::Method;
use serde_json::{Value as Json, json};

impl Storm<'_> {
    pub(super) fn create_network(&self, _: &mut Dice) -> anyhow::Result<()> {
        if self.networks.len() >= ENOUGH / 4 {
            return Ok(());
        }
        self.networks.add_created(self.project.create("networks", json!({"name": "storm"}), &[])?)
    }

    pub(super) fn delete_network(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete("networks", &self.networks, dice, "NetworkNotFound", &["NetworkInUse"]).map(drop)
    }

    /// From few ranges, so that subnets of one network may overlap and so may those of one router.
    pub(super) fn create_subnet(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(network) = self.networks.pick(dice) else { return Ok(()) };
        let cidr = format!("10.4.{}.0/28", dice.below(6));
        let fields = json!({"network_id": network, "ip_version": 4, "cidr": cidr});
        // Neutron refuses a range that overlaps with another one of the network with InvalidInput.
        let answer = self.project.create("subnets", fields, &["NetworkNotFound", "InvalidInput"])?;
        self.subnets.add_created(answer)
    }

    pub(super) fn delete_subnet(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete("subnets", &self.subnets, dice, "SubnetNotFound", &["SubnetInUse"]).map(drop)
    }

    pub(super) fn create_port(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let narrow = &self.ground.narrow;
        let fields = match (dice.below(4), self.networks.pick(dice)) {
            (0, _) => json!({"network_id": self.ground.roomy.network}),
            (1, Some(network)) => json!({"network_id": network}),
            (2, _) => json!({"network_id": narrow.network, "fixed_ips": [wish(dice)]}),
            _ => json!({"network_id": narrow.network}),
        };
        let refusals =
            ["NetworkNotFound", "OverQuota", "IpAddressGenerationFailure", "IpAddressAlreadyAllocated"];
        self.ports.add_created(self.project.create("ports", fields, &refusals)?)
    }

    /// Moves a port to another address of the network that everybody wants to be on; ports of other
    /// networks are renamed only.
    pub(super) fn update_port(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(port) = self.ports.pick(dice) else { return Ok(()) };
        let refusals = ["PortNotFound", "IpAddressAlreadyAllocated", "InvalidIpForNetwork"];
        let fields = if dice.below(2) == 0 { json!({"fixed_ips": [wish(dice)]}) } else { renaming(dice) };
        self.project.update("ports", &port, fields, &refusals).map(drop)
    }

    pub(super) fn delete_port(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete("ports", &self.ports, dice, "PortNotFound", &[]).map(drop)
    }

    pub(super) fn create_router(&self, _: &mut Dice) -> anyhow::Result<()> {
        let fields = json!({"name": "storm", "external_gateway_info": {"network_id": self.ground.outside}});
        self.routers.add_created(self.project.create("routers", fields, &["OverQuota"])?)
    }

    pub(super) fn delete_router(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.delete("routers", &self.routers, dice, "RouterNotFound", &["RouterInUse"]).map(drop)
    }

    pub(super) fn attach(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let (Some(router), Some(subnet)) = (self.routers.pick(dice), self.subnets.pick(dice)) else {
            return Ok(());
        };
        let path = format!("routers/{router}/add_router_interface");
        // BadRequest: the router has an interface on this range already. IpAddressAlreadyAllocated: another
        // router has the subnet's gateway address.
        let refusals =
            ["RouterNotFound", "SubnetNotFound", "BadRequest", "IpAddressAlreadyAllocated", "OverQuota"];
        let answer = self.project.send(Method::PUT, &path, Some(json!({"subnet_id": subnet})), &refusals)?;
        if let Answer::Done(_) = answer {
            self.attached.add(Attached { router, subnet });
        }
        Ok(())
    }

    pub(super) fn detach(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(attached) = self.attached.pick(dice) else { return Ok(()) };
        let path = format!("routers/{}/remove_router_interface", attached.router);
        let refusals = [
            "RouterNotFound",
            "SubnetNotFound",
            "RouterInterfaceNotFoundForSubnet",
            "SubnetInUseByVPNService",
        ];
        let body = json!({"subnet_id": attached.subnet});
        match self.project.send(Method::PUT, &path, Some(body), &refusals)? {
            Answer::Refused(reason) if reason == "SubnetInUseByVPNService" => {}
            Answer::Refused(_) | Answer::Done(_) => self.attached.remove(&attached),
        }
        Ok(())
    }
}

/// One of the few addresses of the narrow network.
fn wish(dice: &mut Dice) -> Json {
    json!({"ip_address": format!("10.1.0.{}", 2 + dice.below(13))})
}
