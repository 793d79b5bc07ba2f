//! A request as the routes see it: path, query, headers and body, checked for what concerns all
//! of them.

use super::Embedded;
use super::error::Error;
use super::fields::Body;
use crate::MAX_BODY;
use crate::token::TokenHash;
use crate::{X_AUTH_TOKEN, X_SUBJECT_TOKEN, token_in};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, RawPathParams, Request};
use bytes::Bytes;
use http::HeaderMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A request.
pub(super) struct Call {
    ids: Vec<String>,
    query: Vec<(String, String)>,
    pub headers: HeaderMap,
    body: Bytes,
    /// The address of the client: as the listener left it in the request's extensions, or as the
    /// proxy in front of us says.
    pub source: IpAddr,
    /// Where the client reaches this server, without `/identity/v3`.
    pub base: String,
}

impl Call {
    /// A variable part of the path, in order.
    pub(super) fn id(&self, at: usize) -> &str {
        self.ids.get(at).map_or("", String::as_str)
    }

    /// The first value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter is there that means yes by being there, unless it says no.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }

    /// The body, which is consumed.
    pub(super) fn body(&mut self) -> Result<Body, Error> {
        Body::parse(std::mem::take(&mut self.body))
    }

    /// The caller's own token.
    pub(super) fn token(&self) -> Option<TokenHash> {
        token_in(&self.headers, &X_AUTH_TOKEN).map(TokenHash::of)
    }

    /// The token that the call is about.
    pub(super) fn subject(&self) -> Result<TokenHash, Error> {
        token_in(&self.headers, &X_SUBJECT_TOKEN)
            .map(TokenHash::of)
            .ok_or_else(|| Error::BadRequest("The header X-Subject-Token is missing.".to_owned()))
    }

    /// The URL of something under `/identity/v3`.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}/identity/v3/{path}", self.base)
    }
}

impl FromRequest<Arc<Embedded>> for Call {
    type Rejection = Error;

    async fn from_request(request: Request, embedded: &Arc<Embedded>) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, embedded)
            .await
            .map_err(|_| Error::BadRequest("The URL is not UTF-8.".to_owned()))?;
        let ids: Vec<String> = params.iter().map(|(_, value)| value.to_owned()).collect();
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Error::BadRequest("The query of the URL is malformed.".to_owned()))?;
        refuse_nul(&ids, &query)?;
        let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| Error::TooLarge)?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        let forwarded = forwarded_for(&parts.headers).filter(|_| embedded.options.behind_proxy);
        Ok(Self {
            ids,
            query,
            body,
            source: forwarded.unwrap_or(peer),
            base: embedded.url(&parts.headers),
            headers: parts.headers,
        })
    }
}

/// The address that the proxy next to us added. Those before it may be made up.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()?
        .to_str()
        .ok()?
        .rsplit(',')
        .next()?
        .trim()
        .parse()
        .ok()
}

fn refuse_nul(ids: &[String], query: &[(String, String)]) -> Result<(), Error> {
    let mut texts = ids.iter().chain(query.iter().flat_map(|(name, value)| [name, value]));
    if texts.any(|text| text.contains('\0')) {
        return Err(Error::BadRequest("The URL holds a NUL character, which is not allowed.".to_owned()));
    }
    Ok(())
}
