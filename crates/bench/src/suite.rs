//! The scenarios, each verified before or after it is measured: a fast answer that is wrong is
//! worth nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::api::{id_of, text};
use crate::bed::{
    Bed, CONNECTIONS, IKE_POLICIES, IPSEC_POLICIES, SERVICES, SITE_CONNECTIONS, connection_body, policy_body,
};
use crate::journey::{Chain, ChainIds, Create, Delete, Read};
use crate::load;
use crate::measure::{Measurement, Plan, Watched, clients, measure};
use crate::request::{Id, Template, blank, id_in};

pub const LIST: &str = "list 100 connections";
pub const SHOW: &str = "show a connection";
pub const CREATE: &str = "create an IKE policy";
pub const CHAIN: &str = "create a whole chain";
pub const DELETE: &str = "delete an IKE policy";

/// How many clients tidy up between measurements, and how long they may take at most.
const SWEEPERS: usize = 8;
const SWEEP_LIMIT: Duration = Duration::from_secs(300);

pub struct Suite<'a> {
    pub plan: &'a Plan,
    pub watched: Watched<'a>,
    pub bed: Bed,
    /// Told what is measured next.
    pub progress: &'a dyn Fn(&str, usize),
}

impl Suite<'_> {
    /// Every scenario at every concurrency, by scenario.
    pub async fn run(mut self) -> Result<Vec<Measurement>> {
        let mut measurements = self.list().await?;
        measurements.extend(self.show().await?);
        let (creations, deletions) = self.create_and_delete().await?;
        measurements.extend(creations);
        measurements.extend(self.chain().await?);
        measurements.extend(deletions);
        Ok(measurements)
    }

    async fn list(&mut self) -> Result<Vec<Measurement>> {
        let request = self.bed.member.request("GET", SITE_CONNECTIONS, None);
        let reply = self.bed.member.send(&request).await?;
        let listed = reply.document["ipsec_site_connections"].as_array();
        let listed: Result<BTreeSet<Id>> = listed.context("the list is missing")?.iter().map(id_of).collect();
        let seeded: BTreeSet<Id> = self.bed.seeded.iter().copied().collect();
        ensure!(reply.status == 200 && seeded.len() == CONNECTIONS, "the list is not complete");
        ensure!(listed? == seeded, "the list has other connections than were created");
        self.read(LIST, vec![request], reply.body.len()).await
    }

    async fn show(&mut self) -> Result<Vec<Measurement>> {
        let mut requests = Vec::with_capacity(CONNECTIONS);
        let mut lengths = BTreeSet::new();
        for id in &self.bed.seeded {
            let path = format!("{SITE_CONNECTIONS}/{}", text(id));
            let request = self.bed.member.request("GET", &path, None);
            let reply = self.bed.member.send(&request).await?;
            let shown = id_of(&reply.document["ipsec_site_connection"])?;
            ensure!(reply.status == 200 && shown == *id, "{path} shows another connection");
            requests.push(request);
            lengths.insert(reply.body.len());
        }
        let length = lengths.pop_first().context("nothing was shown")?;
        ensure!(lengths.is_empty(), "connections that are alike are shown in different lengths");
        self.read(SHOW, requests, length).await
    }

    async fn read(
        &self,
        scenario: &'static str,
        requests: Vec<Vec<u8>>,
        body_length: usize,
    ) -> Result<Vec<Measurement>> {
        let requests = Rc::new(requests);
        let mut measurements = Vec::new();
        for &concurrency in &self.plan.concurrencies {
            (self.progress)(scenario, concurrency);
            let clients = clients(self.bed.address, concurrency, |number| Read {
                requests: Rc::clone(&requests),
                // Apart from each other, so that no two ask for the same at the same time.
                next: number * requests.len() / concurrency,
                body_length,
            })
            .await?;
            measurements.push(measure(scenario, self.plan, self.watched, clients).await?.0);
        }
        Ok(measurements)
    }

    /// What is deleted is what was created just before.
    async fn create_and_delete(&mut self) -> Result<(Vec<Measurement>, Vec<Measurement>)> {
        let request = Rc::new(self.bed.member.request("POST", IKE_POLICIES, Some(&policy_body("ikepolicy"))));
        self.verify_create_and_delete(&request).await?;
        let before = self.count(IKE_POLICIES, "ikepolicies").await?;
        let (mut creations, mut deletions) = (Vec::new(), Vec::new());
        for &concurrency in &self.plan.concurrencies {
            (self.progress)(CREATE, concurrency);
            let creators = clients(self.bed.address, concurrency, |_| Create {
                request: Rc::clone(&request),
                created: Vec::new(),
            })
            .await?;
            let (measurement, creators) = measure(CREATE, self.plan, self.watched, creators).await?;
            creations.push(measurement);
            let stock: Vec<Id> = creators.into_iter().flat_map(|client| client.journey.created).collect();
            let existing = self.count(IKE_POLICIES, "ikepolicies").await?;
            ensure!(
                existing == before + stock.len(),
                "{} IKE policies were created and {} exist more than before",
                stock.len(),
                existing - before
            );

            (self.progress)(DELETE, concurrency);
            let stock = Rc::new(RefCell::new(stock));
            let request = self.deletion(IKE_POLICIES);
            let deleters = clients(self.bed.address, concurrency, |_| Delete {
                request: request.clone(),
                stock: Rc::clone(&stock),
            })
            .await?;
            deletions.push(measure(DELETE, self.plan, self.watched, deleters).await?.0);
            let left = before + stock.borrow().len();
            ensure!(
                self.count(IKE_POLICIES, "ikepolicies").await? == left,
                "IKE policies exist whose deletion was answered with 204"
            );
            self.sweep(IKE_POLICIES, stock.take()).await?;
        }
        Ok((creations, deletions))
    }

    async fn verify_create_and_delete(&mut self, creation: &[u8]) -> Result<()> {
        let member = &mut self.bed.member;
        let reply = member.send(creation).await?;
        let id = id_of(&reply.document["ikepolicy"])?;
        ensure!(id_in(&reply.body) == Some(id), "the first id in the body is not the policy's");
        let path = format!("{IKE_POLICIES}/{}", text(&id));
        let shown = member.get(&path).await?;
        ensure!(
            reply.status == 201 && shown == reply.document,
            "what was answered to POST and what is shown are not the same"
        );
        let deletion = member.request("DELETE", &path, None);
        ensure!(member.send(&deletion).await?.status == 204, "the policy cannot be deleted");
        let request = member.request("GET", &path, None);
        ensure!(member.send(&request).await?.status == 404, "a deleted policy is still there");
        Ok(())
    }

    async fn chain(&mut self) -> Result<Vec<Measurement>> {
        let member = &self.bed.member;
        let post = |path, body: &str| member.request("POST", path, Some(body));
        let ike_policy = Rc::new(post(IKE_POLICIES, &policy_body("ikepolicy")));
        let ipsec_policy = Rc::new(post(IPSEC_POLICIES, &policy_body("ipsecpolicy")));
        let service = Rc::new(post(SERVICES, &self.bed.service_body));
        let connection = Template::new(post(SITE_CONNECTIONS, &connection_body()));
        let mut measurements = Vec::new();
        for &concurrency in &self.plan.concurrencies {
            (self.progress)(CHAIN, concurrency);
            let clients = clients(self.bed.address, concurrency, |_| Chain {
                ike_policy: Rc::clone(&ike_policy),
                ipsec_policy: Rc::clone(&ipsec_policy),
                service: Rc::clone(&service),
                connection: connection.clone(),
                created: Vec::new(),
            })
            .await?;
            let (measurement, clients) = measure(CHAIN, self.plan, self.watched, clients).await?;
            measurements.push(measurement);
            let chains: Vec<ChainIds> =
                clients.into_iter().flat_map(|client| client.journey.created).collect();
            self.verify_chains(&chains).await?;
            self.sweep_chains(&chains).await?;
        }
        Ok(measurements)
    }

    async fn verify_chains(&mut self, chains: &[ChainIds]) -> Result<()> {
        let existing = self.count(SITE_CONNECTIONS, "ipsec_site_connections").await?;
        ensure!(existing == CONNECTIONS + chains.len(), "not every chain exists");
        let chain = chains.last().context("no chain was created")?;
        let path = format!("{SITE_CONNECTIONS}/{}", text(&chain.connection));
        let document = self.bed.member.get(&path).await?;
        let shown = &document["ipsec_site_connection"];
        ensure!(
            shown["vpnservice_id"] == text(&chain.service)
                && shown["ikepolicy_id"] == text(&chain.ike_policy)
                && shown["ipsecpolicy_id"] == text(&chain.ipsec_policy),
            "a connection does not belong to its service and policies: {shown}"
        );
        Ok(())
    }

    async fn sweep_chains(&self, chains: &[ChainIds]) -> Result<()> {
        let ids = |part: fn(&ChainIds) -> Id| chains.iter().map(part).collect();
        self.sweep(SITE_CONNECTIONS, ids(|chain| chain.connection)).await?;
        self.sweep(SERVICES, ids(|chain| chain.service)).await?;
        self.sweep(IKE_POLICIES, ids(|chain| chain.ike_policy)).await?;
        self.sweep(IPSEC_POLICIES, ids(|chain| chain.ipsec_policy)).await
    }

    /// Deletes objects without measuring, so that each measurement begins with as many.
    async fn sweep(&self, path: &str, ids: Vec<Id>) -> Result<()> {
        let stock = Rc::new(RefCell::new(ids));
        let request = self.deletion(path);
        let sweepers = clients(self.bed.address, SWEEPERS, |_| Delete {
            request: request.clone(),
            stock: Rc::clone(&stock),
        })
        .await?;
        let (outcome, _) = load::run(sweepers, SWEEP_LIMIT).await?;
        if let Some(error) = outcome.first_error {
            return Err(error.context(format!("cannot tidy up {path}")));
        }
        ensure!(stock.borrow().is_empty(), "tidying up {path} took longer than {SWEEP_LIMIT:?}");
        Ok(())
    }

    fn deletion(&self, path: &str) -> Template {
        Template::new(self.bed.member.request("DELETE", &format!("{path}/{}", blank(0)), None))
    }

    async fn count(&mut self, path: &str, plural: &str) -> Result<usize> {
        let document = self.bed.member.get(&format!("{path}?fields=id")).await?;
        Ok(document[plural].as_array().with_context(|| format!("no {plural} in a list"))?.len())
    }
}
