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

use plan::ObjectRef;
use serde::de::DeserializeOwned;

use crate::{Defaults, Finding, Object, kinds};

/// Answers about objects, one of each type. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Memo {
    answers: Rc<RefCell<HashMap<(*const Object, TypeId), Answer>>>,
    /// The version of an object that somebody asked about last.
    latest: Rc<RefCell<HashMap<(ObjectRef, TypeId), *const Object>>>,
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

/// In how many rounds an answer has to be asked for once. An object that is broken and its last good version take turns.
const ROUNDS: u64 = 3;

// === impl Memo ===

impl Memo {
    /// Begins to compile once more.
    pub(super) fn begin(&self, defaults: &Defaults) {
        self.round.set(self.round.get() + 1);
        if *self.defaults.borrow() != *defaults {
            self.answers.borrow_mut().clear();
            self.latest.borrow_mut().clear();
            self.defaults.borrow_mut().clone_from(defaults);
        }
    }

    /// Forgets what nobody asks for any more.
    pub(super) fn end(&self) {
        let mut answers = self.answers.borrow_mut();
        answers.retain(|_, answer| answer.asked + ROUNDS > self.round.get());
        self.latest.borrow_mut().retain(|(_, answer), object| answers.contains_key(&(*object, *answer)));
    }

    /// What is known of an object, found out where nobody has yet.
    pub(crate) fn about<T: 'static>(&self, object: &Arc<Object>, find_out: impl FnOnce() -> T) -> Rc<T> {
        self.known(Arc::as_ptr(object)).unwrap_or_else(|| self.keep(object, find_out()))
    }

    /// The same where what is known of the version before is of use.
    pub(crate) fn about_version<T: 'static>(
        &self,
        object: &Arc<Object>,
        find_out: impl FnOnce(Option<Rc<T>>) -> T,
    ) -> Rc<T> {
        self.known(Arc::as_ptr(object)).unwrap_or_else(|| {
            let key = (object.reference(), TypeId::of::<T>());
            let before = self.latest.borrow_mut().insert(key, Arc::as_ptr(object));
            self.keep(object, find_out(before.and_then(|before| self.known(before))))
        })
    }

    fn known<T: 'static>(&self, object: *const Object) -> Option<Rc<T>> {
        let mut answers = self.answers.borrow_mut();
        let known = answers.get_mut(&(object, TypeId::of::<T>()))?;
        known.asked = self.round.get();
        Rc::clone(&known.answer).downcast().ok()
    }

    fn keep<T: 'static>(&self, object: &Arc<Object>, found: T) -> Rc<T> {
        let found = Rc::new(found);
        let answer: Rc<dyn Any> = Rc::<T>::clone(&found);
        let answer = Answer { _object: Arc::clone(object), answer, asked: self.round.get() };
        self.answers.borrow_mut().insert((Arc::as_ptr(object), TypeId::of::<T>()), answer);
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
