//! Those who create objects while something breaks, and the book of what was acknowledged to them.

use crate::support::{Caller, Server, command};
use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Default)]
pub struct Ledger {
    acknowledged: Mutex<BTreeSet<String>>,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Ledger {
    /// Creates an object. True when it was done, false when the answer was the 503 that says so.
    /// Anything else is an error, a connection that breaks too.
    pub fn create(&self, server: &Server) -> anyhow::Result<bool> {
        let body = json!({"ikepolicy": {"name": "policy", "description": "d".repeat(200)}});
        let request = Caller::member("p").request(server, Method::POST, "/v2.0/vpn/ikepolicies").json(&body);
        let response = request.send()?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").cloned();
        let text = response.text()?;
        let body: Json = serde_json::from_str(&text).unwrap_or_default();
        match status {
            201 => {
                let id = body["ikepolicy"]["id"].as_str().context("no id")?;
                self.book().insert(id.to_owned());
                Ok(true)
            }
            503 => {
                ensure!(body["NeutronError"]["type"] == "ServiceUnavailable", "{text}");
                ensure!(retry_after.is_some(), "a 503 without Retry-After");
                self.refused.fetch_add(1, SeqCst);
                Ok(false)
            }
            _ => bail!("{status} {text}"),
        }
    }

    /// Creates until [`Ledger::end`] is called.
    pub fn create_until_the_end(&self, server: &Server) -> anyhow::Result<()> {
        while !self.is_over.load(SeqCst) {
            self.create(server)?;
        }
        Ok(())
    }

    pub fn end(&self) {
        self.is_over.store(true, SeqCst);
    }

    pub fn acknowledged(&self) -> usize {
        self.book().len()
    }

    pub fn refused(&self) -> usize {
        self.refused.load(SeqCst)
    }

    /// Fails unless everything that was acknowledged can be listed.
    pub fn must_be_kept(&self, server: &Server) -> anyhow::Result<()> {
        let request = Caller::member("p").request(server, Method::GET, "/v2.0/vpn/ikepolicies?fields=id");
        let body: Json = request.send()?.error_for_status()?.json()?;
        let listed = body["ikepolicies"].as_array().context("no list")?;
        let listed: BTreeSet<&str> = listed.iter().filter_map(|policy| policy["id"].as_str()).collect();
        let book = self.book();
        ensure!(!book.is_empty(), "nothing was acknowledged, so nothing was proved");
        let lost: Vec<_> = book.iter().filter(|id| !listed.contains(id.as_str())).collect();
        ensure!(lost.is_empty(), "{} of {} acknowledged objects are lost", lost.len(), book.len());
        Ok(())
    }

    fn book(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails unless `karez db check` finds nothing.
pub fn must_be_sound(server: &Server) -> anyhow::Result<()> {
    let checked = command::check(&server.configuration())?;
    ensure!(checked.code == Some(0) && checked.stdout.contains("is sound"), "{checked:?}");
    Ok(())
}

/// Fails when the server has panicked.
pub fn must_not_have_panicked(server: &Server) -> anyhow::Result<()> {
    let log = server.log()?;
    ensure!(!log.contains("panicked"), "the server panicked:\n{log}");
    Ok(())
}
