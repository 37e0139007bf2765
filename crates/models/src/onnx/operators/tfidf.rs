//! Words and groups of words, counted.

use std::collections::HashMap;

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Tensor, type_name};

/// Words in a group.
const MAX_WORDS: usize = 32;

/// What becomes of a count.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Count,
    Weight,
    WeightedCount,
}

/// The groups that are counted. Words are numbers here.
struct Vocabulary {
    texts: HashMap<String, u32>,
    longs: HashMap<i64, u32>,
    /// From words in a row to the number of the group.
    groups: HashMap<Box<[u32]>, usize>,
    /// Where each group is counted, and its weight.
    columns: Vec<(usize, f32)>,
    n_columns: usize,
    /// The fewest and the most words of a group, and the most that may be left out between two.
    shortest: usize,
    longest: usize,
    skips: usize,
    mode: Mode,
}

/// `TfIdfVectorizer`
pub(super) fn vectorizer(node: &Node<'_>) -> Result<Run, Fault> {
    let vocabulary = Vocabulary::read(node)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let (n_rows, n_words) = tensor.rows_and_columns();
        if tensor.shape().rank() > 2 {
            return Err(Problem::new(format!("takes rows of words, not the shape {:?}", tensor.shape())));
        }
        let words: Vec<Option<u32>> = match tensor.data() {
            Data::Text(texts) => texts.iter().map(|text| vocabulary.texts.get(text).copied()).collect(),
            Data::Long(longs) => longs.iter().map(|long| vocabulary.longs.get(long).copied()).collect(),
            Data::Integer(values) => {
                values.iter().map(|value| vocabulary.longs.get(&i64::from(*value)).copied()).collect()
            }
            data => {
                return Err(Problem::new(format!("takes texts or whole numbers, not {}", type_name(data))));
            }
        };
        let shape = crate::onnx::tensor::Shape::new(&[n_rows, vocabulary.n_columns])?;
        let mut counts = vec![0.0; shape.n_values()];
        let rows = counts.chunks_exact_mut(vocabulary.n_columns.max(1));
        for (row, counts) in rows.enumerate() {
            vocabulary.count(&words[row * n_words..(row + 1) * n_words], counts);
        }
        match tensor.shape().rank() {
            0 | 1 => Tensor::vector(counts),
            _ => Ok(Tensor::of(shape, counts)),
        }
    })
}

impl Vocabulary {
    fn read(node: &Node<'_>) -> Result<Self, Fault> {
        let number = |name| {
            let number = usize::try_from(node.long(name, 0)?).ok();
            number
                .filter(|number| *number <= MAX_WORDS)
                .ok_or_else(|| node.problem(format!("its `{name}` is out of bounds")))
        };
        let (shortest, longest, skips) =
            (number("min_gram_length")?, number("max_gram_length")?, number("max_skip_count")?);
        let mode = match node.text("mode", "")? {
            "TF" => Mode::Count,
            "IDF" => Mode::Weight,
            "TFIDF" => Mode::WeightedCount,
            other => return Err(node.unsupported(&format!("the attribute `mode` that is `{other}` of "))),
        };
        let places = |name| -> Result<Vec<usize>, Fault> {
            let longs = node.longs(name)?.unwrap_or_default().iter().map(|long| usize::try_from(*long).ok());
            longs.collect::<Option<_>>().ok_or_else(|| node.problem(format!("its `{name}` are negative")))
        };
        let (starts, outputs) = (places("ngram_counts")?, places("ngram_indexes")?);
        let weights = node.floats("weights")?;
        let (mut texts, mut longs) = (HashMap::new(), HashMap::new());
        let mut pool: Vec<u32> = Vec::new();
        for text in node.texts("pool_strings")?.unwrap_or_default() {
            let next = texts.len() as u32;
            pool.push(*texts.entry(text.clone()).or_insert(next));
        }
        for long in node.longs("pool_int64s")?.unwrap_or_default() {
            let next = longs.len() as u32;
            pool.push(*longs.entry(*long).or_insert(next));
        }
        if !texts.is_empty() && !longs.is_empty() {
            return Err(node.problem("its words are both texts and numbers"));
        }
        let (mut groups, mut columns) = (HashMap::new(), Vec::new());
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(pool.len());
            let length = index + 1;
            let part = pool.get(*start..end).filter(|part| part.len().is_multiple_of(length));
            let part = part.ok_or_else(|| node.problem("its groups of words do not fit its pool"))?;
            for group in part.chunks_exact(length) {
                let number = columns.len();
                let Some(output) = outputs.get(number) else {
                    return Err(node.problem("it has more groups of words than columns for them"));
                };
                let weight = match weights {
                    None => 1.0,
                    Some(weights) => {
                        *weights.get(number).ok_or_else(|| node.problem("a group of words has no weight"))?
                    }
                };
                columns.push((*output, weight));
                if (shortest..=longest).contains(&length) {
                    groups.insert(group.into(), number);
                }
            }
        }
        let n_columns = outputs.iter().max().map_or(0, |last| last + 1);
        if n_columns > crate::onnx::tensor::MAX_VALUES || shortest == 0 || shortest > longest {
            return Err(node.problem("its columns or lengths are out of bounds"));
        }
        Ok(Self { texts, longs, groups, columns, n_columns, shortest, longest, skips, mode })
    }

    fn count(&self, words: &[Option<u32>], counts: &mut [f32]) {
        let mut group = Vec::with_capacity(self.longest);
        for distance in 1..=self.skips + 1 {
            // Single words have no distance, and are counted once.
            let shortest = if distance == 1 { self.shortest } else { self.shortest.max(2) };
            for start in 0..words.len() {
                group.clear();
                for word in words[start..].iter().step_by(distance).take(self.longest) {
                    let Some(word) = word else { break };
                    group.push(*word);
                    if group.len() < shortest {
                        continue;
                    }
                    if let Some(number) = self.groups.get(&group[..]) {
                        let (column, _) = self.columns[*number];
                        counts[column] += 1.0;
                    }
                }
            }
        }
        if self.mode == Mode::Count {
            return;
        }
        for (column, weight) in &self.columns {
            let count = &mut counts[*column];
            if *count > 0.0 {
                *count = if self.mode == Mode::Weight { *weight } else { *count * weight };
            }
        }
    }
}
