//! Putting a model together: what a file does not declare is found out from the estimator.

use std::collections::HashSet;

use super::entry::{Entry, EntryColumn};
use super::evaluator::Evaluator;
use super::{Description, Model};
use crate::estimator::{Hint, Step};
use crate::example;
use crate::fault::Fault;
use crate::features::{self, Features};
use crate::rows::{Column, Rows, Table};
use crate::{Batch, DataType, Field, Inputs, Method, Scalar, Signature};

/// Columns that are tried out one by one, to see which of them may be missing.
const MAX_TRIED_COLUMNS: usize = 1024;

/// What a model is made of.
pub(crate) struct Assembly {
    pub(crate) step: Step,
    /// The names of its columns, if it was fitted with names.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) features: Option<Features>,
    /// What is declared beside the estimator.
    pub(crate) signature: Option<Signature>,
    pub(crate) example: Option<Batch>,
    /// The example that `forebay.yaml` declares.
    pub(crate) declared_example: Option<Batch>,
    pub(crate) method: Option<Method>,
    pub(crate) threshold: Option<f64>,
    pub(crate) description: Description,
}

impl Assembly {
    pub(crate) fn finish(self) -> Result<Model, Fault> {
        let methods = self.step.methods();
        let class = || self.description.parts.first().map_or("the model", |part| part.class.as_str());
        let Some(default_method) = self.method.or(methods.first().copied()) else {
            return Err(Fault::inconsistent(class(), "it has nothing that could be asked for"));
        };
        let not_served = self.step.not_served();
        if let Some(not_served) = not_served.iter().find(|not_served| not_served.method == default_method) {
            return Err(Fault::inconsistent(class(), not_served.to_string()));
        }
        if !methods.contains(&default_method) {
            let methods = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join("`, `");
            let problem =
                format!("it is to be asked for `{default_method}`, which it has not; it has `{methods}`");
            return Err(Fault::inconsistent(class(), problem));
        }

        if self.threshold.is_some() {
            let tells_two = self.step.classes().is_some_and(|classes| classes.len() == 2);
            if !tells_two || !methods.contains(&Method::PredictProba) {
                let problem = match self.step.classes() {
                    Some(classes) if !tells_two => format!(
                        "`threshold` is for models that tell two classes apart, and this one tells {}",
                        classes.len()
                    ),
                    Some(_) => {
                        "`threshold` is for models that give probabilities, and this one has none".to_owned()
                    }
                    None => "`threshold` is for models that tell two classes apart, and this one tells none"
                        .to_owned(),
                };
                return Err(Fault::inconsistent(features::FILE, problem));
            }
        }
        let named_inputs = match (&self.step, &self.signature, &self.features) {
            (Step::Predictor(_), Some(Signature { inputs: Inputs::Columns(_), .. }), _) | (_, _, Some(_)) => {
                Vec::new()
            }
            (Step::Predictor(predictor), _, _) => predictor.inputs(),
            (Step::Transformer(_), _, _) => Vec::new(),
        };
        let n_columns = self.step.part().n_inputs();
        let hints: Vec<Hint> =
            (0..n_columns.unwrap_or(0)).map(|column| self.step.part().hint(column)).collect();
        let names = names(self.names, declared_names(self.signature.as_ref(), n_columns));
        let names = match &self.features {
            None => names,
            Some(features) => {
                let names = features.names_of_columns(names, n_columns);
                Some(names.map_err(|problem| Fault::inconsistent(features::FILE, problem))?)
            }
        };
        if let (Some(features), Some(names)) = (&self.features, &names) {
            let declared = declared_fields(self.signature.as_ref()).iter().map(|field| field.name.as_str());
            let known: HashSet<&str> = names.iter().map(String::as_str).chain(declared).collect();
            let problem = |problem| Fault::inconsistent(features::FILE, problem);
            features.check_needed(&known).map_err(problem)?;
        }
        let made_up = made_up_names(&hints).filter(|_| names.is_none());
        let has_own_names = names.is_some();
        let column = |name| EntryColumn { name, is_required: true, is_used: true, takes_missing: false };
        let columns = names.or(made_up).map(|names| names.into_iter().map(column).collect());
        let entry = Entry { n_columns, columns, has_own_names, features: self.features };

        let mut evaluator = Evaluator::new(self.step, entry);
        require_columns(&mut evaluator, default_method, &hints, self.signature.as_ref());
        let signature = signature(&evaluator.entry, &hints, self.signature);
        if let Some(declared) = &self.declared_example
            && let Err(refusal) = evaluator.ask(default_method, declared, 1)
        {
            return Err(Fault::inconsistent(features::FILE, format!("its example is refused: {refusal}")));
        }
        let saved = self.example.filter(|example| evaluator.ask(default_method, example, 1).is_ok());
        let saved = self.declared_example.or(saved);
        let example = saved.unwrap_or_else(|| make_example(&evaluator.entry, &hints, &signature));
        let (threshold, description) = (self.threshold, self.description);
        let inputs = named_inputs;
        Ok(Model {
            evaluator,
            signature,
            methods,
            not_served,
            default_method,
            threshold,
            inputs,
            example,
            description,
        })
    }
}

/// Names for the columns of a model that was fitted without, if it takes texts: only a table can hold those.
fn made_up_names(hints: &[Hint]) -> Option<Vec<String>> {
    let takes_texts = hints.iter().any(|hint| hint.datatype == DataType::String);
    let names = |n_columns| match n_columns {
        1 => vec!["text".to_owned()],
        n_columns => (0..n_columns).map(|column| format!("column_{column}")).collect(),
    };
    takes_texts.then(|| names(hints.len()))
}

/// The names of a declared signature, for a model that was fitted without.
fn declared_names(signature: Option<&Signature>, n_columns: Option<usize>) -> Option<Vec<String>> {
    let fields = declared_fields(signature);
    let is_whole = signature.is_some() && Some(fields.len()) == n_columns;
    is_whole.then(|| fields.iter().map(|field| field.name.clone()).collect())
}

/// The columns of a declared signature.
fn declared_fields(signature: Option<&Signature>) -> &[Field] {
    match signature.map(|signature| &signature.inputs) {
        Some(Inputs::Columns(fields)) => fields,
        _ => &[],
    }
}

/// The names of the columns: those of the model, or else those that are declared. LightGBM writes spaces as `_`; then the
/// declared ones are right.
fn names(own: Option<Vec<String>>, declared: Option<Vec<String>>) -> Option<Vec<String>> {
    match (own, declared) {
        (Some(own), Some(declared)) => {
            let is_same = own.iter().zip(&declared).all(|(own, declared)| *own == declared.replace(' ', "_"));
            Some(if is_same { declared } else { own })
        }
        (own, declared) => own.or(declared),
    }
}

/// Notes which columns must be there: all that the estimator uses, as its library has it, but for those that are declared
/// optional and that the estimator turns out to do without.
fn require_columns(evaluator: &mut Evaluator, method: Method, hints: &[Hint], declared: Option<&Signature>) {
    let needed = needed_columns(evaluator, method, hints);
    let is_declared_required = |name: &str| match declared.map(|signature| &signature.inputs) {
        Some(Inputs::Columns(fields)) => {
            fields.iter().find(|field| field.name == name).map(|field| field.required)
        }
        _ => None,
    };
    let entry = &mut evaluator.entry;
    let Some(columns) = &mut entry.columns else { return };
    for ((column, is_needed), hint) in columns.iter_mut().zip(needed).zip(hints) {
        column.is_required =
            is_needed || is_declared_required(&column.name).unwrap_or(hint.is_used && !hint.is_optional);
        column.takes_missing = !is_needed;
        column.is_used = hint.is_used;
    }
    if let Some(features) = &mut entry.features {
        let names = |is_meant: fn(&EntryColumn) -> bool| -> HashSet<&str> {
            columns.iter().filter(|column| is_meant(column)).map(|column| &*column.name).collect()
        };
        features.require(&names(|column| column.is_required), &names(|column| !column.takes_missing));
    }
}

/// Which columns an estimator needs. It is asked itself, with an example in which one after another is missing.
fn needed_columns(evaluator: &Evaluator, method: Method, hints: &[Hint]) -> Vec<bool> {
    let examples: Vec<Column<'static>> = hints.iter().map(|hint| example_column(&hint.example)).collect();
    let is_taken = |columns: Vec<Column<'static>>| {
        evaluator.answer(method, Rows::Table(Table { n_rows: 1, columns })).is_ok()
    };
    let can_be_tried = examples.len() <= MAX_TRIED_COLUMNS && is_taken(examples.clone());
    let may_be_missing = |index: usize| {
        let mut columns = examples.clone();
        columns[index] = Column::Double(vec![f64::NAN].into());
        is_taken(columns)
    };
    let is_needed = |(index, hint): (usize, &Hint)| hint.is_used && !(can_be_tried && may_be_missing(index));
    hints.iter().enumerate().map(is_needed).collect()
}

/// What a request may carry: what is declared, or the columns of the estimator, with those of the feature step.
fn signature(entry: &Entry, hints: &[Hint], declared: Option<Signature>) -> Signature {
    let mut signature = declared.unwrap_or_else(|| undeclared(entry, hints));
    if let (Some(columns), Inputs::Columns(fields)) = (&entry.columns, &mut signature.inputs) {
        let refusing = columns.iter().filter(|column| !column.takes_missing);
        let refusing: HashSet<&str> = refusing.map(|column| &*column.name).collect();
        fields.iter_mut().for_each(|field| field.takes_missing = !refusing.contains(field.name.as_str()));
    }
    if let (Some(features), Inputs::Columns(fields)) = (&entry.features, &mut signature.inputs) {
        fields.retain(|field| !features.knows(&field.name));
        fields.splice(0..0, features.fields());
    }
    signature
}

fn undeclared(entry: &Entry, hints: &[Hint]) -> Signature {
    let inputs = match &entry.columns {
        None => {
            let datatype = hints.first().map_or(DataType::Double, |hint| hint.datatype);
            let is_same = hints.iter().all(|hint| hint.datatype == datatype);
            let datatype = if is_same { datatype } else { DataType::Double };
            Inputs::Matrix { datatype, n_columns: entry.n_columns }
        }
        Some(columns) => {
            let used = columns.iter().zip(hints).filter(|(_, hint)| hint.is_used);
            let field = |(column, hint): (&EntryColumn, &Hint)| Field {
                name: column.name.clone(),
                datatype: hint.datatype,
                required: column.is_required,
                default: None,
                takes_missing: column.takes_missing,
            };
            Inputs::Columns(used.map(field).collect())
        }
    };
    Signature { inputs, outputs: Vec::new(), params: Vec::new(), is_declared: false }
}

/// One row of what the columns are known to be like.
fn make_example(entry: &Entry, hints: &[Hint], signature: &Signature) -> Batch {
    let Inputs::Columns(fields) = &signature.inputs else {
        let unknown = [Hint::default()];
        return example::matrix(if hints.is_empty() { &unknown } else { hints });
    };
    let columns = entry.columns.as_deref().unwrap_or_default();
    let value = |(index, field): (usize, &Field)| {
        let place = columns.iter().position(|column| column.name == field.name).unwrap_or(index);
        match (&field.default, hints.get(place), field.datatype) {
            (Some(default), _, _) => default.clone(),
            (None, _, DataType::Datetime) => Scalar::Text("2024-01-01".to_owned()),
            (None, Some(hint), _) => hint.example.clone(),
            (None, None, DataType::String) => Scalar::Text(String::new()),
            (None, None, _) => Scalar::Double(0.0),
        }
    };
    example::table(fields.iter().enumerate().map(|(index, field)| (field, value((index, field)))))
}

fn example_column(value: &Scalar) -> Column<'static> {
    match value {
        Scalar::Double(number) => Column::Double(vec![*number].into()),
        Scalar::Long(long) => Column::Long(vec![*long].into()),
        Scalar::Boolean(flag) => Column::Boolean(vec![*flag].into()),
        Scalar::Text(text) => Column::texts([Some(text.as_str())].into_iter().collect()),
    }
}
