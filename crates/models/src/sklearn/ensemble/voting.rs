//! Voting and stacking: the answers of several models together.

use crate::classifier::{pick, places};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::{Grid, Object, Value};
use crate::rows::{Refusal, Rows, Takes};
use crate::sklearn::inner::{Combine, Inner, around};
use crate::sklearn::pipeline::named;
use crate::{Data, Method, Prediction};

/// What fitting was told.
pub(super) const FIT: &str = "\
    cv estimators final_estimator flatten_transform _label_encoder le_ _le_ named_estimators_ _n_feature_outs \
    stack_method verbose _le weights";

#[derive(Debug)]
struct Mean {
    weights: Vec<f64>,
    weight_of_all: f64,
}

/// The class with the most votes, or the most probable one.
#[derive(Debug)]
struct Vote {
    classes: Data,
    weights: Vec<f64>,
    weight_of_all: f64,
    is_soft: bool,
}

/// A last model that takes the answers of the others.
#[derive(Debug)]
struct Stack {
    methods: Vec<Method>,
    last: Inner,
    /// The classes, if it is a classifier; the last model knows them by number.
    classes: Option<Data>,
    passes_through: bool,
}

pub(super) fn voting_regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = inner(object)?;
    let (weights, weight_of_all) = weights(object, inner.len())?;
    Ok(around(inner, None, Mean { weights, weight_of_all }))
}

pub(super) fn voting_classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let inner = inner(object)?;
    let (weights, weight_of_all) = weights(object, inner.len())?;
    let voting = object.get("voting")?;
    let is_soft = match voting.text()?.as_ref() {
        "soft" => true,
        "hard" => false,
        _ => return Err(voting.unsupported("it is `hard` or `soft`")),
    };
    if is_soft && !inner.iter().all(|inner| inner.has(Method::PredictProba)) {
        return Err(object.problem("an estimator has no probabilities"));
    }
    check_numbered(object, &inner, classes.len())?;
    Ok(around(inner, None, Vote { classes, weights, weight_of_all, is_soft }))
}

pub(super) fn stacking(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.find("classes_").map(|classes| classes.labels()).transpose()?;
    let inner = inner(object)?;
    let saved = object.get("stack_method_")?.items()?;
    let methods: Vec<Method> = saved
        .iter()
        .map(|method| method.text()?.parse().map_err(|_| method.unsupported("this method is not known")))
        .collect::<Result<_, Fault>>()?;
    if methods.len() != inner.len() || methods.iter().zip(&inner).any(|(method, inner)| !inner.has(*method)) {
        return Err(object.problem("its methods do not fit its estimators"));
    }
    let last = Inner::read(&object.get("final_estimator_")?, Some("final_estimator"))?;
    if let Some(classes) = &classes {
        check_numbered(object, std::slice::from_ref(&last), classes.len())?;
    }
    let passes_through = object.flag_or("passthrough", false)?;
    Ok(around(inner, None, Stack { methods, last, classes, passes_through }))
}

fn inner(object: &Object<'_>) -> Result<Vec<Inner>, Fault> {
    let names = named(&object.get("estimators")?)?;
    let names: Vec<String> = names
        .into_iter()
        .filter(|(_, part): &(String, Value<'_>)| !part.is_none() && !part.is_text("drop"))
        .map(|(name, _)| name)
        .collect();
    let fitted = object.get("estimators_")?.items()?;
    let name = |index: usize| names.get(index).map(String::as_str).filter(|_| names.len() == fitted.len());
    let inner = fitted.iter().enumerate().map(|(index, value)| Inner::read(value, name(index)));
    let inner: Vec<Inner> = inner.collect::<Result<_, _>>()?;
    if inner.is_empty() {
        return Err(object.problem("it has no estimators"));
    }
    Ok(inner)
}

/// The weights, and their sum.
fn weights(object: &Object<'_>, n_inner: usize) -> Result<(Vec<f64>, f64), Fault> {
    let Some(weights) = object.some("weights") else { return Ok((vec![1.0; n_inner], n_inner as f64)) };
    let mut weights = weights.numbers()?;
    if weights.len() != n_inner {
        // Those of estimators that were dropped are still there.
        let parts = named(&object.get("estimators")?)?;
        let is_kept = |part: &Value<'_>| !part.is_none() && !part.is_text("drop");
        let kept = parts.iter().zip(&weights).filter(|((_, part), _)| is_kept(part));
        weights = kept.map(|(_, weight)| *weight).collect();
    }
    if weights.len() != n_inner {
        return Err(object.problem("its weights are not one per estimator"));
    }
    let weight_of_all = weights.iter().sum();
    Ok((weights, weight_of_all))
}

/// Checks that estimators know the classes by number.
fn check_numbered(object: &Object<'_>, inner: &[Inner], n_classes: usize) -> Result<(), Fault> {
    let numbers = Data::Long((0..).take(n_classes).collect());
    let is_numbered = |inner: &Inner| inner.classes().and_then(|own| places(own, &numbers)).is_some();
    if inner.iter().all(is_numbered) {
        return Ok(());
    }
    Err(object.problem("an estimator does not know the classes by number"))
}

/// Adds the rows of a part to rows that it stands beside.
fn beside(rows: &mut [Vec<f64>], part: &Grid, first: usize) {
    rows.iter_mut().zip(part.rows()).for_each(|(row, part)| row.extend(&part[first.min(part.len())..]));
}

// === impl Mean ===

impl Combine for Mean {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::Transform]
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let mut all = vec![Vec::with_capacity(inner.len()); rows.n_rows()];
        for inner in inner {
            beside(&mut all, &inner.numbers(Method::Predict, &rows)?, 0);
        }
        if method == Method::Transform {
            return Ok(Prediction::rows(inner.len(), Data::Double(all.concat())));
        }
        let mean = |row: &Vec<f64>| {
            let sum: f64 = row.iter().zip(&self.weights).map(|(x, weight)| x * weight).sum();
            sum / self.weight_of_all
        };
        Ok(Prediction::flat(Data::Double(all.iter().map(mean).collect())))
    }
}

// === impl Vote ===

impl Vote {
    /// A share per class, or votes.
    fn scores(&self, rows: &Rows<'_>, inner: &[Inner]) -> Result<Vec<f64>, Refusal> {
        let n_classes = self.classes.len();
        let mut sums = vec![0.0; rows.n_rows() * n_classes];
        for (inner, weight) in inner.iter().zip(&self.weights) {
            let method = if self.is_soft { Method::PredictProba } else { Method::Predict };
            let answer = inner.numbers(method, rows)?;
            for (sums, answer) in sums.chunks_exact_mut(n_classes).zip(answer.rows()) {
                match (self.is_soft, answer) {
                    (true, shares) => sums.iter_mut().zip(shares).for_each(|(sum, x)| *sum += x * weight),
                    (false, [class, ..]) => sums[(*class as usize).min(n_classes - 1)] += weight,
                    (false, []) => {}
                }
            }
        }
        if self.is_soft {
            sums.iter_mut().for_each(|sum| *sum /= self.weight_of_all);
        }
        Ok(sums)
    }
}

impl Vote {
    /// What each estimator says, side by side.
    fn answers(&self, rows: &Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let method = if self.is_soft { Method::PredictProba } else { Method::Predict };
        let mut all = vec![Vec::new(); rows.n_rows()];
        for inner in inner {
            beside(&mut all, &inner.numbers(method, rows)?, 0);
        }
        let n_columns = all.first().map_or(0, Vec::len);
        Ok(Prediction::rows(n_columns, Data::Double(all.concat())))
    }
}

impl Combine for Vote {
    fn methods(&self) -> Vec<Method> {
        match self.is_soft {
            true => vec![Method::Predict, Method::PredictProba, Method::Transform],
            false => vec![Method::Predict, Method::Transform],
        }
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        if method == Method::Transform {
            return self.answers(&rows, inner);
        }
        let (n_classes, scores) = (self.classes.len(), self.scores(&rows, inner)?);
        Ok(match method {
            Method::PredictProba => Prediction::rows(n_classes, Data::Double(scores)),
            _ => pick(&self.classes, scores.chunks_exact(n_classes).map(argmax)),
        })
    }
}

// === impl Stack ===

impl Combine for Stack {
    fn methods(&self) -> Vec<Method> {
        let passed_on = [Method::Predict, Method::PredictProba, Method::DecisionFunction];
        let last = self.last.predictor.methods().into_iter().filter(|method| passed_on.contains(method));
        last.chain([Method::Transform]).collect()
    }

    fn classes(&self) -> Option<&Data> {
        self.classes.as_ref()
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let mut answers = vec![Vec::new(); rows.n_rows()];
        for (inner, asked) in inner.iter().zip(&self.methods) {
            let answer = inner.numbers(*asked, &rows)?;
            // Of two probabilities, the first one says nothing new.
            let first = usize::from(*asked == Method::PredictProba && answer.n_columns == 2);
            beside(&mut answers, &answer, first);
        }
        if self.passes_through {
            let own = rows.borrowed().into_matrix(Takes::Everything, "the last estimator of a stack")?;
            answers.iter_mut().zip(own.rows()).for_each(|(row, own)| row.extend(own));
        }
        let n_columns = answers.first().map_or(0, Vec::len);
        if method == Method::Transform {
            return Ok(Prediction::rows(n_columns, Data::Double(answers.concat())));
        }
        let known = self.last.predictor.n_inputs();
        let stacked = match known {
            // The file contradicts itself: better a number that is none than a wrong one.
            Some(known) if known != n_columns => {
                Rows::matrix(answers.len(), known, vec![f64::NAN; answers.len() * known])
            }
            _ => Rows::matrix(answers.len(), n_columns, answers.concat()),
        };
        let answer = self.last.ask(method, &stacked).map_err(|refusal| refusal.after(1))?;
        Ok(match (&self.classes, method) {
            (Some(classes), Method::Predict) => {
                let last = classes.len() - 1;
                let numbers = answer.data.to_doubles();
                pick(classes, numbers.into_iter().map(|number| (number as usize).min(last)))
            }
            _ => answer,
        })
    }
}
