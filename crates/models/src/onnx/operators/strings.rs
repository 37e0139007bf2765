//! Texts that are made alike, and cut into words.

use std::collections::HashSet;

use regex::Regex;

use super::{Run, run};
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Shape, Tensor};

/// Bytes that a compiled pattern may take.
const MAX_PATTERN: usize = 1 << 20;

/// `StringNormalizer`
pub(super) fn normalizer(node: &Node<'_>) -> Result<Run, Fault> {
    let change: fn(&str) -> String = match node.text("case_change_action", "NONE")? {
        "NONE" => str::to_owned,
        "LOWER" => str::to_lowercase,
        "UPPER" => str::to_uppercase,
        other => {
            return Err(
                node.unsupported(&format!("the attribute `case_change_action` that is `{other}` of "))
            );
        }
    };
    // Letters are changed as Unicode says, whatever the language.
    node.ignore(&["locale"]);
    let sees_case = node.flag("is_case_sensitive", false)?;
    let compared = move |text: &str| if sees_case { text.to_owned() } else { text.to_lowercase() };
    let stopwords: HashSet<String> =
        node.texts("stopwords")?.unwrap_or_default().iter().map(|text| compared(text)).collect();
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let texts = tensor.values::<String>()?;
        if stopwords.is_empty() {
            return Ok(Tensor::of(*tensor.shape(), texts.iter().map(|text| change(text)).collect()));
        }
        let kept = texts.iter().filter(|text| !stopwords.contains(&compared(text)));
        let mut kept: Vec<String> = kept.map(|text| change(text)).collect();
        if kept.is_empty() {
            kept.push(String::new());
        }
        match *tensor.lengths() {
            [_] => Tensor::vector(kept),
            [1, _] => Tensor::matrix(1, kept.len(), kept),
            _ => Err(Problem::new(format!("takes one row, not the shape {:?}", tensor.shape()))),
        }
    })
}

/// How a text is cut.
enum Cut {
    Characters,
    /// At what matches.
    At(Vec<Regex>),
    /// Into what matches.
    Into(Regex),
}

/// `Tokenizer` of onnxruntime
pub(super) fn tokenizer(node: &Node<'_>) -> Result<Run, Fault> {
    let marks = node.flag("mark", false)?;
    let padding = node.text("pad_value", "")?.to_owned();
    let shortest = usize::try_from(node.long("mincharnum", 1)?).unwrap_or(1);
    node.ignore(&["stopwords"]);
    let cut = match (node.text("tokenexp", "")?, node.texts("separators")?.unwrap_or_default()) {
        ("", []) => return Err(node.problem("it does not say where to cut")),
        ("", [separator]) if separator.is_empty() => Cut::Characters,
        ("", separators) => Cut::At(separators.iter().map(|it| pattern(node, it)).collect::<Result<_, _>>()?),
        (expression, []) => Cut::Into(pattern(node, expression)?),
        _ => return Err(node.problem("it says twice where to cut")),
    };
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let texts = tensor.values::<String>()?;
        let rows: Vec<Vec<&str>> = texts.iter().map(|text| cut.apply(text, shortest)).collect();
        let extra = if marks { 2 } else { 0 };
        let width = rows.iter().map(|row| row.len() + extra).max().unwrap_or(0);
        let shape = Shape::new(&[tensor.lengths(), &[width]].concat())?;
        let mut tokens: Vec<String> = Vec::with_capacity(shape.n_values());
        for row in rows {
            let end = tokens.len() + width;
            if marks {
                tokens.push("\u{2}".to_owned());
            }
            tokens.extend(row.into_iter().map(str::to_owned));
            if marks {
                tokens.push("\u{3}".to_owned());
            }
            tokens.resize(end, padding.clone());
        }
        Ok(Tensor::of(shape, tokens))
    })
}

/// A pattern of RE2, whose classes are those of ASCII.
fn pattern(node: &Node<'_>, text: &str) -> Result<Regex, Fault> {
    let mut translated = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { None };
        match escaped {
            Some('w') => translated.push_str("[0-9A-Za-z_]"),
            Some('d') => translated.push_str("[0-9]"),
            Some('s') => translated.push_str(r"[\t\n\x0C\r ]"),
            Some('b') => translated.push_str(r"(?-u:\b)"),
            Some(other) => translated.extend(['\\', other]),
            None => translated.push(character),
        }
    }
    let regex = regex::RegexBuilder::new(&translated).size_limit(MAX_PATTERN).build();
    regex.map_err(|_| node.unsupported(&format!("the pattern `{text}` of ")))
}

impl Cut {
    /// The parts of a text that have some characters.
    fn apply<'t>(&self, text: &'t str, shortest: usize) -> Vec<&'t str> {
        let is_long = |part: &&str| !part.is_empty() && part.chars().count() >= shortest;
        match self {
            Self::Characters => text.split_inclusive(|_| true).collect(),
            Self::Into(pattern) => {
                pattern.find_iter(text).map(|found| found.as_str()).filter(is_long).collect()
            }
            Self::At(separators) => {
                let mut parts = vec![text];
                for separator in separators {
                    parts = parts.iter().flat_map(|part| separator.split(part)).collect();
                }
                parts.into_iter().filter(is_long).collect()
            }
        }
    }
}
