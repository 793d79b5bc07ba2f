//! All that the plan of a router is made of, read in a number of queries that hardly depends on how
//! much it is.

use karez_model::{Kind, Object};
use karez_store::{Error, Extra, Query, Stored, Tx};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects by their ids.
type ById = BTreeMap<String, Arc<Stored>>;

/// A router, what is on it, and what that refers to. What was deleted between two of the queries is
/// not there, which is as if all had been read later.
pub(super) struct Parts {
    pub router: Arc<Stored>,
    pub ports: Vec<Arc<Stored>>,
    pub floating_ips: Vec<Arc<Stored>>,
    pub services: ById,
    pub connections: Vec<Arc<Stored>>,
    pub networks: ById,
    pub subnets: ById,
    pub ike_policies: ById,
    pub ipsec_policies: ById,
    pub endpoint_groups: ById,
}

impl Parts {
    /// None when the router is gone.
    pub(super) fn of_router(tx: &mut Tx<'_>, id: &str) -> Result<Option<Self>, Error> {
        let Some(router) = tx.get(Kind::Router, id)? else { return Ok(None) };
        let ports = tx.list(&Query::all(Kind::Port).with("device_id", id))?;
        let floating_ips = tx.list(&Query::all(Kind::FloatingIp).with("router_id", id))?;
        let services = tx.list(&Query::all(Kind::VpnService).with("router_id", id))?;
        let connections = Query::all(Kind::IpsecSiteConnection);
        let connections =
            tx.list(&Query { extras: vec![Extra::OnRouter(vec![id.to_owned()])], ..connections })?;
        let networks = tx.get_all(Kind::Network, texts(&ports, "network_id"))?;
        let ike_policies = tx.get_all(Kind::IkePolicy, texts(&connections, "ikepolicy_id"))?;
        let ipsec_policies = tx.get_all(Kind::IpsecPolicy, texts(&connections, "ipsecpolicy_id"))?;
        let local_groups = texts(&connections, "local_ep_group_id");
        let groups = local_groups.chain(texts(&connections, "peer_ep_group_id"));
        let endpoint_groups = tx.get_all(Kind::EndpointGroup, groups)?;
        let grouped = endpoint_groups.values().filter(|group| group.text("type") == "subnet");
        let grouped = grouped.flat_map(|group| group.texts("endpoints"));
        let subnets = texts(&services, "subnet_id").chain(grouped);
        let subnets = subnets.chain(ports.iter().flat_map(|port| fixed_ips(port)).map(|(subnet, _)| subnet));
        let subnets = tx.get_all(Kind::Subnet, subnets)?;
        let services = services.into_iter().map(|service| (service.id().to_owned(), service)).collect();
        Ok(Some(Self {
            router,
            ports,
            floating_ips,
            services,
            connections,
            networks,
            subnets,
            ike_policies,
            ipsec_policies,
            endpoint_groups,
        }))
    }
}

/// The addresses of a port, each with the id of its subnet before it.
pub(super) fn fixed_ips(port: &Object) -> impl Iterator<Item = (&str, &str)> {
    let both = |fixed| (text(fixed, "subnet_id"), text(fixed, "ip_address"));
    port.json("fixed_ips").as_array().into_iter().flatten().map(both)
}

fn text<'a>(fixed: &'a Json, key: &str) -> &'a str {
    fixed.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn texts<'a>(objects: &'a [Arc<Stored>], name: &'a str) -> impl Iterator<Item = &'a str> {
    objects.iter().filter_map(move |object| object.opt_text(name))
}
