//! The service catalog: what this server offers and where. It is not stored; its listings are
//! read only.

use super::call::Call;
use super::error::Error;
use super::{Embedded, answer};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// The one region.
const REGION: &str = "RegionOne";
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

struct Service {
    kind: &'static str,
    name: &'static str,
    /// What follows the base URL.
    path: &'static str,
}

const SERVICES: [Service; 2] = [
    Service { kind: "identity", name: "keystone", path: "/identity/v3" },
    Service { kind: "network", name: "neutron", path: "" },
];

/// The catalog as tokens carry it.
pub(super) fn catalog(base: &str) -> Json {
    let endpoint = |service: &Service, interface: &str| {
        json!({
            "id": endpoint_id(service, interface),
            "interface": interface,
            "region": REGION,
            "region_id": REGION,
            "url": format!("{base}{}", service.path),
        })
    };
    let service = |service: &Service| {
        json!({
            "id": service_id(service),
            "type": service.kind,
            "name": service.name,
            "endpoints": INTERFACES.map(|interface| endpoint(service, interface)),
        })
    };
    Json::Array(SERVICES.iter().map(service).collect())
}

/// `GET /auth/catalog`
pub(super) async fn own(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    if session.target.is_none() {
        return Err(Error::Forbidden("A token without scope has no catalog.".to_owned()));
    }
    Ok(answer::ok(&json!({"catalog": catalog(&call.base), "links": {"self": call.link("auth/catalog")}})))
}

/// One of the three listings. They show no more than every token does, so everybody may see them.
#[derive(Clone, Copy)]
pub(super) enum Listing {
    Services,
    Endpoints,
    Regions,
}

impl Listing {
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Endpoints => "endpoints",
            Self::Regions => "regions",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Services => "service",
            Self::Endpoints => "endpoint",
            Self::Regions => "region",
        }
    }

    /// The query parameters that select by equality.
    fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Services => &["type", "name"],
            Self::Endpoints => &["interface", "service_id", "region_id"],
            Self::Regions => &["parent_region_id"],
        }
    }

    fn items(self, call: &Call) -> Vec<Json> {
        let link = |id: &str| json!({"self": call.link(&format!("{}/{id}", self.plural()))});
        let service = |service: &Service| {
            let id = service_id(service);
            json!({
                "links": link(&id),
                "id": id,
                "type": service.kind,
                "name": service.name,
                "description": "",
                "enabled": true,
            })
        };
        let endpoint = |service: &Service, interface: &str| {
            let id = endpoint_id(service, interface);
            json!({
                "links": link(&id),
                "id": id,
                "interface": interface,
                "region": REGION,
                "region_id": REGION,
                "service_id": service_id(service),
                "url": format!("{}{}", call.base, service.path),
                "enabled": true,
            })
        };
        match self {
            Self::Services => SERVICES.iter().map(service).collect(),
            Self::Endpoints => {
                SERVICES.iter().flat_map(|s| INTERFACES.map(|interface| endpoint(s, interface))).collect()
            }
            Self::Regions => {
                vec![
                    json!({"id": REGION, "description": "", "parent_region_id": null, "links": link(REGION)}),
                ]
            }
        }
    }
}

/// `GET /services`, `/endpoints`, `/regions`
pub(super) async fn list(embedded: Arc<Embedded>, call: Call, listing: Listing) -> Result<Response, Error> {
    embedded.session(&call).await?;
    let matches = |item: &Json| {
        let wanted = listing.filters().iter().filter_map(|name| Some((name, call.query(name)?)));
        wanted.into_iter().all(|(name, wanted)| item[name].as_str().unwrap_or_default() == wanted)
    };
    let items = listing.items(&call).into_iter().filter(matches).collect();
    Ok(answer::list(&call, listing.plural(), listing.plural(), items))
}

/// `GET /services/{id}`, `/endpoints/{id}`, `/regions/{id}`
pub(super) async fn show(embedded: Arc<Embedded>, call: Call, listing: Listing) -> Result<Response, Error> {
    embedded.session(&call).await?;
    let item = listing.items(&call).into_iter().find(|item| item["id"] == call.id(0));
    let item = item.ok_or_else(|| Error::not_found(listing.singular(), call.id(0)))?;
    Ok(answer::ok(&json!({listing.singular(): item})))
}

fn service_id(service: &Service) -> String {
    stable_id(&format!("service {}", service.kind))
}

fn endpoint_id(service: &Service, interface: &str) -> String {
    stable_id(&format!("endpoint {} {interface}", service.kind))
}

/// An id that is the same on every replica and after every start, because it is not stored.
fn stable_id(name: &str) -> String {
    digest(&SHA256, name.as_bytes()).as_ref().iter().take(16).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
