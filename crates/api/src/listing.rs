//! Lists: filters, sorting, paging and the links between pages.

use crate::error::Result;
use crate::request::Request;
use form_urlencoded::Serializer;
use karez_control::{Failure, ListRequest};
use karez_model::parse::{self, clip};
use karez_model::{Attribute, Fault, Kind, Reason, Resource, Type};
use karez_store::{Direction, Extent, Extra, Filter, Page, Query};
use serde_json::{Value as Json, json};

/// A list as its query string asks for it.
pub(crate) struct Listing {
    pub request: ListRequest,
    /// Filters on secrets, which can be compared only when they are open.
    pub secrets: Vec<Filter>,
    /// The size of a page and whether it was asked for backwards.
    pub page: Option<(u64, bool)>,
}

/// Most parameters of a query, so that no query becomes more than a database can take.
const MOST: usize = 500;
/// Most keys to sort by.
const MOST_KEYS: usize = 8;

/// Parameters that are not filters.
const CONTROLS: [&str; 6] = ["fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"];

impl Listing {
    /// Reads the query string. Parameters that are not known are ignored: clients send some.
    /// A page has `most` objects at most, as Neutron's `pagination_max_limit` says.
    pub(crate) fn read(kind: Kind, request: &Request, most: Option<u32>) -> Result<Self> {
        let mut query = Query { sort: sort(kind.resource(), request)?, ..Query::all(kind) };
        let mut secrets: Vec<Filter> = Vec::new();
        if request.query.len() > MOST {
            let message =
                format!("The query has {} parameters; at most {MOST} are allowed", request.query.len());
            return Err(Fault::bad_request(message).into());
        }
        for (key, text) in request.query.iter().filter(|(key, _)| !CONTROLS.contains(&key.as_str())) {
            match kind.resource().attribute(key).filter(|attribute| attribute.is_filter()) {
                Some(attribute) => {
                    let is_secret = matches!(attribute.ty, Type::Secret(..));
                    let filters = if is_secret { &mut secrets } else { &mut query.filters };
                    let value = parse::filter(attribute, text)?;
                    match filters.iter_mut().find(|filter| filter.attribute.name == attribute.name) {
                        Some(filter) => filter.values.push(value),
                        None => filters.push(Filter { attribute, values: vec![value] }),
                    }
                }
                None => {
                    extra(kind.resource(), key, text).into_iter().for_each(|new| add(&mut query.extras, new))
                }
            }
        }
        bound_tags(&query.extras)?;
        // Rows that a secret rules out are found after the page was cut, so there is no page then.
        let page = limit(request, most)?.filter(|_| secrets.is_empty());
        let is_reverse =
            request.values("page_reverse").any(|text| parse::boolean(&Json::from(text)) == Some(true));
        query.page = page.map(|limit| Page { limit, marker: None, is_reverse });
        let marker = request.values("marker").next().filter(|_| page.is_some()).map(str::to_owned);
        Ok(Self {
            request: ListRequest { query, marker },
            secrets,
            page: page.map(|limit| (limit, is_reverse)),
        })
    }

    /// What the caller may not see he neither finds nor sorts by.
    pub(crate) fn veil(&mut self, may_search: impl Fn(&Attribute) -> bool) {
        let query = &mut self.request.query;
        for filter in query.filters.iter_mut().filter(|filter| !may_search(filter.attribute)) {
            filter.values.clear();
        }
        query.sort.retain(|(attribute, _)| may_search(attribute));
    }

    /// The links to the pages before and after, when pages were asked for. As in Neutron, a full
    /// page has a next one even when nothing follows, and a first page has a previous one.
    pub(crate) fn links(&self, request: &Request, extent: &Extent) -> Option<Json> {
        let (limit, is_reverse) = self.page?;
        let is_full = extent.count == limit;
        let next = json!({"rel": "next", "href": link(request, extent.last.as_deref(), false)});
        let previous = json!({"rel": "previous", "href": link(request, extent.first.as_deref(), true)});
        let mut links = Vec::with_capacity(2);
        if is_reverse || is_full {
            links.push(next);
        }
        if !is_reverse || is_full {
            links.push(previous);
        }
        Some(Json::Array(links))
    }
}

fn link(request: &Request, marker: Option<&str>, is_reverse: bool) -> String {
    let mut query = Serializer::new(String::new());
    let kept = request.query.iter().filter(|(key, _)| key != "marker" && key != "page_reverse");
    for (key, value) in kept {
        query.append_pair(key, value);
    }
    if let Some(id) = marker {
        query.append_pair("marker", id);
    }
    if is_reverse {
        query.append_pair("page_reverse", "True");
    }
    format!("{}{}?{}", request.base, request.path, query.finish())
}

fn limit(request: &Request, most: Option<u32>) -> Result<Option<u64>> {
    let text = request.values("limit").last();
    match text.unwrap_or("0").parse::<u32>() {
        Ok(0) => Ok(most.map(u64::from)),
        Ok(limit) => Ok(Some(u64::from(most.map_or(limit, |most| limit.min(most))))),
        Err(_) => Err(Failure::fault(
            Reason::BadRequest,
            format!(
                "limit is '{}'; it must be a whole number, 0 for no limit",
                clip(text.unwrap_or_default())
            ),
        )),
    }
}

fn sort(resource: &'static Resource, request: &Request) -> Result<Vec<(&'static Attribute, Direction)>> {
    let keys: Vec<&str> = request.values("sort_key").collect();
    let directions: Vec<&str> = request.values("sort_dir").collect();
    if keys.len() != directions.len() {
        return Err(Fault::bad_request(format!(
            "{} sort_key and {} sort_dir; each key needs its direction",
            keys.len(),
            directions.len()
        ))
        .into());
    }
    if keys.len() > MOST_KEYS {
        let message = format!("{} times sort_key; at most {MOST_KEYS} are allowed", keys.len());
        return Err(Fault::bad_request(message).into());
    }
    let key = |name: &str| {
        let attribute = resource.attribute(name).filter(|attribute| attribute.is_sortable());
        attribute.ok_or_else(|| {
            let names = resource.attributes.iter().filter(|attribute| attribute.is_sortable());
            let names: Vec<&str> = names.map(|attribute| attribute.name).collect();
            Fault::bad_request(format!(
                "sort_key is '{}'; it must be one of {}",
                clip(name),
                names.join(", ")
            ))
        })
    };
    let direction = |text: &str| match text {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        _ => Err(Fault::bad_request(format!("sort_dir is '{}'; it must be asc or desc", clip(text)))),
    };
    keys.into_iter().zip(directions).map(|(name, dir)| Ok((key(name)?, direction(dir)?))).collect()
}

/// The same parameter given twice is as one with the values of both, as in Neutron.
fn add(extras: &mut Vec<Extra>, new: Extra) {
    for old in extras.iter_mut() {
        match (old, &new) {
            (Extra::OnSubnet(all), Extra::OnSubnet(more))
            | (Extra::WithAddress(all), Extra::WithAddress(more))
            | (Extra::InGroup(all), Extra::InGroup(more))
            | (Extra::AllTags(all), Extra::AllTags(more))
            | (Extra::AnyTag(all), Extra::AnyTag(more))
            | (Extra::NotAllTags(all), Extra::NotAllTags(more))
            | (Extra::NoTag(all), Extra::NoTag(more)) => return all.extend(more.iter().cloned()),
            _ => {}
        }
    }
    extras.push(new);
}

/// Each tag is a condition of its own, and a database bears only so many.
fn bound_tags(extras: &[Extra]) -> Result<()> {
    const MOST: usize = 100;
    let count = |extra: &Extra| match extra {
        Extra::AllTags(tags) | Extra::AnyTag(tags) | Extra::NotAllTags(tags) | Extra::NoTag(tags) => {
            tags.len()
        }
        Extra::OnSubnet(_) | Extra::WithAddress(_) | Extra::InGroup(_) | Extra::OnRouter(_) => 0,
    };
    match extras.iter().map(count).sum() {
        0..=MOST => Ok(()),
        more => {
            let message = format!("{more} tags are asked for; at most {MOST} are allowed in one list");
            Err(Failure::fault(Reason::BadRequest, message))
        }
    }
}

fn extra(resource: &Resource, key: &str, text: &str) -> Option<Extra> {
    let tags = || text.split(',').map(str::to_owned).collect();
    match key {
        "tags" if resource.is_taggable() => Some(Extra::AllTags(tags())),
        "tags-any" if resource.is_taggable() => Some(Extra::AnyTag(tags())),
        "not-tags" if resource.is_taggable() => Some(Extra::NotAllTags(tags())),
        "not-tags-any" if resource.is_taggable() => Some(Extra::NoTag(tags())),
        "security_groups" if resource.kind == Kind::Port => Some(Extra::InGroup(vec![text.to_owned()])),
        "fixed_ips" if resource.kind == Kind::Port => match text.split_once('=') {
            Some(("subnet_id", id)) => Some(Extra::OnSubnet(vec![id.to_owned()])),
            Some(("ip_address", ip)) => Some(Extra::WithAddress(vec![ip.to_owned()])),
            Some(_) | None => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
