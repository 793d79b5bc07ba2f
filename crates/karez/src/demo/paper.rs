//! What the demo prints on: headings, aligned lines, paragraphs.

use crate::text::wrapped;
use anyhow::Result;
use std::time::Duration;

/// Columns of the first part of a line.
const COLUMN: usize = 56;

/// Columns of a paragraph.
const WIDTH: usize = 96;

/// Standard output.
pub(super) struct Paper;

impl Paper {
    pub(super) fn heading(&self, text: &str) -> Result<()> {
        crate::say(&format!("\n{text}"))
    }

    /// What, and how it is.
    pub(super) fn line(&self, what: &str, how: &str) -> Result<()> {
        crate::say(&format!("    {what:<COLUMN$}  {how}"))
    }

    pub(super) fn note(&self, text: &str) -> Result<()> {
        crate::say(text)
    }

    /// Lines as they are, set off from what is before.
    pub(super) fn text(&self, lines: &[&str]) -> Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| format!("      {line}")).collect();
        crate::say(&format!("\n{}", lines.join("\n")))
    }

    /// Sentences, broken into lines.
    pub(super) fn paragraph(&self, text: &str) -> Result<()> {
        wrapped(text, WIDTH).iter().try_for_each(|line| crate::say(&format!("        {line}")))
    }
}

/// As one reads a time: `83 ms`, `1.20 s`.
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(seconds(Duration::from_millis(83)), "83 ms");
        assert_eq!(seconds(Duration::from_millis(1204)), "1.20 s");
    }
}
