//! Steps one after another, and side by side.

use super::inner::into_transformer;
use super::{Compiled, Kind, compile};
use crate::estimator::{Hint, Part, Predictor, Step, Transformer, predictor, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};
use crate::sklearn::compose::stack;
use crate::{Data, DataType, Method, NotServed, Prediction};

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.pipeline.Pipeline", ignores: &["memory transform_input"], compile: pipeline },
    // Its samplers change what is fitted, and nothing that is predicted.
    Kind { path: "imblearn.pipeline.Pipeline", ignores: &["memory transform_input"], compile: pipeline },
    Kind { path: "sklearn.pipeline.FeatureUnion", ignores: &["verbose_feature_names_out"], compile: union },
];

/// Transformers, and at the end maybe a predictor.
#[derive(Debug)]
struct Pipeline<Last> {
    transformers: Vec<Box<dyn Transformer>>,
    last: Last,
    names: Option<Vec<String>>,
}

/// Transformers that all see the same rows; what comes out is put side by side.
#[derive(Debug)]
struct Union {
    branches: Vec<Branch>,
    names: Option<Vec<String>>,
}

#[derive(Debug)]
struct Branch {
    transformer: Box<dyn Transformer>,
    weight: Option<f64>,
}

fn pipeline(object: &Object<'_>) -> Result<Step, Fault> {
    let mut steps = Vec::new();
    for (name, value) in named(&object.get("steps")?)? {
        if !is_passthrough(&value) && !is_sampler(&value) {
            let compiled = compile(&value, Some(&name))?;
            steps.push((name, compiled));
        }
    }
    check_chain(object, &steps)?;
    let names = steps.first_mut().and_then(|(_, first)| first.names.take());
    let mut steps: Vec<Step> = steps.into_iter().map(|(_, compiled)| compiled.step).collect();
    let Some(last) = steps.pop() else { return Err(object.problem("it has no steps")) };
    let transformers = steps.into_iter().map(|step| {
        into_transformer(step).ok_or_else(|| object.problem("a step before the last one is no transformer"))
    });
    let mut transformers: Vec<_> = transformers.collect::<Result<_, _>>()?;
    Ok(match last {
        Step::Predictor(mut last) => {
            last.forget_leaves();
            keep_known_none(&mut transformers);
            if transformers.iter().fold(false, |is_sparse, transformer| transformer.gives_sparse(is_sparse)) {
                last.take_sparse();
            }
            predictor(Pipeline { transformers, last, names })
        }
        Step::Transformer(last) => {
            transformers.push(last);
            keep_known_none(&mut transformers);
            transformer(Pipeline { transformers, last: (), names })
        }
    })
}

/// An imputer for NaN lets None through, so an encoder behind it may have been fitted with None.
fn keep_known_none(transformers: &mut [Box<dyn Transformer>]) {
    for index in 1..transformers.len() {
        let (before, after) = transformers.split_at_mut(index);
        let (before, after) = (&mut before[index - 1], &after[0]);
        for column in 0..after.n_inputs().unwrap_or(0) {
            if after.knows_none(column) {
                before.keep_none(column);
            }
        }
    }
}

/// Checks that each step gives as many columns as the next one takes.
fn check_chain(object: &Object<'_>, steps: &[(String, Compiled)]) -> Result<(), Fault> {
    let mut n_columns: Option<usize> = None;
    for (name, compiled) in steps {
        let takes = compiled.step.part().n_inputs();
        if let (Some(takes), Some(given)) = (takes, n_columns)
            && takes != given
        {
            return Err(object.problem(format!("step `{name}` takes {takes} columns and is given {given}")));
        }
        let n_inputs = takes.or(n_columns);
        n_columns = match &compiled.step {
            Step::Transformer(transformer) => n_inputs.map(|n_inputs| transformer.n_outputs(n_inputs)),
            Step::Predictor(_) => None,
        };
    }
    Ok(())
}

fn union(object: &Object<'_>) -> Result<Step, Fault> {
    let weights = object.some("transformer_weights");
    let mut branches = Vec::new();
    let (mut n_inputs, mut names) = (None, None);
    for (name, value) in named(&object.get("transformer_list")?)? {
        let weight = weight_of(weights.as_ref(), &name)?;
        if value.is_text("drop") || value.is_none() {
            continue;
        }
        if value.is_text("passthrough") {
            return Err(object.problem(format!("branch `{name}` has no transformer")));
        }
        let compiled = compile(&value, Some(&name))?;
        let Some(transformer) = into_transformer(compiled.step) else {
            return Err(object.problem(format!("branch `{name}` is no transformer")));
        };
        names = names.or(compiled.names);
        let takes = transformer.n_inputs();
        if let (Some(takes), Some(before)) = (takes, n_inputs)
            && takes != before
        {
            return Err(
                object.problem(format!("branch `{name}` takes another number of columns than the others"))
            );
        }
        n_inputs = takes.or(n_inputs);
        branches.push(Branch { transformer, weight });
    }
    if branches.is_empty() {
        return Err(object.problem("it has no branches"));
    }
    Ok(transformer(Union { branches, names }))
}

/// The pairs or triples of a list of named parts; the third is left out.
pub(super) fn named<'s>(list: &Value<'s>) -> Result<Vec<(String, Value<'s>)>, Fault> {
    let part = |value: Value<'s>| match &value.items()?[..] {
        [name, part, ..] => Ok((name.text()?.into_owned(), *part)),
        _ => Err(list.problem("are not named")),
    };
    list.items()?.into_iter().map(part).collect()
}

/// What a branch is multiplied with.
pub(super) fn weight_of(weights: Option<&Value<'_>>, name: &str) -> Result<Option<f64>, Fault> {
    let Some(weights) = weights else { return Ok(None) };
    let pairs = weights.pairs()?;
    let weight = pairs.iter().find(|(key, _)| key.is_text(name));
    weight.map(|(_, weight)| weight.number()).transpose()
}

/// Whether a step does nothing.
pub(super) fn is_passthrough(value: &Value<'_>) -> bool {
    value.is_none() || value.is_text("passthrough")
}

/// Whether a step only chooses the rows that later steps are fitted with.
fn is_sampler(step: &Value<'_>) -> bool {
    const PACKAGES: [&str; 4] = [
        "imblearn.base.FunctionSampler",
        "imblearn.combine.",
        "imblearn.over_sampling.",
        "imblearn.under_sampling.",
    ];
    step.object().is_ok_and(|object| PACKAGES.iter().any(|package| object.class().starts_with(package)))
}

// === impl Pipeline ===

impl<Last> Pipeline<Last> {
    /// What the first transformer says of a column. Of texts that it leaves as they are, the second one may know more:
    /// an imputer has one value, and an encoder behind it all of them.
    fn first_hint(&self, column: usize) -> Option<Hint> {
        let first = self.transformers.first()?;
        let hint = first.hint(column);
        let keeps_columns = first.n_inputs().is_some_and(|n_columns| first.n_outputs(n_columns) == n_columns);
        let second = self.transformers.get(1).filter(|_| keeps_columns && hint.datatype == DataType::String);
        let second = second.map(|second| second.hint(column));
        Some(second.filter(|second| second.datatype == DataType::String).unwrap_or(hint))
    }

    /// How many columns come out of the transformers, and the most that there were on the way.
    fn widths(&self, n_inputs: usize) -> (usize, usize) {
        self.transformers.iter().fold((n_inputs, n_inputs), |(n_columns, widest), transformer| {
            (transformer.n_outputs(n_columns), widest.max(transformer.widest(n_columns)))
        })
    }

    fn transform_rows<'a>(&self, mut rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        for (index, transformer) in self.transformers.iter().enumerate() {
            rows = transformer.transform(rows).map_err(|refusal| refusal.after(index))?;
        }
        Ok(rows)
    }
}

impl Part for Pipeline<()> {
    fn n_inputs(&self) -> Option<usize> {
        self.transformers.iter().find_map(|transformer| transformer.n_inputs())
    }

    fn hint(&self, column: usize) -> Hint {
        self.first_hint(column).unwrap_or_default()
    }

    fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }
}

impl Transformer for Pipeline<()> {
    fn gives_sparse(&self, takes_sparse: bool) -> bool {
        self.transformers
            .iter()
            .fold(takes_sparse, |is_sparse, transformer| transformer.gives_sparse(is_sparse))
    }

    fn knows_none(&self, column: usize) -> bool {
        self.transformers[0].knows_none(column)
    }

    fn keep_none(&mut self, column: usize) {
        if let Some(last) = self.transformers.last_mut() {
            last.keep_none(column);
        }
    }

    fn n_outputs(&self, n_inputs: usize) -> usize {
        self.widths(n_inputs).0
    }

    fn widest(&self, n_inputs: usize) -> usize {
        self.widths(n_inputs).1
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        self.transform_rows(rows)
    }
}

impl Part for Pipeline<Box<dyn Predictor>> {
    fn n_inputs(&self) -> Option<usize> {
        let own = self.transformers.iter().find_map(|transformer| transformer.n_inputs());
        own.or_else(|| self.last.n_inputs())
    }

    fn hint(&self, column: usize) -> Hint {
        self.first_hint(column).unwrap_or_else(|| self.last.hint(column))
    }

    fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }
}

impl Predictor for Pipeline<Box<dyn Predictor>> {
    fn methods(&self) -> Vec<Method> {
        // A pipeline passes on everything but the questions for neighbors and leaves.
        let is_passed_on =
            |method: &Method| !matches!(method, Method::Kneighbors | Method::KneighborsDistance);
        self.last.methods().into_iter().filter(is_passed_on).collect()
    }

    fn not_served(&self) -> Vec<NotServed> {
        self.last.not_served()
    }

    fn classes(&self) -> Option<&Data> {
        self.last.classes()
    }

    fn widest(&self, n_inputs: usize) -> usize {
        let (n_columns, widest) = self.widths(n_inputs);
        widest.max(self.last.widest(n_columns))
    }

    fn rows_are_independent(&self) -> bool {
        self.last.rows_are_independent()
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let rows = self.transform_rows(rows)?;
        self.last.predict(method, rows).map_err(|refusal| refusal.after(self.transformers.len()))
    }
}

// === impl Union ===

impl Part for Union {
    fn n_inputs(&self) -> Option<usize> {
        self.branches.iter().find_map(|branch| branch.transformer.n_inputs())
    }

    fn hint(&self, column: usize) -> Hint {
        let hints = self.branches.iter().map(|branch| branch.transformer.hint(column));
        Hint::of_all(hints)
    }

    fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }
}

impl Transformer for Union {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        self.branches.iter().map(|branch| branch.transformer.n_outputs(n_inputs)).sum()
    }

    fn widest(&self, n_inputs: usize) -> usize {
        let branches = self.branches.iter().map(|branch| branch.transformer.widest(n_inputs));
        branches.fold(self.n_outputs(n_inputs), usize::max)
    }

    fn gives_sparse(&self, takes_sparse: bool) -> bool {
        self.branches.iter().any(|branch| branch.transformer.gives_sparse(takes_sparse))
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_rows = rows.n_rows();
        let mut parts = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            let part = branch.transformer.transform(rows.borrowed())?;
            parts.push(part.weighted(branch.weight)?);
        }
        Ok(stack(n_rows, &parts))
    }
}
