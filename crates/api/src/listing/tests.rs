use super::*;
use http::Method;
use karez_model::Value;
use proptest::prelude::*;

fn request(query: Vec<(String, String)>) -> Request {
    Request {
        method: Method::GET,
        path: "/v2.0/vpn/ikepolicies".into(),
        query,
        body: bytes::Bytes::new(),
        base: "http://[::1]:9696".into(),
    }
}

/// The request that a client makes of a link.
fn followed(link: &Json) -> Request {
    let uri: http::Uri = link["href"].as_str().expect("a link").parse().expect("a URL");
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    request(query.into_owned().collect())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

/// A query: mostly of parameters that mean something for the kind, with values that fit.
fn query(kind: Kind) -> impl Strategy<Value = Vec<(String, String)>> {
    let attributes = kind.resource().attributes;
    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name).collect();
    let extras =
        ["tags", "tags-any", "not-tags", "not-tags-any", "fixed_ips", "tenant_id", "fields", "limit"];
    let controls = ["marker", "page_reverse", "sort_key", "sort_dir", "limit", "", "nosuch"];
    let name = prop_oneof![
        3 => prop::sample::select(names.clone()).prop_map(str::to_owned),
        3 => prop::sample::select([&extras[..], &controls[..]].concat()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    let words =
        ["true", "False", "1", "0", "60", "asc", "subnet_id=a", "ip_address=::1", "a,b", "a&b=c#d", "é+ %"];
    let value = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => prop::sample::select(names).prop_map(str::to_owned),
        1 => "[^\0]{0,100}",
    ];
    prop::collection::vec((name, value), 0..5)
}

/// The query of one page of a list that is surely understood.
fn page(kind: Kind) -> impl Strategy<Value = Vec<(String, String)>> {
    let sortable = kind.resource().attributes.iter().filter(|attribute| attribute.is_sortable());
    let keys: Vec<&str> = sortable.map(|attribute| attribute.name).collect();
    let order = (prop::sample::select(keys), prop::sample::select(vec!["asc", "desc"]));
    let order = prop::collection::vec(order, 0..3);
    let page = (1u32..100, any::<bool>(), any::<bool>());
    (query(kind), order, page).prop_map(|(mut query, order, (limit, has_marker, is_reverse))| {
        query.retain(|(key, _)| {
            !["limit", "marker", "page_reverse", "sort_key", "sort_dir"].contains(&key.as_str())
        });
        let mut add = |key: &str, value: &str| query.push((key.into(), value.into()));
        for (key, direction) in order {
            add("sort_key", key);
            add("sort_dir", direction);
        }
        add("limit", &limit.to_string());
        if has_marker {
            add("marker", "the page before");
        }
        if is_reverse {
            add("page_reverse", "True");
        }
        query
    })
}

/// What a list asks for beside the place of its page.
#[derive(PartialEq)]
struct Asked<'a> {
    filters: Vec<(&'a str, &'a [Value])>,
    sort: Vec<(&'a str, Direction)>,
    extras: &'a [Extra],
    limit: Option<u64>,
}

impl<'a> From<&'a Listing> for Asked<'a> {
    fn from(listing: &'a Listing) -> Self {
        let query = &listing.request.query;
        Self {
            filters: query.filters.iter().map(|filter| (filter.attribute.name, &filter.values[..])).collect(),
            sort: query.sort.iter().map(|(attribute, direction)| (attribute.name, *direction)).collect(),
            extras: &query.extras,
            limit: listing.page.map(|(limit, _)| limit),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_query_is_understood_or_the_fault_of_its_caller(
        (kind, query) in kind().prop_flat_map(|kind| (Just(kind), query(kind)))
    ) {
        if let Err(failure) = Listing::read(kind, &request(query), None) {
            let Failure::Fault(fault) = failure else { panic!("{failure}") };
            prop_assert!(crate::error::status(fault.reason).is_client_error());
            prop_assert!(fault.message.len() < 2048 && !fault.message.contains(char::is_control), "{fault}");
        }
    }

    #[test]
    fn a_link_asks_for_the_same_list_from_another_place(
        (kind, query) in kind().prop_flat_map(|kind| (Just(kind), page(kind))), rest in 0u64..2
    ) {
        let request = request(query);
        let Ok(listing) = Listing::read(kind, &request, None) else { return Ok(()) };
        let Some((limit, _)) = listing.page else {
            prop_assert!(!listing.secrets.is_empty(), "a page was asked for");
            return Ok(());
        };
        let (first, last) = (Some("first & foremost".to_owned()), Some("last/ü".to_owned()));
        let extent = Extent { count: limit - rest, first: first.clone(), last: last.clone() };
        let links = listing.links(&request, &extent).expect("links of a page");
        for link in links.as_array().expect("a list") {
            let there = Listing::read(kind, &followed(link), None).expect("a list");
            let is_previous = link["rel"] == "previous";
            prop_assert!(Asked::from(&there) == Asked::from(&listing), "{link}");
            prop_assert_eq!(there.page.map(|(_, is_reverse)| is_reverse), Some(is_previous));
            prop_assert_eq!(&there.request.marker, if is_previous { &first } else { &last });
        }
    }
}

#[test]
fn a_full_page_in_the_middle_leads_both_ways() {
    let request = request(vec![("limit".into(), "2".into()), ("marker".into(), "x".into())]);
    let listing = Listing::read(Kind::IkePolicy, &request, None).expect("a list");
    let extent = Extent { count: 2, first: Some("a".into()), last: Some("b".into()) };
    let links = listing.links(&request, &extent).expect("links of a page");
    assert_eq!(
        links,
        json!([
            {"rel": "next", "href": "http://[::1]:9696/v2.0/vpn/ikepolicies?limit=2&marker=b"},
            {"rel": "previous", "href": "http://[::1]:9696/v2.0/vpn/ikepolicies?limit=2&marker=a&page_reverse=True"},
        ])
    );
}

#[test]
fn a_bound_of_pages_holds_for_whoever_asks_for_more_or_for_none() {
    for (asked, most, expected) in [
        (None, None, None),
        (None, Some(5), Some(5)),
        (Some("0"), Some(5), Some(5)),
        (Some("3"), Some(5), Some(3)),
        (Some("6"), Some(5), Some(5)),
        (Some("6"), None, Some(6)),
    ] {
        let query = asked.map(|limit| ("limit".to_owned(), limit.to_owned())).into_iter().collect();
        let listing = Listing::read(Kind::IkePolicy, &request(query), most).expect("a list");
        assert_eq!(listing.page.map(|(limit, _)| limit), expected, "{asked:?} of {most:?}");
    }
}
