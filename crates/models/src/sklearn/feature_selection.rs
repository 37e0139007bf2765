//! Some of the columns (`sklearn/feature_selection`).

mod elimination;
mod importances;

use super::{Kind, compile};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};

/// What scores columns, and what was left of it.
const FIT: &str = "\
    cv cv_results_ direction estimator importance_getter max_features max_features_ min_features_to_select mode \
    n_features_ n_features_to_select n_features_to_select_ norm_order param prefit pvalues_ ranking_ score_func scoring step";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.feature_selection.SelectKBest", ignores: &[FIT], compile: k_best },
    Kind { path: "sklearn.feature_selection.SelectPercentile", ignores: &[FIT], compile: percentile },
    Kind { path: "sklearn.feature_selection.SelectFpr", ignores: &["score_func scores_"], compile: fpr },
    Kind { path: "sklearn.feature_selection.SelectFdr", ignores: &["score_func scores_"], compile: fdr },
    Kind { path: "sklearn.feature_selection.SelectFwe", ignores: &["score_func scores_"], compile: fwe },
    Kind {
        path: "sklearn.feature_selection.GenericUnivariateSelect",
        ignores: &["score_func scores_ pvalues_"],
        compile: any_of_these,
    },
    Kind { path: "sklearn.feature_selection.VarianceThreshold", ignores: &[], compile: variance_threshold },
    Kind {
        path: "sklearn.feature_selection.RFE",
        ignores: &[FIT, "estimator_"],
        compile: elimination::elimination,
    },
    Kind {
        path: "sklearn.feature_selection.RFECV",
        ignores: &[FIT, "classes_ estimator_ grid_scores_"],
        compile: elimination::elimination,
    },
    Kind {
        path: "sklearn.feature_selection.SequentialFeatureSelector",
        ignores: &[FIT],
        compile: by_support,
    },
    Kind { path: "sklearn.feature_selection.SelectFromModel", ignores: &[FIT], compile: from_model },
];

#[derive(Debug)]
struct Selection {
    n_columns: usize,
    kept: Vec<usize>,
    takes: Takes,
}

impl Selection {
    fn new(object: &Object<'_>, mask: &[bool], takes: Takes) -> Self {
        let kept = (0..mask.len()).filter(|column| mask[*column]).collect();
        object.find("n_features_in_");
        Self { n_columns: mask.len(), kept, takes }
    }
}

fn selection(object: &Object<'_>, mask: &[bool], takes: Takes) -> Step {
    transformer(Selection::new(object, mask, takes))
}

fn k_best(object: &Object<'_>) -> Result<Step, Fault> {
    k_best_by(object, "k")
}

fn k_best_by(object: &Object<'_>, key: &'static str) -> Result<Step, Fault> {
    let scores = scores(object)?;
    let k = object.get(key)?;
    if k.is_text("all") {
        return Ok(selection(object, &vec![true; scores.len()], Takes::Finite));
    }
    let k = k.count()?.min(scores.len());
    // The last of those in stable order.
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut mask = vec![false; scores.len()];
    order[scores.len() - k..].iter().for_each(|column| mask[*column] = true);
    Ok(selection(object, &mask, Takes::Finite))
}

fn percentile(object: &Object<'_>) -> Result<Step, Fault> {
    percentile_by(object, "percentile")
}

fn percentile_by(object: &Object<'_>, key: &'static str) -> Result<Step, Fault> {
    let scores = scores(object)?;
    let percentile = object.get(key)?.number()?;
    let threshold = quantile(&scores, (100.0 - percentile) / 100.0);
    let mut mask: Vec<bool> = scores.iter().map(|score| *score > threshold || percentile == 100.0).collect();
    if percentile > 0.0 && percentile < 100.0 {
        // What is equal to the threshold, as far as there is room.
        let wanted = (scores.len() as f64 * percentile / 100.0) as usize;
        let n_above = mask.iter().filter(|is_kept| **is_kept).count();
        let ties = (0..scores.len()).filter(|column| scores[*column] == threshold);
        let ties: Vec<usize> = ties.take(wanted.saturating_sub(n_above)).collect();
        ties.into_iter().for_each(|column| mask[column] = true);
    }
    if percentile == 0.0 {
        mask.fill(false);
    }
    Ok(selection(object, &mask, Takes::Finite))
}

/// Scores, of which those that are none count as lowest.
fn scores(object: &Object<'_>) -> Result<Vec<f64>, Fault> {
    let scores = object.get("scores_")?.numbers()?;
    Ok(scores.into_iter().map(|score| if score.is_nan() { f64::MIN } else { score }).collect())
}

/// `numpy.quantile`, linear.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    let (below, fraction) = (place.floor() as usize, place.fract());
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or_default();
    let (low, high) = (at(below), at(below + 1));
    if fraction == 0.0 { low } else { low + (high - low) * fraction }
}

fn fpr(object: &Object<'_>) -> Result<Step, Fault> {
    fpr_by(object, "alpha")
}

fn fpr_by(object: &Object<'_>, key: &'static str) -> Result<Step, Fault> {
    let alpha = object.get(key)?.number()?;
    let mask: Vec<bool> = object.get("pvalues_")?.numbers()?.iter().map(|p| *p < alpha).collect();
    Ok(selection(object, &mask, Takes::Finite))
}

fn fdr(object: &Object<'_>) -> Result<Step, Fault> {
    fdr_by(object, "alpha")
}

fn fdr_by(object: &Object<'_>, key: &'static str) -> Result<Step, Fault> {
    let alpha = object.get(key)?.number()?;
    let p_values = object.get("pvalues_")?.numbers()?;
    let mut sorted = p_values.clone();
    sorted.sort_by(f64::total_cmp);
    let n_columns = sorted.len() as f64;
    let is_low = |(rank, p): &(usize, &f64)| **p <= alpha / n_columns * (*rank + 1) as f64;
    let last = sorted.iter().enumerate().filter(is_low).map(|(_, p)| *p).next_back();
    let mask: Vec<bool> = p_values.iter().map(|p| last.is_some_and(|last| *p <= last)).collect();
    Ok(selection(object, &mask, Takes::Finite))
}

fn fwe(object: &Object<'_>) -> Result<Step, Fault> {
    fwe_by(object, "alpha")
}

fn fwe_by(object: &Object<'_>, key: &'static str) -> Result<Step, Fault> {
    let alpha = object.get(key)?.number()?;
    let p_values = object.get("pvalues_")?.numbers()?;
    let mask: Vec<bool> = p_values.iter().map(|p| *p < alpha / p_values.len() as f64).collect();
    Ok(selection(object, &mask, Takes::Finite))
}

/// One of the selections above, by its name.
fn any_of_these(object: &Object<'_>) -> Result<Step, Fault> {
    const PARAMETER: &str = "param";
    let mode = object.get("mode")?;
    match mode.text()?.as_ref() {
        "k_best" => k_best_by(object, PARAMETER),
        "percentile" => percentile_by(object, PARAMETER),
        "fpr" => fpr_by(object, PARAMETER),
        "fdr" => fdr_by(object, PARAMETER),
        "fwe" => fwe_by(object, PARAMETER),
        _ => Err(mode.unsupported("it is `k_best`, `percentile`, `fpr`, `fdr` or `fwe`")),
    }
}

fn variance_threshold(object: &Object<'_>) -> Result<Step, Fault> {
    let threshold = object.get("threshold")?.number()?;
    let mask: Vec<bool> = object.get("variances_")?.numbers()?.iter().map(|x| *x > threshold).collect();
    Ok(selection(object, &mask, Takes::Missing))
}

fn by_support(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(selection(object, &support(object)?, Takes::Missing))
}

/// Which columns are kept, where it is saved so.
fn support(object: &Object<'_>) -> Result<Vec<bool>, Fault> {
    Ok(object.get("support_")?.integers()?.iter().map(|flag| *flag == 1).collect())
}

/// The columns whose importance to an estimator is at least a threshold.
fn from_model(object: &Object<'_>) -> Result<Step, Fault> {
    let getter = object.find("importance_getter");
    if let Some(getter) = getter.filter(|getter| !getter.is_text("auto")) {
        return Err(getter.unsupported("importances are those that `auto` finds"));
    }
    let value = object.get_any(&["estimator_", "estimator"])?;
    // Nothing of it is asked later, but what it is must be known.
    compile(&value, Some("estimator"))?;
    let importances = importances(&value, object)?;
    let threshold = threshold(object, &value, &importances)?;
    let mut mask: Vec<bool> = importances.iter().map(|importance| *importance >= threshold).collect();
    let limit = object.some("max_features_").or(object.some("max_features"));
    if let Some(limit) = limit.filter(|_| object.some("max_features").is_some()) {
        let mut order: Vec<usize> = (0..importances.len()).collect();
        order.sort_by(|a, b| (-importances[*a]).total_cmp(&-importances[*b]));
        order.iter().skip(limit.count()?).for_each(|column| mask[*column] = false);
    }
    let is_linear = value.object()?.find("coef_").is_some();
    Ok(selection(object, &mask, if is_linear { Takes::Finite } else { Takes::Missing }))
}

/// `coef_`, by size, or else `feature_importances_`, which only some estimators save.
fn importances(value: &Value<'_>, selector: &Object<'_>) -> Result<Vec<f64>, Fault> {
    let estimator = value.object()?;
    let Some(coefficients) = estimator.find("coef_") else {
        return importances::importances(&estimator)?
            .ok_or_else(|| Fault::unsupported(format!("`{}` of `{}`", selector.class(), estimator.class())));
    };
    if coefficients.array()?.shape.len() == 1 {
        return Ok(coefficients.numbers()?.iter().map(|x| x.abs()).collect());
    }
    let grid = coefficients.grid()?;
    let norm = selector.find("norm_order").map_or(Ok(1.0), |order| order.number())?;
    let of_column = |column: usize| {
        let sizes = grid.column(column).into_iter().map(f64::abs);
        match norm {
            1.0 => sizes.sum(),
            f64::INFINITY => sizes.fold(0.0, f64::max),
            f64::NEG_INFINITY => sizes.fold(f64::INFINITY, f64::min),
            order => sizes.map(|size| size.powf(order)).sum::<f64>().powf(1.0 / order),
        }
    };
    Ok((0..grid.n_columns).map(of_column).collect())
}

/// `_calculate_threshold`
fn threshold(selector: &Object<'_>, estimator: &Value<'_>, importances: &[f64]) -> Result<f64, Fault> {
    let threshold = selector.get("threshold")?;
    selector.find("threshold_");
    let mean = || importances.iter().sum::<f64>() / importances.len().max(1) as f64;
    let median = || quantile(importances, 0.5);
    if threshold.is_none() {
        let estimator = estimator.object()?;
        let is_l1 = estimator.some("penalty").is_some_and(|penalty| penalty.is_text("l1"));
        let l1_ratio = ["l1_ratio_", "l1_ratio"].into_iter().find_map(|key| estimator.some(key));
        let l1_ratio = l1_ratio.and_then(|ratio| ratio.number().ok());
        let is_lasso = estimator.name().contains("Lasso");
        let is_elastic = estimator.name().contains("ElasticNet") || estimator.name().starts_with("Logistic");
        let is_sparse = is_l1 || is_lasso || is_elastic && l1_ratio == Some(1.0);
        return Ok(if is_sparse { 1e-5 } else { mean() });
    }
    let Ok(text) = threshold.text() else { return threshold.number() };
    let (scale, name) = match text.split_once('*') {
        Some((scale, name)) => (scale.trim().parse().ok(), name.trim()),
        None => (Some(1.0), text.trim()),
    };
    match (scale, name) {
        (Some(scale), "mean") => Ok(scale * mean()),
        (Some(scale), "median") => Ok(scale * median()),
        _ => Err(threshold.unsupported("a threshold is a number, or a multiple of `mean` or `median`")),
    }
}

// === impl Selection ===

impl Part for Selection {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_columns)
    }

    fn hint(&self, column: usize) -> Hint {
        if self.kept.binary_search(&column).is_ok() { Hint::default() } else { Hint::unused() }
    }
}

impl Transformer for Selection {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.kept.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let matrix = Rows::Matrix(rows.into_matrix(self.takes, "a selection of columns")?);
        let Rows::Matrix(selected) = matrix.select(&self.kept) else { unreachable!("of a matrix") };
        Ok(Rows::matrix(selected.n_rows, selected.n_columns, selected.values.into_owned()))
    }
}
