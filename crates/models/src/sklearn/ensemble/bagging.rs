//! Bagging: the mean of models that were each fitted with some of the rows and columns.

use crate::classifier::{pick, places};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::Object;
use crate::rows::{Refusal, Rows};
use crate::sklearn::inner::{Combine, Inner, around};
use crate::{Data, Method, Prediction};

/// How the models were fitted.
pub(super) const FIT: &str = "\
    base_estimator base_estimator_ bootstrap bootstrap_features estimator estimator_ estimator_params \
    max_features _max_features max_samples _max_samples n_classes_ n_estimators n_features_ _n_samples \
    oob_decision_function_ oob_prediction_ oob_score oob_score_ _seeds _sample_weight";

#[derive(Debug)]
struct Bagging {
    /// The columns of each model, if they are not all columns in order.
    columns: Vec<Option<Vec<usize>>>,
    classes: Option<Classes>,
    has_scores: bool,
}

#[derive(Debug)]
struct Classes {
    labels: Data,
    /// The places of each model's classes among all.
    places: Vec<Vec<usize>>,
}

pub(super) fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    bagging(object, inner, None)
}

pub(super) fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let labels = object.get("classes_")?.labels()?;
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    let numbers = Data::Long((0..).take(labels.len()).collect());
    let places_of = |inner: &Inner| inner.classes().and_then(|own| places(own, &numbers));
    let places: Option<Vec<Vec<usize>>> = inner.iter().map(places_of).collect();
    let places = places.ok_or_else(|| object.problem("an estimator does not know the classes by number"))?;
    bagging(object, inner, Some(Classes { labels, places }))
}

fn bagging(object: &Object<'_>, inner: Vec<Inner>, classes: Option<Classes>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features_in_", "n_features_"])?;
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let features = object.get("estimators_features_")?;
    let columns = features.items()?.into_iter().map(|value| columns(&value.integers()?, n_columns));
    let columns: Option<Vec<Option<Vec<usize>>>> = columns.collect::<Result<_, Fault>>()?;
    let columns = columns.ok_or_else(|| features.problem("name a column that is not there"))?;
    if columns.len() != inner.len() {
        return Err(features.problem("are not one per estimator"));
    }
    let has_scores = inner.iter().all(|inner| inner.has(Method::DecisionFunction));
    Ok(around(inner, Some(n_columns), Bagging { columns, classes, has_scores }))
}

/// The columns of a model: `Some(None)` if they are all columns in order, and `None` if one is not there.
pub(super) type Picked = Option<Option<Vec<usize>>>;

pub(super) fn columns(saved: &[i64], n_columns: usize) -> Result<Picked, Fault> {
    let column = |column: &i64| usize::try_from(*column).ok().filter(|column| *column < n_columns);
    let Some(columns) = saved.iter().map(column).collect::<Option<Vec<usize>>>() else { return Ok(None) };
    Ok(Some(Some(columns).filter(|columns| !columns.iter().copied().eq(0..n_columns))))
}

impl Bagging {
    /// The sum of the answers, in columns; those of a classifier are at the places of its classes.
    fn sums(&self, method: Method, rows: &Rows<'_>, inner: &[Inner]) -> Result<(usize, Vec<f64>), Refusal> {
        let mut width = 0;
        let mut sums: Vec<f64> = Vec::new();
        for (index, (inner, columns)) in inner.iter().zip(&self.columns).enumerate() {
            let picked = match columns {
                Some(columns) => rows.select(columns),
                None => rows.borrowed(),
            };
            // A classifier without probabilities votes.
            let votes = method == Method::PredictProba && !inner.has(method);
            let asked = if votes { Method::Predict } else { method };
            let answer =
                inner.numbers(asked, &picked).map_err(|refusal| found(refusal, columns.as_deref()))?;
            let n_classes = self.classes.as_ref().map(|classes| classes.labels.len());
            let per_class = n_classes.filter(|_| method == Method::PredictProba);
            if index == 0 {
                width = per_class.unwrap_or(answer.n_columns);
                sums = vec![0.0; rows.n_rows() * width];
            }
            for (sums, answer) in sums.chunks_exact_mut(width.max(1)).zip(answer.rows()) {
                match (&self.classes, per_class) {
                    (Some(_), Some(n_classes)) if votes => {
                        let class = answer.first().map_or(0, |class| *class as usize);
                        sums[class.min(n_classes - 1)] += 1.0;
                    }
                    (Some(classes), Some(_)) => {
                        let places = &classes.places[index];
                        places.iter().zip(answer).for_each(|(place, x)| sums[*place] += x);
                    }
                    _ => sums.iter_mut().zip(answer).for_each(|(sum, x)| *sum += x),
                }
            }
        }
        Ok((width, sums))
    }
}

/// The refusal with the column counted among all.
fn found(refusal: Refusal, columns: Option<&[usize]>) -> Refusal {
    let Some(columns) = columns else { return refusal };
    Refusal { column: refusal.column.and_then(|column| columns.get(column).copied()), ..refusal }
}

impl Combine for Bagging {
    fn methods(&self) -> Vec<Method> {
        let mut methods = vec![Method::Predict];
        methods.extend(self.classes.as_ref().map(|_| Method::PredictProba));
        methods.extend((self.classes.is_some() && self.has_scores).then_some(Method::DecisionFunction));
        methods
    }

    fn classes(&self) -> Option<&Data> {
        self.classes.as_ref().map(|classes| &classes.labels)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let asked = match (method, &self.classes) {
            (Method::Predict, Some(_)) => Method::PredictProba,
            (method, _) => method,
        };
        let (width, mut means) = self.sums(asked, &rows, inner)?;
        means.iter_mut().for_each(|sum| *sum /= inner.len() as f64);
        Ok(match (method, &self.classes) {
            (Method::Predict, Some(classes)) => {
                pick(&classes.labels, means.chunks_exact(width.max(1)).map(argmax))
            }
            (Method::Predict | Method::DecisionFunction, _) if width == 1 => {
                Prediction::flat(Data::Double(means))
            }
            _ => Prediction::rows(width, Data::Double(means)),
        })
    }
}
