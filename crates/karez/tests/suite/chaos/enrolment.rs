//! How a node gets in, and what it is told when it does not.

use crate::chaos::parts::LEASE;
use crate::chaos::stage::{UP, binary, internet};
use anyhow::{Context, Result, ensure};
use karez_scene::{Ground, Internet, Node, Service, wait};
use karez_testing::Database;
use std::process::{Command, Stdio};
use std::time::Duration;

/// For an agent that must not run to say so and end.
const REFUSED: Duration = Duration::from_secs(20);

struct Gate {
    service: Service,
    internet: Internet,
    ground: Ground,
}

impl Gate {
    fn build(name: &str) -> Result<Self> {
        let (ground, internet) = internet(name)?;
        let service = Service::start("server", internet.segment(), binary(), LEASE)?;
        Ok(Self { service, internet, ground })
    }

    /// A node without an agent yet.
    fn node(&self, name: &str, host: &str) -> Result<Node> {
        Ok(Node::build(name, self.internet.segment(), binary(), &self.service, host)?)
    }

    fn database(&self) -> Database {
        Database::Sqlite { file: self.service.directory().join("karez.db") }
    }
}

#[test]
fn who_comes_without_a_good_token_is_told_why_and_ends_with_an_error() -> Result<()> {
    let gate = Gate::build("tokens")?;
    let node = gate.node("node1", "node1")?;
    refused(&node, None, "not enrolled")?;
    refused(&node, Some("let me in"), "not a whole enrolment token")?;

    let good = gate.service.token("node1")?;
    let mut parts: Vec<&str> = good.split('.').collect();
    let other_secret = "A".repeat(parts[2].len());
    let unknown = { [parts[0], parts[1], &other_secret, parts[3]].join(".") };
    refused(&node, Some(&unknown), "not known here")?;
    let other_authority = "B".repeat(parts[3].len() - 1) + "A";
    parts[3] = &other_authority;
    refused(&node, Some(&parts.join(".")), "is of another deployment than the token")?;
    refused(&node, Some(&gate.service.token("node2")?), "the token is for another node")?;
    let old = gate.service.token("node1")?;
    gate.database().execute("UPDATE enrolments SET expires_at = 1 WHERE used_at IS NULL")?;
    refused(&node, Some(&old), "the token has expired")?;
    assert!(gate.service.agents()?.is_empty());
    gate.ground.succeeded();
    Ok(())
}

#[test]
fn a_token_lets_one_node_in_once_and_the_node_needs_none_afterwards() -> Result<()> {
    let mut gate = Gate::build("once")?;
    let token = gate.service.token("node1")?;
    let mut node = gate.node("node1", "node1")?;
    node.start(Some(&token))?;
    gate.service.knows("node1", true, UP)?;

    let clone = gate.node("clone", "node1")?;
    refused(&clone, Some(&token), "the token has been used")?;
    let second = Command::new(binary())
        .args(["agent", "--config"])
        .arg(node.configuration())
        .stdin(Stdio::null())
        .output()?;
    let words = String::from_utf8_lossy(&second.stderr);
    ensure!(!second.status.success() && words.contains("another agent runs"), "{words}");

    node.stop();
    // A token that was used does no harm to the node that it has let in.
    node.start(Some(&token))?;
    gate.service.knows("node1", true, UP)?;
    node.runs()?;

    node.stop();
    gate.service.stop();
    let stranger = gate.node("stranger", "node3")?;
    refused(&stranger, Some(&token), "Connection refused")?;
    gate.ground.succeeded();
    Ok(())
}

#[test]
fn a_certificate_of_another_host_is_not_taken() -> Result<()> {
    let gate = Gate::build("impostor")?;
    let mut node = gate.node("node1", "node1")?;
    node.start(Some(&gate.service.token("node1")?))?;
    gate.service.knows("node1", true, UP)?;
    node.stop();

    let text = std::fs::read_to_string(node.configuration())?;
    std::fs::write(node.configuration(), text.replace("host = \"node1\"", "host = \"node2\""))?;
    let words = refused(&node, None, "is for node1")?;
    assert!(words.contains("this node is node2"), "{words}");
    gate.ground.succeeded();
    Ok(())
}

/// Runs the agent, which must end with code 1 and these words. Returns all its last words.
fn refused(node: &Node, token: Option<&str>, words: &str) -> Result<String> {
    let mut command = Command::new(binary());
    command.args(["agent", "--config"]).arg(node.configuration());
    if let Some(token) = token {
        let file = node.configuration().with_file_name("bad-token");
        std::fs::write(&file, token)?;
        command.arg("--token-file").arg(file);
    }
    let log = node.configuration().with_file_name("refused");
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?).spawn()?;
    let ended = wait::until("the agent to give up", REFUSED, || {
        let ended = process.try_wait().ok().flatten();
        Ok(ended.ok_or_else(|| "it runs".to_owned()))
    });
    if ended.is_err() {
        process.kill()?;
        process.wait()?;
    }
    let said = std::fs::read_to_string(&log)?;
    let status = ended.with_context(|| said.clone())?;
    let last = said.lines().last().unwrap_or_default().to_owned();
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(last.starts_with("karez: ") && last.contains(words), "no '{words}' in: {said}");
    ensure!(!token.is_some_and(|token| said.contains(token)), "it shows the token");
    Ok(last)
}
