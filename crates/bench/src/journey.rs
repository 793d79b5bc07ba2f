//! The journeys that are measured. Each checks the status of every answer it gets.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use crate::client::{Answer, Connection};
use crate::load::{Journey, Step};
use crate::request::{Id, Template, id_in};

/// Reads: sends the same few requests in turn. The bed has settled and nothing changes meanwhile,
/// so that every answer must be as long as the one that was verified.
pub struct Read {
    pub requests: Rc<Vec<Vec<u8>>>,
    pub next: usize,
    pub body_length: usize,
}

impl Journey for Read {
    async fn go(&mut self, connection: &mut Connection) -> Result<Step> {
        self.next = (self.next + 1) % self.requests.len();
        let answer = connection.exchange(&self.requests[self.next]).await?;
        expect(&answer, 200)?;
        ensure!(
            answer.body.len() == self.body_length,
            "the answer has {} bytes and not {} as the one that was verified",
            answer.body.len(),
            self.body_length
        );
        Ok(Step::Done)
    }
}

/// Creates one object and keeps its id.
pub struct Create {
    pub request: Rc<Vec<u8>>,
    pub created: Vec<Id>,
}

impl Journey for Create {
    async fn go(&mut self, connection: &mut Connection) -> Result<Step> {
        self.created.push(create(connection, &self.request).await?);
        Ok(Step::Done)
    }
}

/// Creates all that a connection needs, and the connection.
pub struct Chain {
    pub ike_policy: Rc<Vec<u8>>,
    pub ipsec_policy: Rc<Vec<u8>>,
    pub service: Rc<Vec<u8>>,
    /// With blanks for the service and the two policies, in this order.
    pub connection: Template,
    pub created: Vec<ChainIds>,
}

/// The four objects of one chain.
#[derive(Clone, Copy)]
pub struct ChainIds {
    pub connection: Id,
    pub service: Id,
    pub ike_policy: Id,
    pub ipsec_policy: Id,
}

impl Journey for Chain {
    async fn go(&mut self, wire: &mut Connection) -> Result<Step> {
        let ike_policy = create(wire, &self.ike_policy).await?;
        let ipsec_policy = create(wire, &self.ipsec_policy).await?;
        let service = create(wire, &self.service).await?;
        let request = self.connection.fill(&[service, ike_policy, ipsec_policy]);
        let connection = create(wire, request).await?;
        self.created.push(ChainIds { connection, service, ike_policy, ipsec_policy });
        Ok(Step::Done)
    }
}

/// Deletes objects from a stock that all clients share.
pub struct Delete {
    pub request: Template,
    pub stock: Rc<RefCell<Vec<Id>>>,
}

impl Journey for Delete {
    async fn go(&mut self, connection: &mut Connection) -> Result<Step> {
        let Some(id) = self.stock.borrow_mut().pop() else { return Ok(Step::Exhausted) };
        let answer = connection.exchange(self.request.fill(&[id])).await?;
        expect(&answer, 204)?;
        Ok(Step::Done)
    }
}

async fn create(connection: &mut Connection, request: &[u8]) -> Result<Id> {
    let answer = connection.exchange(request).await?;
    expect(&answer, 201)?;
    id_in(answer.body).context("a created object has no id")
}

fn expect(answer: &Answer<'_>, status: u16) -> Result<()> {
    ensure!(
        answer.status == status,
        "answered {} and not {status}: {}",
        answer.status,
        String::from_utf8_lossy(answer.body)
    );
    Ok(())
}
