//! The way to a cloud, read and checked: who asks, where, and whom to trust.

use super::settings::{Settings, home};
use anyhow::{Context, Result, bail};
use karez_model::Secret;
use reqwest::Url;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Everything that is needed to log in and to find the API.
pub(super) struct Access {
    /// Keystone's URL; it ends in `/v3`.
    pub auth_url: String,
    pub method: Method,
    /// The project; none where the token or the credential has one already.
    pub project: Option<Named>,
    /// The region of the catalog; none takes the first.
    pub region: Option<String>,
    pub interface: String,
    /// The API's URL, in place of the catalog's.
    pub network_endpoint: Option<String>,
    pub trust: Trust,
    /// Where all of this is written down, for people.
    pub place: String,
}

/// How the caller proves who he is.
pub(super) enum Method {
    Password { user: Named, password: Secret },
    Token(Secret),
    ApplicationCredential { credential: Credential, secret: Secret },
}

/// A user or a project.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Id(String),
    Name { name: String, domain: Domain },
}

/// A domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Id(String),
    Name(String),
}

/// An application credential.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential {
    Id(String),
    Name { name: String, user: Named },
}

/// Whose certificates are good.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those of the authorities that the system trusts.
    System,
    /// Those of the authorities in this file, only.
    Only(PathBuf),
    /// Anybody's.
    Blind,
}

/// The kinds of login that are known, as keystoneauth calls them.
const AUTH_TYPES: &str = "password, v3password, token, v3token, v3applicationcredential";

impl Access {
    /// # Errors
    /// Names the variable or the key that is missing or cannot be, what is allowed, and where it is looked for.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Self> {
        let auth_url = auth_url(settings)?;
        let method = method(settings)?;
        let project =
            named(settings, &["project_id", "tenant_id"], &["project_name", "tenant_name"], "project")?;
        if project.is_none() && matches!(method, Method::Password { .. }) {
            let keys = settings.names(&["project_name", "project_id"]);
            bail!("{keys} is missing in {}: connections are those of a project", settings.place());
        }
        Ok(Self {
            auth_url,
            project: project.filter(|_| !matches!(method, Method::ApplicationCredential { .. })),
            method,
            region: settings.get(&["region_name", "region"]),
            interface: interface(settings),
            network_endpoint: settings
                .get(&["network_endpoint_override", "network_endpoint"])
                .map(|url| web_address(settings, &["network_endpoint_override"], &url))
                .transpose()?,
            trust: trust(settings)?,
            place: settings.place(),
        })
    }

    /// The body of a login.
    pub(super) fn login(&self) -> Json {
        let mut auth = match &self.method {
            Method::Password { user, password } => {
                let mut user = user.json();
                user["password"] = password.expose().into();
                json!({"identity": {"methods": ["password"], "password": {"user": user}}})
            }
            Method::Token(token) => {
                json!({"identity": {"methods": ["token"], "token": {"id": token.expose()}}})
            }
            Method::ApplicationCredential { credential, secret } => {
                let mut credential = match credential {
                    Credential::Id(id) => json!({"id": id}),
                    Credential::Name { name, user } => json!({"name": name, "user": user.json()}),
                };
                credential["secret"] = secret.expose().into();
                json!({"identity": {
                    "methods": ["application_credential"], "application_credential": credential,
                }})
            }
        };
        if let Some(project) = &self.project {
            auth["scope"] = json!({"project": project.json()});
        }
        json!({"auth": auth})
    }
}

impl Named {
    fn json(&self) -> Json {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, domain: Domain::Id(id) } => json!({"name": name, "domain": {"id": id}}),
            Self::Name { name, domain: Domain::Name(domain) } => {
                json!({"name": name, "domain": {"name": domain}})
            }
        }
    }
}

fn auth_url(settings: &Settings<'_>) -> Result<String> {
    let url = web_address(settings, &["auth_url"], &settings.need(&["auth_url"])?)?;
    // As keystoneauth does: a URL without a version, or of one that is long gone.
    let url = url.strip_suffix("/v2.0").unwrap_or(&url);
    Ok(if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") })
}

/// A URL without slashes at its end.
fn web_address(settings: &Settings<'_>, keys: &[&str], text: &str) -> Result<String> {
    let wrong = || {
        let name = settings.names(keys);
        format!("{name} {text:?} in {} must be like https://keystone.example.org:5000/v3", settings.place())
    };
    let url = Url::parse(text).with_context(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!(
            "{} in {} has a user or a password in it; they do not belong there",
            settings.names(keys),
            settings.place()
        );
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
        bail!(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn method(settings: &Settings<'_>) -> Result<Method> {
    const SECRET: &[&str] = &["application_credential_secret"];
    const TOKEN: &[&str] = &["token", "auth_token"];
    let credential = ["application_credential_id", "application_credential_name"];
    let chosen = settings.get(&["auth_type", "auth_plugin"]);
    let method = match chosen.as_deref() {
        Some(chosen) => chosen,
        None if settings.get(&credential).is_some() => "v3applicationcredential",
        None if settings.get(TOKEN).is_some() => "token",
        None => "password",
    };
    match method {
        "password" | "v3password" => {
            let user = user(settings)?;
            Ok(Method::Password { user, password: Secret::new(settings.need(&["password"])?) })
        }
        "token" | "v3token" => Ok(Method::Token(Secret::new(settings.need(TOKEN)?))),
        "v3applicationcredential" => {
            let credential = match settings.get(&["application_credential_id"]) {
                Some(id) => Credential::Id(id),
                None => Credential::Name { name: settings.need(&credential)?, user: user(settings)? },
            };
            Ok(Method::ApplicationCredential { credential, secret: Secret::new(settings.need(SECRET)?) })
        }
        other => bail!(
            "{} {other:?} in {} is not known here; it may be {AUTH_TYPES}",
            settings.names(&["auth_type"]),
            settings.place()
        ),
    }
}

fn user(settings: &Settings<'_>) -> Result<Named> {
    let user = named(settings, &["user_id"], &["username", "user_name"], "user")?;
    user.with_context(|| {
        format!("{} is missing in {}", settings.names(&["username", "user_id"]), settings.place())
    })
}

fn named(settings: &Settings<'_>, ids: &[&str], names: &[&str], kind: &str) -> Result<Option<Named>> {
    if let Some(id) = settings.get(ids) {
        return Ok(Some(Named::Id(id)));
    }
    let Some(name) = settings.get(names) else { return Ok(None) };
    let by_id = settings.get(&[&format!("{kind}_domain_id")]);
    let by_name = || settings.get(&[&format!("{kind}_domain_name")]).map(Domain::Name);
    let usual =
        || settings.get(&["default_domain", "default_domain_id"]).unwrap_or_else(|| "default".to_owned());
    let domain = by_id.map(Domain::Id).or_else(by_name).unwrap_or_else(|| Domain::Id(usual()));
    Ok(Some(Named::Name { name, domain }))
}

/// `public`, also where it is called `publicURL`.
fn interface(settings: &Settings<'_>) -> String {
    let keys = ["network_interface", "interface", "network_endpoint_type", "endpoint_type"];
    let text = settings.get(&keys).unwrap_or_else(|| "public".to_owned());
    text.strip_suffix("URL").unwrap_or(&text).to_owned()
}

fn trust(settings: &Settings<'_>) -> Result<Trust> {
    if flag(settings, "insecure")? == Some(true) || flag(settings, "verify")? == Some(false) {
        return Ok(Trust::Blind);
    }
    let file = settings.get(&["cacert"]).map(|path| home(&path, settings.variables()));
    Ok(file.map_or(Trust::System, Trust::Only))
}

fn flag(settings: &Settings<'_>, key: &str) -> Result<Option<bool>> {
    let Some(text) = settings.get(&[key]) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(Some(true)),
        "false" | "no" | "off" | "0" => Ok(Some(false)),
        _ => bail!("{} {text:?} in {} must be true or false", settings.names(&[key]), settings.place()),
    }
}

#[cfg(test)]
mod tests;
