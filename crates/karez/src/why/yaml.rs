//! YAML as far as `clouds.yaml` uses it: mappings, lists and texts, with anchors and merge keys. JSON is a part of it.

use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Deeper than any such file.
const DEEPEST: usize = 32;

/// A value. What is no list and no mapping is a text, also a number or a truth value.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Text(String),
    List(Vec<Rc<Self>>),
    Map(Vec<(String, Rc<Self>)>),
}

impl Node {
    /// The first document of a text; null when there is none.
    ///
    /// # Errors
    /// Names the line.
    pub(super) fn read(text: &str) -> Result<Rc<Self>> {
        let mut reader = Reader { events: Parser::new_from_str(text), anchors: BTreeMap::new() };
        loop {
            match reader.next()? {
                (Event::Nothing | Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Rc::new(Self::Null)),
                (event, span) => return reader.node(event, span, DEEPEST),
            }
        }
    }

    /// What a mapping has under a key, with hyphens and underscores alike, unless that is null.
    pub(super) fn get(&self, key: &str) -> Option<&Rc<Self>> {
        let Self::Map(entries) = self else { return None };
        let is_it = |name: &str| name == key || name.replace('-', "_") == key;
        let found = entries.iter().find(|(name, _)| is_it(name)).map(|(_, node)| node);
        found.filter(|node| ***node != Self::Null)
    }

    /// The text that a mapping has under a key, unless it is empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &**self.get(key)? {
            Self::Text(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Rc<Node>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        let next = self.events.next().ok_or_else(|| anyhow!("it ends in the middle"))?;
        next.map_err(|why| anyhow!("{why}"))
    }

    /// The node that begins with this event, at most so many levels deep.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Rc<Node>> {
        let line = span.start.line();
        let Some(depth) = depth.checked_sub(1) else {
            bail!("line {line}: it is more than {DEEPEST} levels deep")
        };
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).map(Rc::clone);
                return known.ok_or_else(|| anyhow!("line {line}: the alias stands for nothing yet"));
            }
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) if is_null(&text) => (anchor, Node::Null),
            Event::Scalar(text, _, anchor, _) => (anchor, Node::Text(text.into_owned())),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => bail!("line {line}: a value is missing"),
        };
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                (event, span) => items.push(self.node(event, span, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node> {
        let mut entries: Vec<(String, Rc<Node>)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, ..), span) => (key.into_owned(), span.start.line()),
                (_, span) => bail!("line {}: a key must be a text", span.start.line()),
            };
            let (key, line) = key;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth)?;
            if key == "<<" {
                merged.push(value);
            } else if entries.iter().any(|(known, _)| *known == key) {
                bail!("line {line}: {key} is here twice");
            } else {
                entries.push((key, value));
            }
        }
        merged.iter().for_each(|other| merge(&mut entries, other));
        Ok(Node::Map(entries))
    }
}

/// Adds what is not there yet.
fn merge(entries: &mut Vec<(String, Rc<Node>)>, other: &Node) {
    match other {
        Node::Null | Node::Text(_) => {}
        Node::List(others) => others.iter().for_each(|other| merge(entries, other)),
        Node::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(known, _)| known == key) {
                    entries.push((key.clone(), Rc::clone(value)));
                }
            }
        }
    }
}

fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_merge_keys_are_what_they_stand_for() {
        let text = "base: &base {verify: false, region-name: one}\nclouds:\n  a:\n    <<: *base\n    region_name: two\n";
        let root = Node::read(text).unwrap();
        let cloud = root.get("clouds").and_then(|clouds| clouds.get("a")).unwrap();
        assert_eq!(cloud.text("verify"), Some("false"));
        assert_eq!(cloud.text("region_name"), Some("two"));
        assert_eq!(root.get("base").unwrap().text("region_name"), Some("one"));
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, named) in [
            ("a: 1\na: 2\n", "line 2: a is here twice"),
            ("? [a]\n: 1\n", "line 1: a key must be a text"),
            ("a: [1, 2\n", "line"),
            (&"[".repeat(100), "more than 32 levels deep"),
        ] {
            let error = Node::read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_null() {
        for text in ["", "# nothing\n", "~", "---\n"] {
            assert_eq!(*Node::read(text).unwrap(), Node::Null, "{text}");
        }
        assert_eq!(Node::read("a:\nb: ''\n").unwrap().text("a"), None);
    }
}
