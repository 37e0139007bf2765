//! What was found out about single objects, for who compiles again and again: ten thousand rules are not read anew because one
//! of them is another.
//!
//! An object never changes; another version is another one. So what a pure function says of it and of the [`Defaults`] holds for
//! as long as its `Arc` is the same. What depends on more than that keeps with its answer what it went by, and asks whether that
//! is still so, as the rules of an Ingress do.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{Defaults, Finding, Object, kinds};

/// Answers about objects, one of each type. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Memo {
    answers: Rc<RefCell<HashMap<(*const Object, TypeId), Answer>>>,
    /// What all answers go by.
    defaults: Rc<RefCell<Defaults>>,
    round: Rc<Cell<u64>>,
}

struct Answer {
    /// Keeps the address from becoming another object's.
    _object: Arc<Object>,
    answer: Rc<dyn Any>,
    /// The round in which somebody asked last.
    asked: u64,
}

/// An object as the wire type of its kind, with what is to be said of it.
struct Reading<T> {
    value: Option<Rc<T>>,
    findings: Vec<Finding>,
}

/// Rounds after which an answer that nobody asks for is forgotten. Files and what is stored of them, or an object and its last
/// good version, take turns.
const ROUNDS: u64 = 4;

// === impl Memo ===

impl Memo {
    /// Begins to compile once more.
    pub(super) fn begin(&self, defaults: &Defaults) {
        let round = self.round.get() + 1;
        self.round.set(round);
        let mut answers = self.answers.borrow_mut();
        if *self.defaults.borrow() == *defaults {
            answers.retain(|_, answer| answer.asked + ROUNDS >= round);
        } else {
            answers.clear();
            self.defaults.borrow_mut().clone_from(defaults);
        }
    }

    /// What is known of an object, found out where nobody has yet.
    pub(crate) fn about<T: 'static>(&self, object: &Arc<Object>, find_out: impl FnOnce() -> T) -> Rc<T> {
        let key = (Arc::as_ptr(object), TypeId::of::<T>());
        let asked = self.round.get();
        let known = self.answers.borrow_mut().get_mut(&key).map(|known| {
            known.asked = asked;
            Rc::clone(&known.answer)
        });
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return known;
        }
        let found = Rc::new(find_out());
        let answer = Answer { _object: Arc::clone(object), answer: Rc::clone(&found) as Rc<dyn Any>, asked };
        self.answers.borrow_mut().insert(key, answer);
        found
    }

    /// An object as [`kinds::read`] reads it.
    pub(crate) fn read<T: DeserializeOwned + 'static>(
        &self,
        object: &Arc<Object>,
        findings: &mut Vec<Finding>,
    ) -> Option<Rc<T>> {
        let reading = self.reading(object);
        findings.extend(reading.findings.iter().cloned());
        reading.value.clone().filter(|_| !reading.findings.iter().any(Finding::is_error))
    }

    /// An object as [`kinds::read_anyway`] reads it, for who does not tell what is wrong with it.
    pub(crate) fn read_anyway<T: DeserializeOwned + 'static>(&self, object: &Arc<Object>) -> Option<Rc<T>> {
        self.reading(object).value.clone()
    }

    fn reading<T: DeserializeOwned + 'static>(&self, object: &Arc<Object>) -> Rc<Reading<T>> {
        self.about(object, || {
            let mut findings = Vec::new();
            let value = kinds::read_anyway(object, &mut findings).map(Rc::new);
            Reading { value, findings }
        })
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers", self.answers.borrow().len())
    }
}

#[cfg(test)]
mod tests;
