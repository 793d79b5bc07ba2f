//! Two agents with one name.

use crate::chaos::parts::LEASE;
use crate::chaos::stage::{UP, binary, internet};
use anyhow::{Context, Result};
use karez_scene::{Node, Service, wait};

#[test]
fn a_second_agent_of_the_same_name_takes_over_and_the_first_stays_away_until_it_is_gone() -> Result<()> {
    let (ground, internet) = internet("takeover")?;
    let segment = internet.segment();
    let service = Service::start("server", segment, binary(), LEASE)?;
    let mut first = Node::build("first", segment, binary(), &service, "node1")?;
    first.start(Some(&service.token("node1")?))?;
    service.knows("node1", true, UP)?;
    let mut second = Node::build("second", segment, binary(), &service, "node1")?;
    second.start(Some(&service.token("node1")?))?;
    wait::until("the first agent to notice", UP, || {
        let log = std::fs::read_to_string(first.log()).unwrap_or_default();
        Ok(if log.contains("another agent has taken over by this name") { Ok(()) } else { Err(log) })
    })?;

    // It tries all the time whether the other one is gone, which must not disturb that one.
    let taken = session(&service)?;
    wait::pause(LEASE)?;
    assert_eq!(session(&service)?, taken);
    assert_eq!(service.agents()?.len(), 1, "one name, one node");
    first.runs()?;

    second.kill();
    wait::until("the first agent to come back", UP, || {
        let now = session(&service).unwrap_or_else(|_| taken.clone());
        Ok(if now == taken { Err("the second one's session".to_owned()) } else { Ok(()) })
    })?;
    service.knows("node1", true, UP)?;
    ground.succeeded();
    Ok(())
}

fn session(service: &Service) -> Result<String> {
    let agents = service.agents()?;
    let session = agents.first().and_then(|agent| agent["configurations"]["session"].as_str());
    Ok(session.context("no session")?.to_owned())
}
