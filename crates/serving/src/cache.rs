//! Answers that are kept, so that the same question is not put to a model twice.
//!
//! The key is a SHA-256 of what the model is asked: which loaded model, for which methods, and the rows as they were read,
//! typed and in the order of the model's columns. White space, the order of keys, the protocol and the way in which rows
//! are written make no difference; a number and a missing one do. A model that is loaded anew is another model even when
//! its file is the same, because what stands beside the file may not be. What is kept are predictions, which each protocol
//! then tells in its own way. Refusals are not kept.
//!
//! Each core keeps its own. A cache that is shared would answer a question on every core after the first time, but takes a
//! lock or a shared list on the way of each request, hits too, and it is the small and fast answers that are asked for
//! often. The memory is divided among the cores, and each learns the popular questions by itself within one miss each.
//!
//! What goes when room is needed is chosen by SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024): the answers
//! stand in the order in which they came, a hit only marks an answer, and a hand that moves from the oldest to the newest
//! takes away the first one without a mark and wipes the marks it passes.

use std::collections::HashMap;
use std::rc::Rc;

use models::{Columns, Data, Prediction, Values};
use sha2::{Digest, Sha256};

use crate::call::Asked;
use crate::output::Ask;

/// What a model is asked. Nobody finds two questions that have one key.
pub(crate) type Key = [u8; 32];

/// What a model answers to one question.
pub(crate) type Answer = Rc<[Prediction]>;

/// The answers that one core keeps.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Bytes, at most.
    size: usize,
    n_bytes: usize,
    places: HashMap<Key, usize>,
    /// In a chain from the newest to the oldest. A place without an answer is free.
    kept: Vec<Kept>,
    free: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
    /// Where the search for the next one to go begins; at the oldest if nowhere.
    hand: Option<usize>,
}

/// An answer and its place in the chain.
#[derive(Debug)]
struct Kept {
    key: Key,
    answer: Option<Answer>,
    n_bytes: usize,
    is_marked: bool,
    newer: Option<usize>,
    older: Option<usize>,
}

/// What a kept answer takes besides its values: its place, its key twice, and its allocations.
const BYTES_ANYWAY: usize = 256;

/// Of which part of the cache an answer may be, so that one does not drive out all others.
const LARGEST_SHARE: usize = 8;

/// The key of what is asked of the model that was loaded as the so-many-th.
pub(crate) fn key(model: u64, asked: &Asked) -> Key {
    let mut hash = Sha256::new();
    hash.update(model.to_le_bytes());
    hash.update(asked.outputs.len().to_le_bytes());
    for output in &asked.outputs {
        match output.ask {
            Ask::Method(method) => hash.update([b'm', method as u8]),
            Ask::Output(place) => {
                hash.update([b'o']);
                hash.update(place.to_le_bytes());
            }
        }
    }
    let batch = &asked.decoded.batch;
    hash.update(batch.n_rows.to_le_bytes());
    match &batch.columns {
        Columns::Matrix { n_columns, values } => {
            hash.update([b'm']);
            hash.update(n_columns.to_le_bytes());
            add_doubles(&mut hash, values);
        }
        Columns::Table(columns) => {
            hash.update([b't']);
            hash.update(columns.len().to_le_bytes());
            for column in columns {
                add_text(&mut hash, &column.name);
                add_values(&mut hash, &column.values);
            }
        }
    }
    hash.finalize().into()
}

fn add_values(hash: &mut Sha256, values: &Values) {
    hash.update(values.len().to_le_bytes());
    match values {
        Values::Double(values) => {
            hash.update([b'd']);
            add_doubles(hash, values);
        }
        Values::Long(values) => {
            hash.update([b'l']);
            values.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        Values::Boolean(values) => {
            hash.update([b'b']);
            values.iter().for_each(|value| hash.update([u8::from(*value)]));
        }
        Values::Text(texts) => {
            hash.update([b's']);
            for text in texts.iter() {
                hash.update([u8::from(text.is_some())]);
                add_text(hash, text.unwrap_or_default());
            }
        }
    }
}

/// A missing number is one, whatever bits it has; 0 and -0 are two, for a model may divide by them.
fn add_doubles(hash: &mut Sha256, values: &[f64]) {
    for value in values {
        let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
        hash.update(bits.to_le_bytes());
    }
}

fn add_text(hash: &mut Sha256, text: &str) {
    hash.update(text.len().to_le_bytes());
    hash.update(text);
}

/// About how many bytes an answer takes.
fn n_bytes(answer: &[Prediction]) -> usize {
    let values = |prediction: &Prediction| match &prediction.data {
        Data::Text(texts) => texts.iter().map(|text| size_of::<String>() + text.len()).sum(),
        Data::Double(values) => size_of_val(&values[..]),
        Data::Float(values) => size_of_val(&values[..]),
        Data::Long(values) => size_of_val(&values[..]),
        Data::Integer(values) => size_of_val(&values[..]),
        Data::Boolean(values) => size_of_val(&values[..]),
    };
    BYTES_ANYWAY + answer.iter().map(|prediction| size_of::<Prediction>() + values(prediction)).sum::<usize>()
}

// === impl Cache ===

impl Cache {
    /// A cache of so many bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            n_bytes: 0,
            places: HashMap::new(),
            kept: Vec::new(),
            free: Vec::new(),
            newest: None,
            oldest: None,
            hand: None,
        }
    }

    /// The answer to a question, if it is kept.
    pub(crate) fn get(&mut self, key: &Key) -> Option<Answer> {
        let kept = &mut self.kept[*self.places.get(key)?];
        kept.is_marked = true;
        kept.answer.clone()
    }

    /// Keeps an answer, unless it is too large.
    pub(crate) fn insert(&mut self, key: Key, answer: Answer) {
        let n_bytes = n_bytes(&answer);
        if n_bytes > self.size / LARGEST_SHARE || self.places.contains_key(&key) {
            return;
        }
        while self.n_bytes + n_bytes > self.size {
            self.evict();
        }
        let kept =
            Kept { key, answer: Some(answer), n_bytes, is_marked: false, newer: None, older: self.newest };
        let place = match self.free.pop() {
            Some(place) => {
                self.kept[place] = kept;
                place
            }
            None => {
                self.kept.push(kept);
                self.kept.len() - 1
            }
        };
        match self.newest.replace(place) {
            Some(second) => self.kept[second].newer = Some(place),
            None => self.oldest = Some(place),
        }
        self.places.insert(key, place);
        self.n_bytes += n_bytes;
    }

    /// Lets one answer go: from the hand on towards newer ones, the first without a mark.
    fn evict(&mut self) {
        let Some(mut place) = self.hand.or(self.oldest) else { return };
        while self.kept[place].is_marked {
            self.kept[place].is_marked = false;
            place = self.kept[place].newer.or(self.oldest).unwrap_or(place);
        }
        let gone = &mut self.kept[place];
        let (newer, older) = (gone.newer.take(), gone.older.take());
        gone.answer = None;
        self.n_bytes -= gone.n_bytes;
        self.places.remove(&gone.key);
        self.free.push(place);
        match newer {
            Some(newer) => self.kept[newer].older = older,
            None => self.newest = older,
        }
        match older {
            Some(older) => self.kept[older].newer = newer,
            None => self.oldest = newer,
        }
        self.hand = newer;
    }
}

#[cfg(test)]
mod tests {
    use models::{Batch, Column, Method};
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{Decoded, Form};
    use crate::output::Output;

    fn asked(batch: Batch) -> Asked {
        let output = Output { ask: Ask::Method(Method::Predict), name: None, is_binary: None };
        let decoded = Decoded { batch, form: Form::Tensors, ignored: Vec::new(), gaps: Vec::new() };
        Asked { decoded, outputs: vec![output], id: None, alias: None, unused: Vec::new() }
    }

    fn answer(value: f64) -> Answer {
        [Prediction::flat(Data::Double(vec![value]))].into()
    }

    #[test]
    fn a_missing_number_is_one_and_zeros_are_two() {
        let key_of = |value: f64| key(1, &asked(Batch::matrix(1, vec![value])));
        assert_eq!(key_of(f64::NAN), key_of(-f64::NAN));
        assert_eq!(key_of(1.5), key_of(1.5));
        assert_ne!(key_of(0.0), key_of(-0.0));
        assert_ne!(key_of(1.5), key(2, &asked(Batch::matrix(1, vec![1.5]))));
    }

    #[test]
    fn what_differs_has_another_key() {
        let texts = |texts: &[Option<&str>]| Values::Text(texts.iter().copied().collect());
        let table = |name: &str, values: Values| Batch::table(vec![Column { name: name.to_owned(), values }]);
        let mut all = vec![
            asked(Batch::matrix(1, vec![1.0, 2.0])),
            asked(Batch::matrix(2, vec![1.0, 2.0])),
            asked(table("a", Values::Double(vec![1.0, 2.0]))),
            asked(table("a", Values::Long(vec![1, 2]))),
            asked(table("b", Values::Long(vec![1, 2]))),
            asked(table("a", Values::Boolean(vec![true, true]))),
            asked(table("a", texts(&[Some("x"), Some("yz")]))),
            asked(table("a", texts(&[Some("xy"), Some("z")]))),
            asked(table("a", texts(&[Some(""), Some("xyz")]))),
            asked(table("a", texts(&[None, Some("xyz")]))),
        ];
        let mut other_method = asked(Batch::matrix(1, vec![1.0, 2.0]));
        other_method.outputs[0].ask = Ask::Method(Method::PredictProba);
        all.push(other_method);
        let keys: std::collections::HashSet<Key> = all.iter().map(|asked| key(1, asked)).collect();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let each = n_bytes(&answer(0.0));
        let mut cache = Cache::new(8 * each);
        let key = |number: u8| [number; 32];
        (0..8).for_each(|number| cache.insert(key(number), answer(f64::from(number))));
        for popular in [0, 3] {
            assert_eq!(cache.get(&key(popular)), Some(answer(f64::from(popular))));
        }
        (8..14).for_each(|number| cache.insert(key(number), answer(f64::from(number))));
        let there: Vec<u8> = (0..14).filter(|number| cache.get(&key(*number)).is_some()).collect();
        assert_eq!(there, [0, 3, 8, 9, 10, 11, 12, 13]);
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_kept() {
        let mut cache = Cache::new(8 * 1024);
        cache.insert([1; 32], [Prediction::flat(Data::Double(vec![0.0; 1000]))].into());
        assert_eq!((cache.get(&[1; 32]), cache.n_bytes), (None, 0));
        let mut none = Cache::new(0);
        none.insert([1; 32], answer(1.0));
        assert_eq!(none.get(&[1; 32]), None);
    }

    proptest! {
        #[test]
        fn it_keeps_its_bound_and_never_answers_wrongly(
            steps in prop::collection::vec((any::<bool>(), 0..40u8), 0..400),
            room in 1..20usize,
        ) {
            let mut cache = Cache::new(room * n_bytes(&answer(0.0)));
            for (is_insert, number) in steps {
                match is_insert {
                    true => cache.insert([number; 32], answer(f64::from(number))),
                    false => if let Some(found) = cache.get(&[number; 32]) {
                        prop_assert_eq!(found, answer(f64::from(number)));
                    }
                }
                let n_kept = cache.kept.iter().filter(|kept| kept.answer.is_some()).count();
                prop_assert!(cache.n_bytes <= cache.size && cache.kept.len() <= room);
                prop_assert_eq!((cache.places.len(), n_kept + cache.free.len()), (n_kept, cache.kept.len()));
            }
        }
    }
}
