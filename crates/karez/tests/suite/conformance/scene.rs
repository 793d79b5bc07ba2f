//! The scene of one case: projects of its own, and what its placeholders stand for.
//!
//! A placeholder, `{name}`, is looked up in this order:
//! - what the case's row, `set` and `save` said, which may hold placeholders itself;
//! - `{P}` is the case's project, `{O}` the other project, `{A}` the admin's project, `{BASE}` the
//!   server's URL;
//! - `{x255}` is 255 letters, and so for any number;
//! - `{uuid_one}` is a random UUID, and so for any name that begins with `uuid_`;
//! - a fixture, which is made at this moment when it does not exist yet.
//!
//! JSON needs no escaping: an opening brace that no name and closing brace follow is just a brace.

use super::case::{self, Fixture, Row, Step};
use super::expect::{Answer, complaints};
use super::path;
use crate::support::{Caller, Server};
use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// See the module.
pub struct Scene<'a> {
    server: &'a Server,
    fixtures: &'a [Fixture],
    known: BTreeMap<String, String>,
}

impl<'a> Scene<'a> {
    /// A scene where nothing exists yet but names.
    pub fn new(server: &'a Server, fixtures: &'a [Fixture], row: &Row) -> Self {
        let projects =
            ["P", "O", "A"].map(|name| (name.to_owned(), uuid::Uuid::new_v4().simple().to_string()));
        let base = ("BASE".to_owned(), server.base().to_owned());
        let known = row.clone().into_iter().chain(projects).chain([base]).collect();
        Self { server, fixtures, known }
    }

    /// Makes a fixture that does not exist yet.
    pub fn require(&mut self, name: &str) -> anyhow::Result<()> {
        self.value(name).map(|_| ())
    }

    /// Does a step and compares the answer; an error says everything about the difference.
    pub fn perform(&mut self, step: &Table) -> anyhow::Result<()> {
        let step = case::parse(self.expand_table(step)?)?;
        self.known.extend(step.set.clone());
        if let Some(sql) = &step.sql {
            self.server.database().execute(sql)?;
        }
        let Some(request) = &step.request else { return Ok(()) };
        let answer = self.send(request, &step)?;
        let mut complaints = complaints(&step.expected, &answer)?;
        complaints.extend(common_complaints(request, &answer));
        for (name, path) in &step.save {
            match path::at(&answer.json, path) {
                Some(Json::String(text)) => self.known.insert(name.clone(), text),
                Some(value) => self.known.insert(name.clone(), value.to_string()),
                None => {
                    complaints.push(format!("something at {path}"));
                    None
                }
            };
        }
        ensure!(complaints.is_empty(), "{}", difference(&step, request, &answer, &complaints));
        Ok(())
    }

    fn send(&self, request: &str, step: &Step) -> anyhow::Result<Answer> {
        let (method, path) = request.split_once(' ').context("a request is a method and a path")?;
        // A link in an answer is absolute.
        let path = path.strip_prefix(self.server.base()).unwrap_or(path);
        let mut request =
            self.caller(&step.caller)?.request(self.server, Method::from_bytes(method.as_bytes())?, path);
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &step.body {
            if !step.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("Content-Type", "application/json");
            }
            request = request.body(body.clone());
        }
        let response = request.send().with_context(|| format!("{method} {path}"))?;
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let status = response.status().as_u16();
        let text = response.text()?;
        let json = serde_json::from_str(&text).unwrap_or(Json::Null);
        Ok(Answer { status, headers, text, json })
    }

    fn caller(&self, name: &str) -> anyhow::Result<Caller> {
        let project = |name: &str| self.known.get(name).map(String::as_str).unwrap_or_default();
        Ok(match name {
            "member" => Caller::member(project("P")),
            "other" => Caller::member(project("O")),
            "reader" => Caller::reader(project("P")),
            "manager" => Caller::with_roles(project("P"), "manager"),
            "service" => Caller::with_roles(project("P"), "service"),
            "roleless" => Caller::with_roles(project("P"), ""),
            "admin" => Caller::admin(project("A")),
            "system" => Caller::system(),
            "nobody" => Caller::nobody(),
            _ => bail!("nobody is called {name}"),
        })
    }

    fn expand_table(&mut self, table: &Table) -> anyhow::Result<Table> {
        table.iter().map(|(key, value)| Ok((self.expand(key)?, self.expand_value(value)?))).collect()
    }

    fn expand_value(&mut self, value: &Value) -> anyhow::Result<Value> {
        Ok(match value {
            Value::String(text) => Value::String(self.expand(text)?),
            Value::Array(values) => Value::Array(
                values.iter().map(|value| self.expand_value(value)).collect::<anyhow::Result<_>>()?,
            ),
            Value::Table(table) => Value::Table(self.expand_table(table)?),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => value.clone(),
        })
    }

    /// The text with every placeholder replaced.
    fn expand(&mut self, text: &str) -> anyhow::Result<String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, brace) = rest.split_at(at);
            expanded.push_str(before);
            let inner = &brace[1..];
            match inner.split_once('}').filter(|(name, _)| is_name(name)) {
                Some((name, after)) => {
                    expanded.push_str(&self.value(name)?);
                    rest = after;
                }
                None => {
                    expanded.push('{');
                    rest = inner;
                }
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&mut self, name: &str) -> anyhow::Result<String> {
        if let Some(text) = self.known.get(name).cloned() {
            return self.expand(&text);
        }
        if let Some(count) = name.strip_prefix('x').and_then(|count| count.parse().ok()) {
            return Ok("x".repeat(count));
        }
        if name.starts_with("uuid_") {
            self.known.insert(name.to_owned(), uuid::Uuid::new_v4().to_string());
        } else {
            self.make(name).with_context(|| format!("cannot make {name}"))?;
        }
        self.known.get(name).cloned().with_context(|| format!("nothing has saved {name}"))
    }

    fn make(&mut self, name: &str) -> anyhow::Result<()> {
        let fixtures = self.fixtures;
        let made_by = |fixture: &&Fixture| fixture.names.iter().any(|made| made == name);
        let fixture =
            fixtures.iter().find(made_by).context("neither the case nor a fixture knows this name")?;
        fixture.steps.iter().try_for_each(|step| self.perform(step))
    }
}

/// What holds for every answer below `/v2.0`, whatever the case is about.
fn common_complaints(request: &str, answer: &Answer) -> Vec<String> {
    let mut complaints = Vec::new();
    if request.contains(" /v2.0") {
        let id = answer.header("x-openstack-request-id").and_then(|id| id.strip_prefix("req-"));
        if id.is_none_or(|id| uuid::Uuid::try_parse(id).is_err()) {
            complaints.push("a header x-openstack-request-id with req- and a UUID".to_owned());
        }
        let has_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !answer.text.is_empty() && !has_json {
            complaints.push("a body that is labelled application/json".to_owned());
        }
    }
    complaints
}

fn difference(step: &Step, request: &str, answer: &Answer, complaints: &[String]) -> String {
    let body = step.body.as_deref().map(|body| format!("\n    {body:.2000}")).unwrap_or_default();
    let headers: String = step.headers.iter().map(|(name, value)| format!("\n    {name}: {value}")).collect();
    let expected = complaints.join("\n    ");
    format!(
        "  request as {}: {request}{headers}{body}\n  answer: {} {}\n  expected:\n    {expected}",
        step.caller,
        answer.status,
        answer.text.trim_end()
    )
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}
