//! Reads an operator's policy rules: a file in the format of oslo.policy, a mapping of rule names
//! to rules in YAML, of which JSON is a part.

use karez_model::policy::Policy;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::path::Path;

/// The built-in rules, those of `base` in their place, and those of a file in the place of both.
///
/// # Errors
/// Names the file and the line or the rule that is wrong, and what is expected.
pub fn load(path: &Path, base: &[(&str, &str)]) -> Result<Policy, String> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|why| format!("policy file {place}: {why}"))?;
    let rules = rules(&text).map_err(|why| format!("policy file {place}: {why}"))?;
    let pairs = rules.iter().map(|(name, rule)| (name.as_str(), rule.as_str()));
    Policy::new(base.iter().copied().chain(pairs)).map_err(|why| format!("policy file {place}: {why}"))
}

/// What a policy file may hold at this point.
enum Expected {
    Mapping,
    Name,
    Rule { name: String },
    End,
}

fn rules(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut rules: Vec<(String, String)> = Vec::new();
    let mut expected = Expected::Mapping;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|why| why.to_string())?;
        expected = match (expected, event) {
            (
                expected,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd,
            ) => expected,
            // A file of comments only is an empty document, or one empty value.
            (Expected::Mapping, Event::Scalar(value, ScalarStyle::Plain, ..)) if is_null(&value) => {
                Expected::End
            }
            (Expected::Mapping, Event::MappingStart(..)) => Expected::Name,
            (Expected::Name, Event::MappingEnd) => Expected::End,
            (Expected::Name, Event::Scalar(name, ..)) => {
                if rules.iter().any(|(known, _)| *known == name) {
                    return Err(format!("line {}: the rule {name} is here twice", line(span)));
                }
                Expected::Rule { name: name.into_owned() }
            }
            (Expected::Rule { name }, Event::Scalar(rule, style, ..)) => {
                if style == ScalarStyle::Plain && is_null(&rule) {
                    return Err(format!(
                        "line {}: the rule {name} is empty; write \"\" for a rule that always holds, \"!\" for one \
                         that never does",
                        line(span)
                    ));
                }
                rules.push((name, rule.into_owned()));
                Expected::Name
            }
            (Expected::Rule { name }, _) => {
                return Err(format!(
                    "line {}: the rule {name} must be a text such as \"role:admin\"",
                    line(span)
                ));
            }
            (Expected::Mapping | Expected::Name | Expected::End, _) => {
                return Err(format!(
                    "line {}: the file must be one mapping of rule names to rules",
                    line(span)
                ));
            }
        };
    }
    Ok(rules)
}

fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

fn line(span: Span) -> usize {
    span.start.line()
}

#[cfg(test)]
mod tests;
