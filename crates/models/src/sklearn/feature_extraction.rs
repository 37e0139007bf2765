//! Texts to numbers (`sklearn/feature_extraction/text.py`).

mod analyzer;
mod characters;
mod dict;
mod hashing;
mod weighting;

use std::collections::HashMap;

use super::Kind;
use super::preprocessing::normalizer::Norm;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{MAX_COLUMNS, Object};
use crate::rows::{Cell, Refusal, Rows};
use crate::{DataType, InputProblem, Scalar};
use analyzer::Analyzer;
use weighting::Weighting;

/// What fitting was told.
const FIT: &str = "dtype fixed_vocabulary fixed_vocabulary_ vocabulary";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.feature_extraction.CountVectorizer",
        ignores: &[FIT, analyzer::FIT],
        compile: count_vectorizer,
    },
    Kind {
        path: "sklearn.feature_extraction.TfidfVectorizer",
        ignores: &[FIT, analyzer::FIT, weighting::FIT],
        compile: tfidf_vectorizer,
    },
    Kind {
        path: "sklearn.feature_extraction.HashingVectorizer",
        ignores: &["dtype", analyzer::FIT],
        compile: hashing_vectorizer,
    },
    Kind {
        path: "sklearn.feature_extraction.DictVectorizer",
        ignores: &[dict::FIT],
        compile: dict::dict_vectorizer,
    },
    Kind {
        path: "sklearn.feature_extraction.TfidfTransformer",
        ignores: &[weighting::FIT],
        compile: weighting::tfidf_transformer,
    },
];

/// Counts the terms of texts.
#[derive(Debug)]
struct Vectorizer {
    analyzer: Analyzer,
    columns: Columns,
    /// Whether it matters only if a term is there.
    is_binary: bool,
    weighting: Option<Weighting>,
}

/// Which column a term has.
#[derive(Debug)]
enum Columns {
    Known { by_term: HashMap<String, usize>, n_columns: usize },
    Hashed { n_columns: usize, alternates_sign: bool, norm: Option<Norm> },
}

fn count_vectorizer(object: &Object<'_>) -> Result<Step, Fault> {
    vectorizer(object, vocabulary(object)?, None)
}

fn tfidf_vectorizer(object: &Object<'_>) -> Result<Step, Fault> {
    let columns = vocabulary(object)?;
    let weighting = Weighting::read(&object.get("_tfidf")?.object()?)?;
    vectorizer(object, columns, Some(weighting))
}

fn vectorizer(object: &Object<'_>, columns: Columns, weighting: Option<Weighting>) -> Result<Step, Fault> {
    if weighting.as_ref().is_some_and(|weighting| !weighting.fits(columns.n_columns())) {
        return Err(object.problem("its weights are not one per term"));
    }
    Ok(transformer(Vectorizer {
        analyzer: Analyzer::read(object)?,
        columns,
        is_binary: object.get("binary")?.flag()?,
        weighting,
    }))
}

fn hashing_vectorizer(object: &Object<'_>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features"])?.unwrap_or(0);
    if n_columns == 0 {
        return Err(object.problem("it has no columns"));
    }
    let alternates_sign = object.flag_or("alternate_sign", true)?;
    if object.flag_or("non_negative", false)? {
        return Err(object.get("non_negative")?.unsupported("counts keep their sign"));
    }
    let norm = object.some("norm").map(|norm| Norm::read(&norm)).transpose()?;
    vectorizer(object, Columns::Hashed { n_columns, alternates_sign, norm }, None)
}

fn vocabulary(object: &Object<'_>) -> Result<Columns, Fault> {
    let saved = object.get("vocabulary_")?;
    let pairs = saved.pairs()?;
    let n_columns = pairs.len();
    if n_columns > MAX_COLUMNS {
        return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
    }
    let mut by_term = HashMap::with_capacity(n_columns);
    for (term, column) in pairs {
        let column = column.count()?;
        if column >= n_columns {
            return Err(saved.problem("has a column that is not there"));
        }
        by_term.insert(term.text()?.into_owned(), column);
    }
    Ok(Columns::Known { by_term, n_columns })
}

// === impl Columns ===

impl Columns {
    fn n_columns(&self) -> usize {
        match self {
            Self::Known { n_columns, .. } | Self::Hashed { n_columns, .. } => *n_columns,
        }
    }

    /// The column of a term, and what is added to it.
    fn find(&self, term: &str) -> Option<(usize, f64)> {
        match self {
            Self::Known { by_term, .. } => by_term.get(term).map(|column| (*column, 1.0)),
            Self::Hashed { n_columns, alternates_sign, .. } => {
                let (column, is_negative) = hashing::column(term, *n_columns);
                Some((column, if *alternates_sign && is_negative { -1.0 } else { 1.0 }))
            }
        }
    }
}

// === impl Vectorizer ===

impl Part for Vectorizer {
    fn n_inputs(&self) -> Option<usize> {
        Some(1)
    }

    fn hint(&self, _column: usize) -> Hint {
        let term = match &self.columns {
            Columns::Known { by_term, .. } => by_term.keys().min().cloned(),
            Columns::Hashed { .. } => None,
        };
        let example = Scalar::Text(term.unwrap_or_else(|| "text".to_owned()));
        Hint { datatype: DataType::String, example, ..Hint::default() }
    }
}

impl Transformer for Vectorizer {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.columns.n_columns()
    }

    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        true
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let (n_rows, n_columns) = (rows.n_rows(), self.columns.n_columns());
        let mut counts = vec![0.0; n_rows * n_columns];
        for (row, counts) in counts.chunks_exact_mut(n_columns).enumerate() {
            let text = match rows.cell(row, 0) {
                Cell::Text(text) => text,
                cell => {
                    let problem = InputProblem::WrongType { expected: "a text", got: cell.show() };
                    return Err(Refusal::at(row, 0, problem));
                }
            };
            self.count(text, counts);
        }
        Ok(Rows::matrix(n_rows, n_columns, counts))
    }
}

impl Vectorizer {
    fn count(&self, text: &str, counts: &mut [f64]) {
        self.analyzer.for_terms(text, |term| match self.columns.find(term) {
            None => {}
            Some((column, _)) if self.is_binary => counts[column] = 1.0,
            Some((column, count)) => counts[column] += count,
        });
        if let Some(weighting) = &self.weighting {
            weighting.apply(counts);
        }
        if let Columns::Hashed { norm: Some(norm), .. } = &self.columns {
            norm.apply(counts);
        }
    }
}
