//! Which objects of a collection a caller asks for.

use super::attributes::{Attribute, Constant, Kind, Type};
use crate::embedded::call::Call;
use crate::embedded::error::Error;
use karez_model::parse::clip;
use karez_store::Datum;
use serde_json::Value as Json;

/// A condition on the columns, with its parameters.
pub(super) struct Filter {
    pub condition: String,
    pub params: Vec<Datum>,
}

impl Filter {
    pub(super) fn of(kind: &Kind, call: &Call) -> Result<Self, Error> {
        let mut filter = Self { condition: "1 = 1".to_owned(), params: Vec::new() };
        for Attribute { name, ty } in kind.attributes {
            let Some(wanted) = call.query(name) else { continue };
            match ty {
                Type::Name(_) => filter.equals(name, wanted.into()),
                Type::Truth => filter.equals(name, truth(name, wanted)?.into()),
                Type::Always(constant) => {
                    let is_so = match constant {
                        Constant::Null => wanted.is_empty(),
                        Constant::False => !truth(name, wanted)?,
                        Constant::Text(text) => wanted == *text,
                    };
                    if !is_so {
                        filter.condition.push_str(" AND 1 = 0");
                    }
                }
                Type::Text(_) | Type::Nullable(_) | Type::Tags | Type::Options | Type::Password => {}
            }
        }
        Ok(filter)
    }

    fn equals(&mut self, column: &str, value: Datum) {
        self.params.push(value);
        self.condition.push_str(&format!(" AND {column} = ${}", self.params.len()));
    }
}

fn truth(name: &str, text: &str) -> Result<bool, Error> {
    karez_model::parse::boolean(&text.into()).ok_or_else(|| {
        Error::BadRequest(format!("{name}: {:?} is not allowed; it must be true or false.", clip(text)))
    })
}

/// The filters `tags`, `tags-any`, `not-tags` and `not-tags-any`, each a list with commas.
pub(super) fn has_tags(item: &Json, call: &Call) -> bool {
    let tags: Vec<&str> = item["tags"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let asked = |name: &str| call.query(name).map(|list| list.split(',').map(|tag| tags.contains(&tag)));
    asked("tags").is_none_or(|mut has| has.all(|has| has))
        && asked("tags-any").is_none_or(|mut has| has.any(|has| has))
        && asked("not-tags").is_none_or(|mut has| !has.all(|has| has))
        && asked("not-tags-any").is_none_or(|mut has| !has.any(|has| has))
}
