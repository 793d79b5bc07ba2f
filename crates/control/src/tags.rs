//! Tags: short texts by which people find objects again.

use crate::context::{Context, not_authorized};
use crate::{Control, Failure};
use karez_model::parse::clip;
use karez_model::{Caller, Fault, Kind, Object, Reason};
use serde_json::Value as Json;
use std::sync::Arc;

/// Neutron's bounds.
const MOST: usize = 50;
const LONGEST: usize = 255;

impl Control {
    /// Changes the tags of an object by what `edit` makes of them, and returns them.
    ///
    /// # Errors
    /// The kind's "not found", policy, or what `edit` refuses.
    pub async fn edit_tags(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        id: &str,
        edit: impl Fn(Vec<String>) -> Result<Vec<String>, Fault> + Send + 'static,
    ) -> Result<Vec<String>, Failure> {
        let id = id.to_owned();
        self.writing(caller, move |context| {
            let object = writable(context, kind, &id)?;
            let old: Vec<String> = object.texts("tags").map(str::to_owned).collect();
            let mut new: Vec<String> = Vec::with_capacity(old.len());
            for tag in edit(old.clone())? {
                check(&tag)?;
                if !new.contains(&tag) {
                    new.push(tag);
                }
            }
            if new.len() > MOST {
                return Err(
                    Fault::bad_request(format!("{} tags; at most {MOST} are allowed", new.len())).into()
                );
            }
            if new != old {
                let mut changed = object;
                changed.set("tags", Json::from(new.clone()));
                context.tx.update(changed)?;
            }
            Ok(new)
        })
        .await
    }
}

/// There is no such tag on the object.
#[must_use]
pub fn missing(tag: &str) -> Fault {
    Fault::new(Reason::TagNotFound, format!("The object does not have the tag '{}'", clip(tag)))
}

fn writable(context: &mut Context<'_, '_>, kind: Kind, id: &str) -> Result<Object, Failure> {
    let object = context.visible_locked(kind, id)?.object.clone();
    let rule = format!("update_{}", kind.resource().member);
    if context.allows(&rule, &object)? { Ok(object) } else { Err(not_authorized(&rule)) }
}

fn check(tag: &str) -> Result<(), Failure> {
    let length = tag.chars().count();
    if (1..=LONGEST).contains(&length) && !tag.contains(['\0', ',']) {
        return Ok(());
    }
    let message = format!("'{}' is no tag: 1 to {LONGEST} characters without comma or U+0000 are", clip(tag));
    Err(Fault::bad_request(message).into())
}
