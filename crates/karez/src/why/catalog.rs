//! What a login is answered: the project, and where the API is.

use super::access::Access;
use crate::text::clean;
use serde_json::Value as Json;

/// What is read from a token's document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The API's URL, without `/v2.0` and without a slash at its end.
    pub network: String,
    pub project_id: String,
}

/// Reads the document of a token, `{"token": …}`.
///
/// # Errors
/// Says what is missing, and what there is.
pub(super) fn read(document: &Json, access: &Access) -> Result<Found, String> {
    let token = &document["token"];
    let project_id = token["project"]["id"].as_str().ok_or_else(|| {
        format!("the token is for no project; {} has to name one (project_id or project_name)", access.place)
    })?;
    let network = match &access.network_endpoint {
        Some(url) => url.clone(),
        None => endpoint(&token["catalog"], access)?,
    };
    let network = network.trim_end_matches('/');
    let network = network.strip_suffix("/v2.0").unwrap_or(network).to_owned();
    Ok(Found { network, project_id: clean(project_id) })
}

fn endpoint(catalog: &Json, access: &Access) -> Result<String, String> {
    const OVERRIDE: &str = "OS_NETWORK_ENDPOINT_OVERRIDE (network_endpoint_override) takes its place";
    let services: Vec<&Json> = catalog.as_array().into_iter().flatten().collect();
    let networks: Vec<&&Json> = services.iter().filter(|service| service["type"] == "network").collect();
    if networks.is_empty() {
        let types = listed(services.iter().map(|service| &service["type"]));
        return Err(format!("the catalog has no service of the type network, only {types}; {OVERRIDE}"));
    }
    let endpoints: Vec<&Json> =
        networks.iter().filter_map(|service| service["endpoints"].as_array()).flatten().collect();
    let region = |endpoint: &Json| match &endpoint["region_id"] {
        Json::Null => endpoint["region"].clone(),
        id => id.clone(),
    };
    let is_there =
        |endpoint: &&&Json| access.region.as_ref().is_none_or(|wanted| region(endpoint) == **wanted);
    let here: Vec<&&Json> = endpoints.iter().filter(is_there).collect();
    if here.is_empty() {
        let regions: Vec<Json> = endpoints.iter().map(|endpoint| region(endpoint)).collect();
        return Err(format!(
            "the catalog has no network service in the region {:?}, only in {}; OS_REGION_NAME (region_name) chooses one",
            access.region.as_deref().unwrap_or_default(),
            listed(regions.iter())
        ));
    }
    let found = here.iter().find(|endpoint| endpoint["interface"] == access.interface.as_str());
    let url = found.and_then(|endpoint| endpoint["url"].as_str());
    url.map(str::to_owned).ok_or_else(|| {
        let interfaces = listed(here.iter().map(|endpoint| &endpoint["interface"]));
        format!(
            "the network service has no {} endpoint in the catalog, only {interfaces}; OS_INTERFACE (interface) chooses \
             one, {OVERRIDE}",
            access.interface
        )
    })
}

/// Each text once, for people.
fn listed<'a>(texts: impl Iterator<Item = &'a Json>) -> String {
    let mut texts: Vec<String> = texts.filter_map(Json::as_str).map(clean).collect();
    texts.sort_unstable();
    texts.dedup();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests;
