//! What the daemon's log says about why something failed.
//!
//! VICI's typed events tell that an SA is up or gone, and never why a negotiation failed: charon 5.9 says that in its
//! log only. So the log, which comes as events too, is read for **reasons**. It never decides a **state**: whether a
//! tunnel is up is read from the daemon's SAs. A sentence that a newer charon words differently costs an explanation,
//! not a wrong status; `tests/reasons.rs` provokes each of them with the real daemon.
//!
//! Lines about one message come from one thread of the daemon, one after the other. What a line does not say itself
//! (from whom the message was, what it offered) stands in lines before it.

use crate::vici::Message;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Something worth knowing, and about whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The connection, when the daemon knew it.
    pub(crate) connection: Option<String>,
    /// Who sent the message that it is about.
    pub(crate) peer: Option<IpAddr>,
    /// The daemon's number of the IKE SA.
    pub(crate) number: Option<u32>,
    /// The name of the child that was being negotiated in it, for what the peer answers to that; IKEv2 alone does one
    /// after the other.
    pub(crate) child: Option<String>,
    pub(crate) what: What,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A negotiation was begun, by us or by the peer.
    Begun { by_peer: bool },
    /// The IKE SA of this number is up, by negotiation or by renewal. The daemon says the latter on behalf of the IKE SA
    /// that is renewed.
    Established { number: u32 },
    /// A message was sent again; so often so far, the first time counted.
    Sent(u32),
    /// The peer has not answered to anything, and we do not send again.
    GivenUp,
    /// The peer has deleted an IKE SA.
    IkeDeleted,
    /// The peer has deleted a child SA, perhaps one that it has renewed.
    ChildDeleted,
    /// A newer negotiation of the same two ends took the place of an older one.
    Replaced,
    /// IKE proposals that do not meet: as responder both are known.
    IkeProposal(Option<Offers>),
    /// Child proposals that do not meet.
    ChildProposal(Option<Offers>),
    /// Traffic selectors that do not meet; the peer's wish, when it was it who asked.
    Selectors { wished: Option<String> },
    /// The peer's proof does not fit our key.
    WrongKey,
    /// What the peer sends cannot be decrypted: in IKEv1 that is how different keys show.
    Undecipherable,
    /// The peer does not take our proof, or does not know us.
    AuthenticationRefused,
    /// The peer says that it is `said`, and wants us to be `wished` if it says so; that is no tunnel of ours.
    Identity { said: String, wished: Option<String> },
    /// The peer has begun, and is silent since it has our proof.
    Unconfirmed,
    /// The peer speaks a version of IKE that no tunnel with it has.
    OtherVersion { exchange: String },
    /// The peer uses an exchange of IKEv1 that no tunnel with it has.
    OtherExchange,
    /// The renewal of a child SA has failed.
    RekeyFailed,
    /// The machine does not do what the daemon wants of it.
    Local(String),
}

/// Both ends' proposals, in charon's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offers {
    pub(crate) received: String,
    pub(crate) configured: String,
}

/// Reads a daemon's log.
#[derive(Default)]
pub(crate) struct Classifier {
    /// What is known about the message that a thread is busy with.
    threads: BTreeMap<u32, Context>,
    /// The child that we have asked for last in each IKE SA, by the daemon's numbers.
    asked: BTreeMap<u32, String>,
}

/// More than there are IKE SAs of one router at a time.
const ASKED: usize = 4096;

#[derive(Default)]
struct Context {
    peer: Option<IpAddr>,
    exchange: String,
    /// Whether the message was protected by an IKE SA. IKEv1 says the same things in both phases, but in the second
    /// with a hash.
    is_protected: bool,
    received: Option<String>,
    configured: Option<String>,
    /// Who the peer says that it is.
    said: Option<String>,
    /// Who the peer wants us to be.
    wished: Option<String>,
}

impl Classifier {
    /// Takes the next `log` event in.
    pub(crate) fn read(&mut self, event: &Message) -> Option<Finding> {
        let text = event.get("msg")?;
        let thread = event.number("thread").unwrap_or(0);
        // The daemon has misspelt this key for many versions.
        let number = event.number("ikesa-uniqueid").or_else(|| event.number("ikesa-uniqued"));
        if let (Some(rest), Some(number)) = (text.strip_prefix("establishing CHILD_SA "), number) {
            self.ask(number, rest.split('{').next().unwrap_or_default());
            return None;
        }
        let context = self.threads.entry(thread).or_default();
        let what = context.read(text)?;
        let is_answer = matches!(what, What::Selectors { wished: None } | What::ChildProposal(None));
        let asked = number.filter(|_| is_answer).and_then(|number| self.asked.get(&number));
        let connection = event.get("ikesa-name").filter(|name| name.contains('.')).map(str::to_owned);
        Some(Finding { connection, peer: context.peer, number, child: asked.cloned(), what })
    }

    fn ask(&mut self, number: u32, child: &str) {
        self.asked.insert(number, child.to_owned());
        if self.asked.len() > ASKED {
            // The oldest have the lowest numbers.
            self.asked.pop_first();
        }
    }
}

impl Context {
    fn read(&mut self, text: &str) -> Option<What> {
        if let Some(rest) = text.strip_prefix("received packet: from ") {
            *self = Self { peer: address(rest), ..Self::default() };
            return None;
        }
        if let Some(rest) = text.strip_prefix("parsed ") {
            self.exchange = rest.split(' ').next().unwrap_or_default().to_owned();
            self.is_protected = rest.contains("[ HASH");
            return None;
        }
        if text.starts_with("authentication of '") && text.ends_with(" successful") {
            self.said = quoted(text);
            return None;
        }
        if let Some(rest) = text.strip_prefix("received proposals: ") {
            self.received = Some(rest.to_owned());
            return None;
        }
        if let Some(rest) = text.strip_prefix("configured proposals: ") {
            self.configured = Some(rest.to_owned());
            return None;
        }
        if text.starts_with("looking for ") && text.contains("peer configs matching ") {
            self.said = bracketed(text);
            self.wished = text.split_once("...").and_then(|(own, _)| bracketed(own));
            return None;
        }
        if text.starts_with("vici ") {
            // What we ask is about no message of anybody.
            *self = Self::default();
            return None;
        }
        self.conclude(text)
    }

    /// The table of sentences. Those in quotes are charon's own, from its sources.
    fn conclude(&mut self, text: &str) -> Option<What> {
        let starts = |prefix: &str| text.starts_with(prefix);
        let has = |part: &str| text.contains(part);
        Some(match text {
            _ if starts("initiating IKE_SA ")
                || starts("initiating Main Mode ")
                || starts("initiating Aggressive Mode ") =>
            {
                What::Begun { by_peer: false }
            }
            _ if has(" is initiating an IKE_SA")
                || has(" is initiating a Main Mode")
                || has(" is initiating a Aggressive Mode") =>
            {
                What::Begun { by_peer: true }
            }
            _ if starts("IKE_SA ") && (has(" established between ") || has(" rekeyed between ")) => {
                What::Established { number: subscript(text)? }
            }
            // Only the answer in aggressive mode is sent again: a peer that does not like it mostly stays silent.
            _ if starts("sending retransmit ") && has(" of response ") => What::Unconfirmed,
            _ if starts("retransmit ") || starts("sending retransmit ") => What::Sent(1 + number(text)?),
            _ if starts("giving up after ") => What::GivenUp,
            _ if starts("DPD check timed out") => What::GivenUp,
            _ if starts("received DELETE for IKE_SA ") => What::IkeDeleted,
            _ if starts("received DELETE for ") && has("CHILD_SA") => What::ChildDeleted,
            _ if starts("deleting duplicate IKE_SA") || starts("destroying duplicate IKE_SA") => {
                What::Replaced
            }

            "received proposals unacceptable" | "no proposal found" => What::IkeProposal(self.offers()),
            "no acceptable proposal found" => What::ChildProposal(self.offers()),
            _ if starts("no matching proposal found, sending NO_PROPOSAL_CHOSEN") => {
                What::ChildProposal(self.offers())
            }
            "received NO_PROPOSAL_CHOSEN notify error" => What::IkeProposal(None),
            "received NO_PROPOSAL_CHOSEN error notify" if self.is_protected => What::ChildProposal(None),
            "received NO_PROPOSAL_CHOSEN error notify" => What::IkeProposal(None),
            "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built" => What::ChildProposal(None),

            _ if starts("traffic selectors ") && has(" unacceptable") => {
                What::Selectors { wished: wish(text, "traffic selectors ") }
            }
            _ if starts("no matching CHILD_SA config found for ") => {
                // IKEv1 names the initiator's first, which is the peer's.
                let wished = wish(text, "no matching CHILD_SA config found for ");
                What::Selectors { wished: wished.map(|wished| exchanged(&wished)) }
            }
            "received TS_UNACCEPTABLE notify, no CHILD_SA built" => What::Selectors { wished: None },
            "received INVALID_ID_INFORMATION error notify" => What::Selectors { wished: None },

            _ if starts("tried ") && has(" shared key") && has("MAC mismatched") => What::WrongKey,
            _ if starts("no shared key found for ") => What::WrongKey,
            "calculated HASH does not match HASH payload" => What::WrongKey,
            _ if has("decryption failed?") => What::Undecipherable,
            "received PAYLOAD_MALFORMED error notify" => What::Undecipherable,
            "received AUTHENTICATION_FAILED notify error" | "received AUTHENTICATION_FAILED error notify" => {
                What::AuthenticationRefused
            }

            "no matching peer config found" | "no peer config found" => self.identity(),
            _ if starts("constraint check failed: identity ") => self.identity(),
            _ if starts("IDir ") && has(" does not match to ") => {
                What::Identity { said: quoted(text).unwrap_or_default(), wished: None }
            }

            _ if starts("no IKE config found for ") => What::OtherVersion { exchange: self.exchange.clone() },
            _ if starts("found ") && has(" matching config") && has("but none allows") => What::OtherExchange,

            _ if starts("CHILD_SA rekeying failed") || starts("failed to establish rekeyed CHILD_SA") => {
                What::RekeyFailed
            }
            _ if starts("unable to install ")
                || starts("unable to add ")
                || starts("algorithm ") && has("not supported by kernel") =>
            {
                What::Local(text.to_owned())
            }
            _ if starts("error writing to socket: ") => What::Local(text.to_owned()),
            _ => return None,
        })
    }

    fn identity(&self) -> What {
        What::Identity { said: self.said.clone().unwrap_or_default(), wished: self.wished.clone() }
    }

    fn offers(&mut self) -> Option<Offers> {
        Some(Offers { received: self.received.take()?, configured: self.configured.take()? })
    }
}

/// The address at the beginning of `192.0.2.1[500] to …`.
fn address(text: &str) -> Option<IpAddr> {
    text.split('[').next()?.parse().ok()
}

/// The first number in a sentence.
fn number(text: &str) -> Option<u32> {
    text.split(|character: char| !character.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

/// The number in the first brackets, as in `name[7] …`.
fn subscript(text: &str) -> Option<u32> {
    text.split_once('[')?.1.split(']').next()?.parse().ok()
}

/// The identity in the last brackets of `…192.0.2.1[vpn.example.org]`.
fn bracketed(text: &str) -> Option<String> {
    let (_, rest) = text.rsplit_once('[')?;
    Some(rest.trim_end_matches(']').to_owned())
}

/// What stands in the first single quotes.
fn quoted(text: &str) -> Option<String> {
    text.split('\'').nth(1).map(str::to_owned)
}

/// The selectors of a sentence, as `ours === theirs`.
fn wish(text: &str, prefix: &str) -> Option<String> {
    Some(text.strip_prefix(prefix)?.trim_end_matches(" unacceptable").to_owned())
}

/// Both sides of `… === …`, the other way round.
fn exchanged(selectors: &str) -> String {
    match selectors.split_once(" === ") {
        Some((one, other)) => format!("{other} === {one}"),
        None => selectors.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Classifier, Finding, Offers, What};
    use crate::vici::Message;

    fn line(thread: u32, text: &str) -> Message {
        Message::new()
            .text("group", "IKE")
            .text("level", "1")
            .text("thread", thread.to_string())
            .text("msg", text)
    }

    fn read(lines: &[(u32, &str)]) -> Vec<Finding> {
        let mut classifier = Classifier::default();
        lines.iter().filter_map(|(thread, text)| classifier.read(&line(*thread, text))).collect()
    }

    #[test]
    fn lines_of_two_threads_are_kept_apart() {
        let found = read(&[
            (7, "received packet: from 192.0.2.1[500] to 192.0.2.9[500] (464 bytes)"),
            (8, "received packet: from 2001:db8::2[500] to 2001:db8::9[500] (464 bytes)"),
            (7, "parsed IKE_SA_INIT request 0 [ SA KE No ]"),
            (8, "parsed ID_PROT request 0 [ SA V V ]"),
            (7, "received proposals: IKE:AES_CBC_256/MODP_2048"),
            (8, "no IKE config found for 2001:db8::9...2001:db8::2, sending NO_PROPOSAL_CHOSEN"),
            (7, "configured proposals: IKE:AES_CBC_128/MODP_2048"),
            (7, "received proposals unacceptable"),
        ]);
        let offers = Offers {
            received: "IKE:AES_CBC_256/MODP_2048".into(),
            configured: "IKE:AES_CBC_128/MODP_2048".into(),
        };
        assert_eq!(found[0].what, What::OtherVersion { exchange: "ID_PROT".into() });
        assert_eq!(found[0].peer, "2001:db8::2".parse().ok());
        assert_eq!(found[1].what, What::IkeProposal(Some(offers)));
        assert_eq!(found[1].peer, "192.0.2.1".parse().ok());
    }

    #[test]
    fn an_answer_is_about_the_child_that_was_asked_for_last_in_its_ike_sa() {
        let mut classifier = Classifier::default();
        let mut read = |thread, number: u32, text| {
            classifier.read(&line(thread, text).text("ikesa-uniqueid", number.to_string()))
        };
        assert_eq!(read(1, 7, "establishing CHILD_SA one.0{3}"), None);
        assert_eq!(read(2, 8, "establishing CHILD_SA other.0{4} reqid 1"), None);
        assert_eq!(read(1, 7, "establishing CHILD_SA two.0{5}"), None);
        let answered = |found: Option<Finding>| found.and_then(|found| found.child);
        let refusal = "received TS_UNACCEPTABLE notify, no CHILD_SA built";
        assert_eq!(answered(read(3, 7, refusal)).as_deref(), Some("two.0"));
        assert_eq!(answered(read(3, 8, refusal)).as_deref(), Some("other.0"));
        assert_eq!(answered(read(3, 9, refusal)), None);
        assert_eq!(answered(read(3, 7, "received DELETE for IKE_SA a.b[7]")), None);
    }

    #[test]
    fn a_refusal_of_phase_2_is_none_of_phase_1() {
        let found = read(&[
            (1, "parsed INFORMATIONAL_V1 request 1 [ N(NO_PROP) ]"),
            (1, "received NO_PROPOSAL_CHOSEN error notify"),
            (1, "parsed INFORMATIONAL_V1 request 2 [ HASH N(NO_PROP) ]"),
            (1, "received NO_PROPOSAL_CHOSEN error notify"),
        ]);
        assert_eq!(found[0].what, What::IkeProposal(None));
        assert_eq!(found[1].what, What::ChildProposal(None));
    }

    #[test]
    fn who_the_peer_says_that_it_is_stands_in_the_line_before() {
        let found = read(&[
            (1, "looking for peer configs matching 192.0.2.9[192.0.2.9]...192.0.2.1[foo]"),
            (1, "no matching peer config found"),
        ]);
        assert_eq!(found[0].what, What::Identity { said: "foo".into(), wished: Some("192.0.2.9".into()) });
    }

    #[test]
    fn what_a_peer_wishes_is_told_from_our_side_in_both_versions() {
        let found = read(&[
            (1, "traffic selectors 10.1.0.0/24 === 10.2.0.0/24 unacceptable"),
            (1, "no matching CHILD_SA config found for 10.2.0.0/24 === 10.1.0.0/24"),
        ]);
        let wished = What::Selectors { wished: Some("10.1.0.0/24 === 10.2.0.0/24".into()) };
        assert_eq!([&found[0].what, &found[1].what], [&wished, &wished]);
    }

    #[test]
    fn a_renewal_says_which_one_is_up_now() {
        let found = read(&[
            (1, "IKE_SA karez.0.0[1] established between 192.0.2.1[a]...192.0.2.2[b]"),
            (1, "IKE_SA karez.0.0[3] rekeyed between 192.0.2.1[a]...192.0.2.2[b]"),
        ]);
        assert_eq!(found[0].what, What::Established { number: 1 });
        assert_eq!(found[1].what, What::Established { number: 3 });
    }

    #[test]
    fn retransmits_count_the_first_time_too() {
        let found = read(&[
            (1, "retransmit 2 of request with message ID 0"),
            (1, "sending retransmit 1 of request message ID 0, seq 3"),
        ]);
        assert_eq!(found[0].what, What::Sent(3));
        assert_eq!(found[1].what, What::Sent(2));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        assert!(read(&[(1, "assigning virtual IP"), (1, "")]).is_empty());
    }
}
