//! The API as the preparation and the verification use it: whole JSON documents, any failure an
//! error. Nothing here is measured.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::Connection;
use crate::request::{Id, request};
use crate::response::header;
use crate::server::ADMIN_PASSWORD;

/// A session of one user in one project.
pub struct Api {
    connection: Connection,
    address: SocketAddr,
    token: String,
}

/// A whole answer.
pub struct Reply {
    pub status: u16,
    pub document: Value,
    pub body: Vec<u8>,
}

impl Api {
    pub async fn admin(address: SocketAddr) -> Result<Self> {
        Self::log_in(address, "admin", ADMIN_PASSWORD, "admin").await
    }

    pub async fn log_in(address: SocketAddr, user: &str, password: &str, project: &str) -> Result<Self> {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": user, "domain": domain, "password": password},
            }},
            "scope": {"project": {"name": project, "domain": domain}},
        }})
        .to_string();
        let path = "/identity/v3/auth/tokens";
        let bytes = request("POST", path, &address.to_string(), None, Some(&body));
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(&bytes).await?;
        ensure!(
            answer.status == 201,
            "no token for {user}: {} {}",
            answer.status,
            String::from_utf8_lossy(answer.body)
        );
        let mut lines = answer.head.split(|&byte| byte == b'\n');
        let token = lines.find_map(|line| header(line, b"x-subject-token:"));
        let token = token.context("the answer has no X-Subject-Token")?.to_vec();
        Ok(Self { connection, address, token: String::from_utf8(token)? })
    }

    pub async fn get(&mut self, path: &str) -> Result<Value> {
        self.call("GET", path, None, 200).await
    }

    pub async fn put(&mut self, path: &str, body: Option<Value>, status: u16) -> Result<Value> {
        self.call("PUT", path, body, status).await
    }

    /// Creates an object and returns it without its envelope.
    pub async fn create(&mut self, path: &str, singular: &str, fields: Value) -> Result<Value> {
        let mut envelope = self.call("POST", path, Some(json!({ singular: fields })), 201).await?;
        Ok(envelope[singular].take())
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<Reply> {
        let answer = self.connection.exchange(bytes).await?;
        let document = match answer.body {
            [] => Value::Null,
            body => serde_json::from_slice(body).context("the answer is not JSON")?,
        };
        Ok(Reply { status: answer.status, document, body: answer.body.to_vec() })
    }

    /// A request of this session as bytes.
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
        request(method, path, &self.address.to_string(), Some(&self.token), body)
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<Value>, expected: u16) -> Result<Value> {
        let body = body.map(|body| body.to_string());
        let bytes = self.request(method, path, body.as_deref());
        let reply = self.send(&bytes).await?;
        ensure!(reply.status == expected, "{method} {path} answered {}: {}", reply.status, reply.document);
        Ok(reply.document)
    }
}

/// The id of an object of the API.
pub fn id_of(object: &Value) -> Result<Id> {
    let text = object["id"].as_str().with_context(|| format!("no id in {object}"))?;
    text.as_bytes().try_into().with_context(|| format!("the id {text} is not a UUID"))
}

/// An id as text, for a path.
pub fn text(id: &Id) -> &str {
    std::str::from_utf8(id).unwrap_or_default()
}
