//! The project that everybody works on, through the API, and what its answers were.

use crate::support::{Caller, Server};
use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The id of the project.
pub const PROJECT: &str = "storm";

/// What a request came to.
#[derive(Debug)]
pub enum Answer {
    /// It was done; the object without its envelope, null after a deletion.
    Done(Json),
    /// It was refused for this reason, one of those that its sender expects.
    Refused(String),
}

impl Answer {
    pub fn done(self) -> Option<Json> {
        match self {
            Self::Done(object) => Some(object),
            Self::Refused(_) => None,
        }
    }
}

/// See the module.
pub struct Project<'a> {
    server: &'a Server,
    caller: Caller,
    /// Refusals that every request may meet.
    common: &'static [&'static str],
    tally: Tally,
}

impl<'a> Project<'a> {
    pub fn member(server: &'a Server) -> Self {
        Self { server, caller: Caller::member(PROJECT), common: &[], tally: Tally::default() }
    }

    /// The same member, who knows that others are at work: a request that lost a race may be told
    /// so and nothing more.
    pub fn member_among_others(server: &'a Server) -> Self {
        Self { common: &["Conflict"], ..Self::member(server) }
    }

    pub fn admin(server: &'a Server) -> Self {
        Self { caller: Caller::admin("operators"), ..Self::member(server) }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sends a request to a path below `/v2.0/`. Any answer that is neither the success of its verb
    /// nor one of the expected refusals is an error.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
        refusals: &[&str],
    ) -> anyhow::Result<Answer> {
        let mut request = self.caller.request(self.server, method.clone(), &format!("/v2.0/{path}"));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().with_context(|| format!("{method} {path} was not answered"))?;
        let status = response.status().as_u16();
        let text = response.text().with_context(|| format!("{method} {path} was cut off"))?;
        let json: Json = serde_json::from_str(&text).unwrap_or(Json::Null);
        if status == success(&method) {
            self.tally.note(&method, path, "done");
            return Ok(Answer::Done(json));
        }
        let reason = json["NeutronError"]["type"].as_str().unwrap_or_default();
        if (400..500).contains(&status) && (refusals.contains(&reason) || self.common.contains(&reason)) {
            self.tally.note(&method, path, reason);
            return Ok(Answer::Refused(reason.to_owned()));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        bail!("{method} {path} {body} was answered {status} {text}")
    }

    /// A POST of an object in its envelope; it is answered without.
    pub fn create(&self, path: &str, fields: Json, refusals: &[&str]) -> anyhow::Result<Answer> {
        let singular = singular(path)?;
        let answer =
            self.send(Method::POST, path, Some(serde_json::json!({ singular: fields })), refusals)?;
        Ok(match answer {
            Answer::Done(mut envelope) => Answer::Done(envelope[singular].take()),
            refused @ Answer::Refused(_) => refused,
        })
    }

    /// A PUT of an object in its envelope.
    pub fn update(&self, path: &str, id: &str, fields: Json, refusals: &[&str]) -> anyhow::Result<Answer> {
        let envelope = serde_json::json!({ singular(path)?: fields });
        self.send(Method::PUT, &format!("{path}/{id}"), Some(envelope), refusals)
    }

    pub fn delete(&self, path: &str, id: &str, refusals: &[&str]) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, &format!("{path}/{id}"), None, refusals)
    }

    /// All objects of a collection that the caller may see.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<Json>> {
        let answer = self.send(Method::GET, path, None, &[])?;
        let mut envelope = answer.done().unwrap_or_default();
        let plural = path.rsplit('/').next().unwrap_or(path).replace('-', "_");
        let Json::Array(objects) = envelope[&plural].take() else {
            bail!("{path} has no {plural}: {envelope}")
        };
        Ok(objects)
    }
}

/// An object's attribute as text.
pub fn text<'a>(object: &'a Json, name: &str) -> anyhow::Result<&'a str> {
    object[name].as_str().with_context(|| format!("no {name} in {object}"))
}

/// The key of an object of this collection in its envelope.
fn singular(path: &str) -> anyhow::Result<&'static str> {
    Ok(match path {
        "vpn/ikepolicies" => "ikepolicy",
        "vpn/ipsecpolicies" => "ipsecpolicy",
        "vpn/vpnservices" => "vpnservice",
        "vpn/ipsec-site-connections" => "ipsec_site_connection",
        "networks" => "network",
        "subnets" => "subnet",
        "ports" => "port",
        "routers" => "router",
        _ => bail!("{path} is no collection of this test"),
    })
}

fn success(method: &Method) -> u16 {
    match *method {
        Method::POST => 201,
        Method::DELETE => 204,
        _ => 200,
    }
}

/// How often each kind of request came to what.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<(String, String), usize>>);

impl Tally {
    /// How many requests were answered.
    pub fn count(&self) -> usize {
        self.counts().values().sum()
    }

    /// How many requests of this kind, say `POST ports`, came to this.
    pub fn of(&self, kind: &str, result: &str) -> usize {
        self.counts().get(&(kind.to_owned(), result.to_owned())).copied().unwrap_or_default()
    }

    /// Fails unless a request of this kind came to this at least once.
    pub fn must_have(&self, kind: &str, result: &str) -> anyhow::Result<()> {
        ensure!(self.of(kind, result) > 0, "no {kind} ever came to {result}, so nothing was proved:\n{self}");
        Ok(())
    }

    fn note(&self, method: &Method, path: &str, result: &str) {
        let is_name = |part: &&str| part.len() != 36;
        let name: Vec<&str> = path.split('/').filter(is_name).collect();
        let kind = format!("{method} {}", name.join("/"));
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((kind, result.to_owned())).or_default() += 1;
    }

    fn counts(&self) -> BTreeMap<(String, String), usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, result), count) in self.counts() {
            writeln!(f, "{count:>8}  {kind}: {result}")?;
        }
        Ok(())
    }
}
