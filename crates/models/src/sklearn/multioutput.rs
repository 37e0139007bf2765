//! Several targets from models of one each (`sklearn/multioutput.py`).

use super::Kind;
use super::inner::{Combine, Inner, around};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::{Data, Method, NotServed, Prediction};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.multioutput.MultiOutputClassifier",
        ignores: &["classes_ estimator"],
        compile: side_by_side,
    },
    Kind { path: "sklearn.multioutput.MultiOutputRegressor", ignores: &["estimator"], compile: side_by_side },
    Kind { path: "sklearn.multioutput.ClassifierChain", ignores: &[CHAIN, "chain_method"], compile: chain },
    Kind { path: "sklearn.multioutput.RegressorChain", ignores: &[CHAIN], compile: chain },
];

const CHAIN: &str = "base_estimator classes_ cv estimator order";

#[derive(Debug)]
struct SideBySide {
    is_classifier: bool,
}

/// Each model takes the columns, and the answers of those before.
#[derive(Debug)]
struct Chain {
    /// The target of each model.
    order: Vec<usize>,
    /// What goes on to the next model.
    hands_on: Method,
    methods: Vec<Method>,
}

fn side_by_side(object: &Object<'_>) -> Result<Step, Fault> {
    let is_classifier = object.name() == "MultiOutputClassifier";
    Ok(around(Inner::read_all(&object.get("estimators_")?)?, None, SideBySide { is_classifier }))
}

fn chain(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    let n_targets = inner.len();
    let saved = object.get("order_")?;
    let place = |place: i64| usize::try_from(place).ok().filter(|place| *place < n_targets);
    let order: Option<Vec<usize>> = saved.integers()?.into_iter().map(place).collect();
    let order = order.filter(|order| order.len() == n_targets).ok_or_else(|| saved.problem("is no order"))?;
    // Answers, until 1.5 said what else it may be.
    let hands_on = match object.some("chain_method_") {
        None => Method::Predict,
        Some(method) => method.text()?.parse().map_err(|_| method.unsupported("this method is not known"))?,
    };
    let mut methods = vec![Method::Predict];
    if object.name() == "ClassifierChain" {
        let others = [Method::PredictProba, Method::DecisionFunction];
        methods.extend(others.iter().filter(|method| inner.iter().all(|inner| inner.has(**method))));
    }
    if !inner.iter().all(|inner| inner.has(hands_on)) {
        return Err(object.problem("an estimator does not have what goes on to the next one"));
    }
    let n_columns = object.n_columns(&["n_features_in_"])?.or(inner[0].predictor.n_inputs());
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let takes = |(index, inner): (usize, &Inner)| inner.predictor.n_inputs() == Some(n_columns + index);
    if !inner.iter().enumerate().all(takes) {
        return Err(object.problem("its estimators do not take the answers of those before"));
    }
    Ok(around(inner, Some(n_columns), Chain { order, hands_on, methods }))
}

impl Combine for SideBySide {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn not_served(&self, inner: &[Inner]) -> Vec<NotServed> {
        let have_probabilities = inner.iter().all(|inner| inner.has(Method::PredictProba));
        let probabilities = self.is_classifier && have_probabilities;
        probabilities.then(|| NotServed::of_targets(Method::PredictProba)).into_iter().collect()
    }

    fn combine(&self, _method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let answers = inner.iter().map(|inner| Ok(inner.ask(Method::Predict, &rows)?.data));
        Ok(Prediction::columns(&answers.collect::<Result<Vec<_>, Refusal>>()?))
    }
}

// === impl Chain ===

impl Combine for Chain {
    fn methods(&self) -> Vec<Method> {
        self.methods.clone()
    }

    fn widest(&self) -> usize {
        self.order.len()
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let matrix = rows.into_matrix(Takes::Everything, "a chain")?;
        let mut widened: Vec<Vec<f64>> = matrix.rows().map(<[f64]>::to_vec).collect();
        let n_targets = self.order.len();
        let mut answers = vec![0.0; matrix.n_rows * n_targets];
        for (inner, target) in inner.iter().zip(&self.order) {
            let n_columns = widened.first().map_or(0, Vec::len);
            let all = Matrix { n_rows: matrix.n_rows, n_columns, values: widened.concat().into() };
            let all = Rows::Matrix(all);
            let answer = answer(inner, method, &all)?;
            answers
                .iter_mut()
                .skip(*target)
                .step_by(n_targets)
                .zip(&answer)
                .for_each(|(place, x)| *place = *x);
            let handed_on =
                if self.hands_on == method { answer } else { self::answer(inner, self.hands_on, &all)? };
            widened.iter_mut().zip(handed_on).for_each(|(row, x)| row.push(x));
        }
        Ok(Prediction::rows(n_targets, Data::Double(answers)))
    }
}

/// One number per row; of probabilities that of the second class.
fn answer(inner: &Inner, method: Method, rows: &Rows<'_>) -> Result<Vec<f64>, Refusal> {
    Ok(inner.numbers(method, rows)?.column(usize::from(method == Method::PredictProba)))
}
