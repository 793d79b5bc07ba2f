//! Pings: what was sent, what came back, what did not and when.

mod pinger;

use crate::Error;
use std::path::Path;
use std::time::Duration;

pub use pinger::Pinger;

/// What `ping` has to say at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pings {
    /// Sent.
    pub sent: u32,
    /// Answered.
    pub received: u32,
    /// Those without an answer, in order.
    pub lost: Vec<Lost>,
    /// The middle one of the round-trip times.
    pub median: Option<Duration>,
}

/// A ping that was not answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lost {
    /// Its number, from 1.
    pub number: u32,
    /// When it was sent, after the first one; from the answers before and after it.
    pub at: Duration,
}

impl Pings {
    /// What `ping -n -D` wrote into `BASE.out`.
    pub(crate) fn read(base: &Path) -> Result<Self, Error> {
        let out = base.with_extension("out");
        let text = std::fs::read_to_string(&out).map_err(Error::file("read", &out))?;
        let words = crate::process::tail(&base.with_extension("log"), 5);
        parse(&text).ok_or_else(|| Error::Unexpected(format!("ping did not do its work: {words}")))
    }

    /// Without the last one, when all but that one were answered.
    pub(crate) fn without_undecided_last(mut self) -> Self {
        if self.received > 0
            && self.received + 1 == self.sent
            && self.lost.last().is_some_and(|lost| lost.number == self.sent)
        {
            self.sent = self.received;
            self.lost.clear();
        }
        self
    }

    /// Whether every one was answered, and there was one at all.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.sent > 0 && self.lost.is_empty()
    }

    /// Whether nothing is missing but now and then a single one, at most one in a hundred: no more than may happen
    /// without a cause. Whatever interrupts traffic takes some in a row, when they are sent close together.
    #[must_use]
    pub fn were_not_interrupted(&self) -> bool {
        let few = self.sent.div_ceil(100) as usize;
        let is_alone = |pair: &[Lost]| pair[0].number + 1 < pair[1].number;
        self.received > 0 && self.lost.len() <= few && self.lost.windows(2).all(is_alone)
    }

    /// In a few words: `50 of 50 answered, 0.61 ms`.
    #[must_use]
    pub fn summary(&self) -> String {
        let median = self.median.map(|time| format!(", round trip {:.2} ms", time.as_secs_f64() * 1000.0));
        format!("{} of {} answered{}", self.received, self.sent, median.unwrap_or_default())
    }
}

/// An answer.
struct Answer {
    number: u32,
    /// Seconds since 1970 at which it came.
    came: f64,
    seconds: f64,
}

fn parse(text: &str) -> Option<Pings> {
    let mut answers: Vec<Answer> = Vec::new();
    for line in text.lines() {
        let last = answers.last().map_or(0, |answer| answer.number);
        answers.extend(answer(line, last));
    }
    // One that came twice was answered.
    answers.sort_by_key(|answer| answer.number);
    answers.dedup_by_key(|answer| answer.number);
    let statistics = text.lines().find(|line| line.contains(" packets transmitted"))?;
    let sent = statistics.split(' ').next()?.parse().ok()?;
    let received = u32::try_from(answers.len()).ok()?;
    let mut times: Vec<f64> = answers.iter().map(|answer| answer.seconds).collect();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).map(|seconds| Duration::from_secs_f64(*seconds));
    Some(Pings { sent, received, lost: lost(&answers, sent), median })
}

/// One line: `[1795406921.007426] 64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.264 ms`.
fn answer(line: &str, last: u32) -> Option<Answer> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name));
    if !rest.contains(" bytes from ") {
        return None;
    }
    let number = field("icmp_seq=")?.parse().ok()?;
    let milliseconds: f64 = field("time=")?.parse().ok()?;
    Some(Answer {
        number: unwrapped(number, last),
        came: stamp.parse().ok()?,
        seconds: milliseconds / 1000.0,
    })
}

/// On the wire the number has 16 bits. Nothing comes half a round late.
fn unwrapped(number: u32, last: u32) -> u32 {
    const ROUND: u32 = 1 << 16;
    let same_round = last / ROUND * ROUND + number % ROUND;
    if same_round + ROUND / 2 < last {
        same_round + ROUND
    } else if same_round > last + ROUND / 2 && same_round >= ROUND {
        same_round - ROUND
    } else {
        same_round
    }
}

/// The numbers that are missing, with the time at which each was sent: pings leave at even distances, so it lies
/// between those of its neighbours that were answered.
fn lost(answers: &[Answer], sent: u32) -> Vec<Lost> {
    let sending = |answer: &Answer| answer.came - answer.seconds;
    let (Some(first), Some(last)) = (answers.first(), answers.last()) else {
        return (1..=sent).map(|number| Lost { number, at: Duration::ZERO }).collect();
    };
    let pace_between = |one: &Answer, other: &Answer| match other.number.saturating_sub(one.number) {
        0 => 0.0,
        steps => (sending(other) - sending(one)) / f64::from(steps),
    };
    let mut lost = Vec::new();
    let mut answered = answers.iter().peekable();
    let mut before = first;
    for number in 1..=sent {
        match answered.next_if(|answer| answer.number == number) {
            Some(answer) => before = answer,
            None => {
                let pace = match answered.peek() {
                    Some(next) => pace_between(before, next),
                    None => pace_between(first, last),
                };
                let steps = f64::from(number) - f64::from(before.number);
                let at = sending(before) + pace * steps - sending(first);
                lost.push(Lost { number, at: Duration::from_secs_f64(at.max(0.0)) });
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests;
