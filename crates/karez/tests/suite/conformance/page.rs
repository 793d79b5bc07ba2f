//! Nothing on the page of cases is left out in silence.

use super::case::{self, Case};
use std::collections::BTreeSet;
use std::fs;

/// The files of cases, by name.
pub const FILES: [&str; 12] = [
    "versions",
    "bodies",
    "ikepolicies",
    "ipsecpolicies",
    "vpnservices",
    "endpoint_groups",
    "connection_create",
    "connection_update",
    "core_guards",
    "lists",
    "rbac_and_quotas",
    "status_and_agents",
];

#[test]
fn every_case_of_the_page_is_run_or_says_why_not() -> anyhow::Result<()> {
    let page = fs::read_to_string(case::directory().join("page.txt"))?;
    let page: BTreeSet<&str> = page.split_whitespace().collect();
    let cases: Vec<Case> = FILES
        .into_iter()
        .map(case::cases)
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len(), "two cases have the same id");

    let missing: Vec<_> = page.difference(&ids).collect();
    assert!(missing.is_empty(), "cases of the page that are neither run nor explained: {missing:?}");

    // A neighbour carries the id of the case that it stands beside.
    let strangers: Vec<_> =
        ids.iter().filter(|id| !id.get(..4).is_some_and(|number| page.contains(number))).collect();
    assert!(strangers.is_empty(), "cases that the page does not know: {strangers:?}");

    for case in cases.iter().filter(|case| case.elsewhere.is_some()) {
        let reason = case.elsewhere.as_deref().unwrap_or_default();
        assert!(
            reason.split_whitespace().count() > 4,
            "{} is not run, and the reason is thin: {reason:?}",
            case.id
        );
    }
    Ok(())
}

#[test]
fn every_fixture_saves_a_name_of_its_own() -> anyhow::Result<()> {
    let fixtures = case::fixtures()?;
    let names: Vec<&String> = fixtures.iter().flat_map(|fixture| &fixture.names).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name is saved twice: {names:?}");
    assert!(fixtures.iter().all(|fixture| !fixture.names.is_empty()), "a fixture saves nothing");
    Ok(())
}
