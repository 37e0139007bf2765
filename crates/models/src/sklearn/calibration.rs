//! Scores to probabilities that can be believed (`sklearn/calibration.py`).

use super::Kind;
use super::inner::{Combine, Inner, around};
use super::isotonic::Curve;
use crate::classifier::places;
use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::{argmax, expit, softmax};
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};

pub(super) const KINDS: &[Kind] = &[Kind {
    path: "sklearn.calibration.CalibratedClassifierCV",
    ignores: &["base_estimator cv ensemble estimator method"],
    compile: calibrated,
}];

/// The mean of several classifiers, each with its calibration.
#[derive(Debug)]
struct Calibrated {
    classes: Data,
    calibrations: Vec<Calibration>,
}

#[derive(Debug)]
enum Calibration {
    /// A curve for each class of the classifier, and that class's place; for two classes, that of the second.
    OfEach { curves: Vec<(usize, OfScore)> },
    /// The logits times this.
    Temperature { inverse: f64 },
}

#[derive(Debug)]
enum OfScore {
    Sigmoid { a: f64, b: f64 },
    Isotonic(Curve),
}

fn calibrated(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let members = object.get("calibrated_classifiers_")?.items()?;
    let mut inner = Vec::with_capacity(members.len());
    let mut calibrations = Vec::with_capacity(members.len());
    for member in &members {
        let member = member.object()?;
        let classifier = Inner::read(&member.get_any(&["estimator", "base_estimator"])?, None)?;
        calibrations.push(Calibration::read(&member, &classifier, &classes)?);
        inner.push(classifier);
    }
    if inner.is_empty() {
        return Err(object.problem("it has no classifiers"));
    }
    Ok(around(inner, None, Calibrated { classes, calibrations }))
}

// === impl Calibration ===

impl Calibration {
    fn read(member: &Object<'_>, classifier: &Inner, classes: &Data) -> Result<Self, Fault> {
        let calibrators = member.get_any(&["calibrators", "calibrators_"])?;
        let known = classifier.classes().and_then(|own| places(own, classes));
        let calibrators = calibrators.items()?;
        let method = member.get("method")?;
        match (method.text()?.as_ref(), &calibrators[..]) {
            ("temperature", [calibrator])
                if classifier.classes().is_some_and(|own| own.len() == classes.len()) =>
            {
                Ok(Self::Temperature { inverse: calibrator.object()?.get("beta_")?.number()? })
            }
            ("sigmoid" | "isotonic", _) => {
                let known = known.ok_or_else(|| member.problem("its classifier knows other classes"))?;
                let places = if classes.len() == 2 { vec![1] } else { known };
                let curves = places.into_iter().zip(&calibrators);
                let curves = curves.map(|(place, calibrator)| Ok((place, OfScore::read(calibrator)?)));
                Ok(Self::OfEach { curves: curves.collect::<Result<_, Fault>>()? })
            }
            _ => Err(method.unsupported("it is `sigmoid`, `isotonic` or `temperature`")),
        }
    }

    /// The probabilities of a row from the scores of its classifier.
    fn probabilities(&self, scores: &[f64], asked: Method, n_classes: usize) -> Vec<f64> {
        let mut probabilities = match self {
            Self::Temperature { inverse } => {
                let mut logits = logits(scores, asked == Method::PredictProba);
                logits.iter_mut().for_each(|logit| *logit *= inverse);
                softmax(&mut logits);
                logits
            }
            Self::OfEach { curves } => {
                let mut probabilities = vec![0.0; n_classes];
                for (score, (place, curve)) in scores.iter().zip(curves) {
                    probabilities[*place] = curve.at(*score);
                }
                probabilities
            }
        };
        match (self, &mut probabilities[..]) {
            (Self::OfEach { .. }, [first, second]) => *first = 1.0 - *second,
            (Self::OfEach { .. }, all) => {
                let sum: f64 = all.iter().sum();
                let share = |x: f64| if sum == 0.0 { 1.0 / n_classes as f64 } else { x / sum };
                all.iter_mut().for_each(|x| *x = share(*x));
            }
            _ => {}
        }
        let is_slightly_above = |x: &&mut f64| **x > 1.0 && **x <= 1.0 + 1e-5;
        probabilities.iter_mut().filter(is_slightly_above).for_each(|x| *x = 1.0);
        probabilities.resize(n_classes, 0.0);
        probabilities
    }
}

/// `_convert_to_logits`: probabilities become logarithms, the score of two classes becomes two.
fn logits(scores: &[f64], are_probabilities: bool) -> Vec<f64> {
    /// What is added so that there is a logarithm.
    const LEAST: f64 = 1e-12;

    match scores {
        [score] => vec![-score, *score],
        scores if are_probabilities => scores.iter().map(|x| (x + LEAST).ln()).collect(),
        scores => scores.to_vec(),
    }
}

impl OfScore {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let object = value.object()?;
        match object.name() {
            "_SigmoidCalibration" => {
                Ok(Self::Sigmoid { a: object.get("a_")?.number()?, b: object.get("b_")?.number()? })
            }
            "IsotonicRegression" => Curve::read(&object).map(Self::Isotonic),
            _ => Err(Fault::unsupported(format!("`{}` as a calibration", object.class()))),
        }
    }

    fn at(&self, score: f64) -> f64 {
        match self {
            Self::Sigmoid { a, b } => expit(-(a * score + b)),
            Self::Isotonic(curve) => curve.at(score),
        }
    }
}

// === impl Calibrated ===

impl Combine for Calibrated {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let n_classes = self.classes.len();
        let mut means = vec![0.0; rows.n_rows() * n_classes];
        for (classifier, calibration) in inner.iter().zip(&self.calibrations) {
            let asked = classifier.score_method();
            let scores = classifier.numbers(asked, &rows)?;
            // A classifier that was fitted with two classes has one score.
            let is_pair = asked == Method::PredictProba && scores.n_columns == 2;
            let keeps_pair = matches!(calibration, Calibration::Temperature { .. });
            let first = usize::from(is_pair && !keeps_pair);
            for (means, scores) in means.chunks_exact_mut(n_classes).zip(scores.rows()) {
                let probabilities = calibration.probabilities(&scores[first..], asked, n_classes);
                means.iter_mut().zip(probabilities).for_each(|(mean, probability)| *mean += probability);
            }
        }
        means.iter_mut().for_each(|mean| *mean /= inner.len() as f64);
        Ok(match method {
            Method::PredictProba => Prediction::rows(n_classes, Data::Double(means)),
            _ => crate::classifier::pick(&self.classes, means.chunks_exact(n_classes).map(argmax)),
        })
    }
}
