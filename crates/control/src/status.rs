//! Statuses: what an agent's reports do to them, and what is known when there is no agent.

mod attendance;
mod report;
mod shown;
mod unattended;

pub use shown::{ConnectionStatus, Tunnel};

use crate::Failure;
use karez_engine::{Reason, TunnelState};
use karez_model::{Kind, Object};
use karez_store::Tx;

/// The status of a VPN service or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known yet.
    PendingCreate,
    /// It works.
    Active,
    /// It does not work.
    Down,
    /// It cannot work as it is.
    Error,
}

impl Status {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingCreate => "PENDING_CREATE",
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
            Self::Error => "ERROR",
        }
    }

    /// Of an object as it is stored.
    fn of(object: &Object) -> Self {
        match object.text("status") {
            "PENDING_CREATE" => Self::PendingCreate,
            "ACTIVE" => Self::Active,
            "ERROR" => Self::Error,
            _ => Self::Down,
        }
    }

    /// What a tunnel in this state makes of a connection. A new one stays pending until something is
    /// known; one that has been up or down before is not pending again.
    fn of_tunnel(state: TunnelState, before: Self) -> Self {
        match (state, before) {
            (TunnelState::Pending, Self::PendingCreate) => Self::PendingCreate,
            (TunnelState::Pending | TunnelState::Down, _) => Self::Down,
            (TunnelState::Up, _) => Self::Active,
            (TunnelState::Error, _) => Self::Error,
        }
    }
}

/// Writes a status with its reason; nothing is written when all of it is so already. True when
/// something was.
fn settle(
    tx: &mut Tx<'_>,
    kind: Kind,
    id: &str,
    decide: impl FnOnce(&Object) -> Option<(Status, Option<Reason>)>,
) -> Result<bool, Failure> {
    let Some(stored) = tx.lock(kind, id)? else { return Ok(false) };
    let Some((status, reason)) = decide(&stored.object) else { return Ok(false) };
    let mut object = stored.object.clone();
    object.set("status", status.as_str());
    object.set("status_reason", reason.as_ref().map(|reason| reason.code.to_string()));
    // PostgreSQL has no texts with NUL.
    object.set("status_detail", reason.map(|reason| reason.message.replace('\0', "")));
    if object == stored.object {
        return Ok(false);
    }
    tx.update(object)?;
    Ok(true)
}
