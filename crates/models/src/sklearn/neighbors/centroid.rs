//! `NearestCentroid`: the class whose middle is nearest.

use super::index::Metric;
use crate::Method;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::softmax;
use crate::object::{Grid, Object};
use crate::sklearn::by_row::{Answers, RowPredictor, answers_rows};

#[derive(Debug)]
struct NearestCentroid {
    centroids: Grid,
    metric: Metric,
    discriminant: Option<Discriminant>,
}

/// What versions since 1.6 make of distances.
#[derive(Debug)]
struct Discriminant {
    /// What columns are divided by.
    scales: Vec<f64>,
    log_priors: Vec<f64>,
    /// Whether the class is that of the highest score, because priors differ.
    decides: bool,
}

pub(super) fn nearest_centroid(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let centroids = object.get("centroids_")?.grid()?;
    if centroids.n_rows != classes.len() {
        return Err(object.problem("it has not one middle per class"));
    }
    let metric = object.get("metric")?;
    let known = metric.text().ok().and_then(|name| Metric::named(&name, 2.0));
    let known = known.filter(|known| matches!(known, Metric::Euclidean | Metric::Manhattan));
    let known = known.ok_or_else(|| metric.unsupported("it is `euclidean` or `manhattan`"))?;
    let scales = object.find("within_class_std_dev_");
    let discriminant = match object.some("class_prior_") {
        None => None,
        Some(priors) => {
            let priors = priors.n_numbers(classes.len())?;
            let scales = scales.map(|scales| scales.n_numbers(centroids.n_columns)).transpose()?;
            let scales = scales.ok_or_else(|| object.problem("`within_class_std_dev_` is missing"))?;
            let equal = 1.0 / classes.len() as f64;
            // `numpy.isclose`
            let are_equal = priors.iter().all(|prior| (prior - equal).abs() <= 1e-8 + 1e-5 * equal);
            let log_priors = priors.iter().map(|prior| prior.ln()).collect();
            Some(Discriminant { scales, log_priors, decides: !are_equal })
        }
    };
    let has_scores = discriminant.is_some() && known == Metric::Euclidean;
    let others: &[Method] = if has_scores { &[Method::PredictProba, Method::DecisionFunction] } else { &[] };
    let answers = Answers::class(classes, others);
    Ok(answers_rows(object, answers, NearestCentroid { centroids, metric: known, discriminant }))
}

impl Discriminant {
    fn scores(&self, centroids: &Grid, metric: Metric, row: &[f64]) -> Vec<f64> {
        let scaled = |values: &[f64]| -> Vec<f64> {
            let scale = |(x, scale): (&f64, &f64)| if *scale == 0.0 { *x } else { x / scale };
            values.iter().zip(&self.scales).map(scale).collect()
        };
        let row = scaled(row);
        let classes = centroids.rows().zip(&self.log_priors);
        classes
            .map(|(centroid, log_prior)| -metric.distance(&row, &scaled(centroid)).powi(2) + 2.0 * log_prior)
            .collect()
    }
}

impl RowPredictor for NearestCentroid {
    fn n_inputs(&self) -> usize {
        self.centroids.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.centroids.values.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let discriminant = match &self.discriminant {
            Some(discriminant) if discriminant.decides || method != Method::Predict => discriminant,
            _ => {
                let distances = self.centroids.rows().map(|centroid| self.metric.distance(row, centroid));
                return numbers.extend(distances.map(|distance| -distance));
            }
        };
        let mut scores = discriminant.scores(&self.centroids, self.metric, row);
        match (method, &scores[..]) {
            (Method::PredictProba, _) => softmax(&mut scores),
            (Method::DecisionFunction, [first, second]) => scores = vec![second - first],
            _ => {}
        }
        numbers.extend(scores);
    }
}
