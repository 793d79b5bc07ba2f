//! What was learned about why a tunnel is not up, and which of it to show.

use crate::{Code, Reason};

/// A better reason stays this long although weaker ones come in, microseconds. Longer than the longest pause between
/// two attempts, so that what is shown does not flicker between the two.
const STANDS: i64 = 90_000_000;

/// The same event is told at most this often, microseconds.
const PAUSE: i64 = 60_000_000;

/// What was learned this long before a tunnel went down may be the cause, microseconds.
const CAUSE: i64 = 30_000_000;

/// Different events that are remembered, to tell a repetition.
const REMEMBERED: usize = 8;

/// The best reason so far, and the last things that were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasons {
    best: Option<(Reason, i64)>,
    told: Vec<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    code: Option<Code>,
    message: String,
    at: i64,
    /// How often it came since.
    again: u32,
}

impl Reasons {
    pub(super) fn best(&self) -> Option<&Reason> {
        self.best.as_ref().map(|(reason, _)| reason)
    }

    /// Takes a reason in. One that says more stays for a while; of two that say the same, the one that knows what the
    /// peer wanted stays.
    pub(super) fn learn(&mut self, reason: Reason, now: i64) {
        if let Some((best, at)) = &mut self.best {
            let is_fresh = now.saturating_sub(*at) < STANDS;
            // What a peer wanted in an IKE SA that is lost with it is not what keeps the tunnel down now.
            let is_past = best.code == Code::SelectorMismatch && reason.code == Code::PeerLost;
            if is_fresh && !is_past && weight(best) > weight(&reason) {
                if best.code == reason.code {
                    *at = now;
                }
                return;
            }
        }
        self.best = Some((reason, now));
    }

    /// A tunnel has just gone down: what was learned long ago is not the cause.
    pub(super) fn forget_old(&mut self, now: i64) {
        if self.best.as_ref().is_some_and(|(_, at)| now.saturating_sub(*at) > CAUSE) {
            self.best = None;
        }
    }

    pub(super) fn forget(&mut self, code: Code) {
        self.best.take_if(|(best, _)| best.code == code);
    }

    /// The message of an event, unless the same was told a moment ago.
    pub(super) fn worth_an_event(&mut self, code: Option<Code>, message: &str, now: i64) -> Option<String> {
        let known = self.told.iter_mut().find(|told| told.code == code && told.message == message);
        let Some(told) = known else {
            if self.told.len() == REMEMBERED {
                self.told.remove(0);
            }
            self.told.push(Told { code, message: message.to_owned(), at: now, again: 0 });
            return Some(message.to_owned());
        };
        if now.saturating_sub(told.at) < PAUSE {
            told.again = told.again.saturating_add(1);
            return None;
        }
        told.at = now;
        match std::mem::take(&mut told.again) {
            0 => Some(message.to_owned()),
            times => Some(format!("{message} (and {times} times before)")),
        }
    }
}

/// Whether this says that the tunnel cannot come up as things are.
pub(super) const fn is_definite(code: Code) -> bool {
    rank(code) >= 3
}

/// Whether this is a refusal that does not say what the peer wants.
pub(super) fn is_bare_refusal(reason: &Reason) -> bool {
    matches!(reason.code, Code::ProposalMismatch | Code::SelectorMismatch)
        && !reason.evidence.contains_key("theirs")
}

/// How much a reason says: first by its code, then by whether the peer's side of it is known.
fn weight(reason: &Reason) -> (u8, bool) {
    (rank(reason.code), reason.evidence.contains_key("theirs"))
}

/// How much a code says. A different version looks like a refused proposal from the other side, and a different
/// identity like failed authentication; so whoever saw the former knows more.
const fn rank(code: Code) -> u8 {
    match code {
        Code::VersionMismatch | Code::IdentityMismatch => 4,
        Code::ProposalMismatch
        | Code::SelectorMismatch
        | Code::AuthenticationFailed
        | Code::PeerNotResolved
        | Code::Unsupported
        | Code::LocalError => 3,
        Code::PeerUnreachable | Code::PeerDeleted | Code::PeerLost | Code::RekeyFailed => 2,
        Code::Negotiating
        | Code::WaitingForPeer
        | Code::NoAgent
        | Code::AgentLost
        | Code::AdminDown
        | Code::Narrowed => 1,
    }
}
