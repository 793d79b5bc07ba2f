//! Objects that the clients know of.

use super::super::project::{Answer, text};
use crate::support::dice::Dice;
use anyhow::ensure;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects that exist, as far as the clients know.
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + PartialEq> Pool<T> {
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn pick(&self, dice: &mut Dice) -> Option<T> {
        let objects = self.lock();
        (!objects.is_empty()).then(|| dice.one_of(&objects).clone())
    }

    pub fn add(&self, object: T) {
        self.lock().push(object);
    }

    pub fn remove(&self, object: &T) {
        self.lock().retain(|other| other != object);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool<String> {
    pub fn add_created(&self, answer: Answer) -> anyhow::Result<()> {
        if let Some(object) = answer.done() {
            let id = text(&object, "id")?.to_owned();
            ensure!(!self.lock().contains(&id), "the id {id} was given twice");
            self.add(id);
        }
        Ok(())
    }
}
