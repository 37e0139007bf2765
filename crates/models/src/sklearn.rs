//! Estimators of scikit-learn, from their saved attributes.
//!
//! One file per package and one line per class. What a class does not read and does not list as meaningless for
//! answers is refused: it may be a parameter of a version to come.

mod by_row;
mod calibration;
mod category_encoders;
mod cluster;
mod compose;
mod cross_decomposition;
mod decomposition;
mod discriminant_analysis;
mod dummy;
mod ensemble;
mod feature_extraction;
mod feature_selection;
mod further;
mod gradient_boosting;
mod hist_gradient_boosting;
mod impute;
mod inner;
mod isotonic;
mod kernels;
mod linear_model;
mod mixture;
mod model_selection;
mod multiclass;
mod multioutput;
mod naive_bayes;
mod neighbors;
mod neural_network;
mod pipeline;
mod preprocessing;
mod semi_supervised;
mod svm;
mod tree;

use std::collections::BTreeSet;

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{MAX_COLUMNS, Object, Value};
use crate::{catboost, lightgbm, xgboost};

/// A class that can be compiled.
pub(crate) struct Kind {
    /// Its package and name, without the private modules between them, which change with every version.
    pub(crate) path: &'static str,
    /// Lists of attributes that no answer depends on, with spaces between them.
    pub(crate) ignores: &'static [&'static str],
    pub(crate) compile: fn(&Object<'_>) -> Result<Step, Fault>,
}

/// All classes, by package.
const KINDS: &[&[Kind]] = &[
    calibration::KINDS,
    category_encoders::KINDS,
    cluster::KINDS,
    catboost::KINDS,
    compose::KINDS,
    cross_decomposition::KINDS,
    decomposition::KINDS,
    discriminant_analysis::KINDS,
    dummy::KINDS,
    ensemble::KINDS,
    feature_extraction::KINDS,
    feature_selection::KINDS,
    gradient_boosting::KINDS,
    hist_gradient_boosting::KINDS,
    impute::KINDS,
    isotonic::KINDS,
    kernels::KINDS,
    lightgbm::KINDS,
    linear_model::KINDS,
    mixture::KINDS,
    model_selection::KINDS,
    multiclass::KINDS,
    multioutput::KINDS,
    naive_bayes::KINDS,
    neighbors::KINDS,
    neural_network::KINDS,
    pipeline::KINDS,
    preprocessing::KINDS,
    semi_supervised::KINDS,
    svm::KINDS,
    tree::KINDS,
    xgboost::KINDS,
];

/// Attributes that mean the same everywhere, and never change an answer.
const IGNORED_EVERYWHERE: &str = "\
    _sklearn_version _sklearn_output_config _metadata_request _repr_html_link class_weight copy copy_X \
    max_iter n_iter_ n_jobs random_state tol verbose warm_start";

/// An estimator, and the names of the columns it was fitted with.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) step: Step,
    pub(crate) names: Option<Vec<String>>,
}

/// Makes an estimator of what was saved of it. `name` is what the estimator around it calls it.
pub(crate) fn compile(value: &Value<'_>, name: Option<&str>) -> Result<Compiled, Fault> {
    if value.object().is_err() {
        return Err(no_estimator(value));
    }
    value.nested(name, |object| {
        let kind = find(object.class())?;
        let step = further::add(kind.path, &object, (kind.compile)(&object)?)?;
        let own_names = object.some("feature_names_in_").map(|names| names.texts()).transpose()?;
        let names = step.part().names().map(<[String]>::to_vec).or(own_names);
        check_inputs(&object, &step, names.as_deref())?;
        check_nothing_was_missed(&object, kind)?;
        Ok(Compiled { step, names })
    })
}

fn no_estimator(value: &Value<'_>) -> Fault {
    if !value.is_root() {
        return value.problem(&format!("have {} in the place of an estimator", value.show()));
    }
    // A text may be any text, which is not for those who read errors.
    let shown = if value.text().is_ok() { "a text".to_owned() } else { value.show() };
    let what = format!("a file that holds {shown} instead of an estimator");
    Fault::Unsupported { what, help: Some("save the fitted estimator itself".to_owned()) }
}

/// Reads an estimator that is one of many inside another.
fn member<'s, T>(value: &Value<'s>, read: impl FnOnce(&Object<'s>) -> Result<T, Fault>) -> Result<T, Fault> {
    let object = value.object()?;
    let kind = find(object.class())?;
    let result = read(&object)?;
    object.find("n_features_in_");
    object.find("n_features_");
    object.find("feature_names_in_");
    check_nothing_was_missed(&object, kind)?;
    Ok(result)
}

/// Whether a class is one of those that are served.
pub(crate) fn is_known(class: &str) -> bool {
    find(class).is_ok()
}

fn find(class: &str) -> Result<&'static Kind, Fault> {
    let path = public_path(class);
    KINDS
        .iter()
        .copied()
        .flatten()
        .find(|kind| kind.path == path)
        .ok_or_else(|| Fault::Unsupported { what: format!("`{class}`"), help: Some(known_beside(&path)) })
}

/// The classes that are known of the same package, or the packages if there are none.
fn known_beside(path: &str) -> String {
    let package = |path: &str| path.rsplit_once('.').map_or("", |(package, _)| package).to_owned();
    let paths = || KINDS.iter().copied().flatten().map(|kind| kind.path);
    let of_package = paths().filter(|known| package(known) == package(path));
    let mut names: Vec<&str> = of_package.filter_map(|path| path.rsplit('.').next()).collect();
    names.retain(|name| !name.starts_with('_'));
    names.sort_unstable();
    if !names.is_empty() {
        return format!("of `{}` this build has {}", package(path), names.join(", "));
    }
    let packages: BTreeSet<String> = paths().map(package).collect();
    format!("this build has classes of {}", packages.into_iter().collect::<Vec<_>>().join(", "))
}

/// `sklearn.svm._classes.SVC` → `sklearn.svm.SVC`
fn public_path(class: &str) -> String {
    let mut segments = class.split('.');
    let ends = (segments.next(), segments.next(), segments.next_back());
    match ends {
        (Some(library), Some(package), Some(name)) => format!("{library}.{package}.{name}"),
        _ => class.to_owned(),
    }
}

fn check_inputs(object: &Object<'_>, step: &Step, names: Option<&[String]>) -> Result<(), Fault> {
    // What was called `n_features_` is something else where there is the newer name.
    let (new, old) = (object.some("n_features_in_"), object.some("n_features_"));
    // Selections call so what they let through.
    let old = old.filter(|_| !matches!(object.name(), "RFE" | "RFECV"));
    let said = new.or(old);
    let Some(n_inputs) = step.part().n_inputs() else { return Ok(()) };
    if n_inputs > MAX_COLUMNS {
        return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
    }
    if let Some(said) = said
        && said.count()? != n_inputs
    {
        return Err(said.problem(&format!("contradicts the {n_inputs} columns of the fitted values")));
    }
    if names.is_some_and(|names| names.len() != n_inputs) {
        return Err(object.problem(format!("the number of column names is not {n_inputs}")));
    }
    Ok(())
}

fn check_nothing_was_missed(object: &Object<'_>, kind: &Kind) -> Result<(), Fault> {
    let lists = || kind.ignores.iter().chain([&IGNORED_EVERYWHERE]);
    let is_ignored = |key: &&str| lists().any(|list| list.split_whitespace().any(|ignored| ignored == *key));
    let missed: Vec<&str> = object.unread().into_iter().filter(|key| !is_ignored(key)).collect();
    match &missed[..] {
        [] => Ok(()),
        [key, ..] => Err(Fault::Unsupported {
            what: format!("`{}` with the attribute `{key}`", object.class()),
            help: Some("this build does not know whether answers depend on it".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats;

    #[test]
    fn private_modules_do_not_count() {
        for (class, path) in [
            ("sklearn.svm._classes.SVC", "sklearn.svm.SVC"),
            ("sklearn.svm.classes.SVC", "sklearn.svm.SVC"),
            ("sklearn.pipeline.Pipeline", "sklearn.pipeline.Pipeline"),
            (
                "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
                "sklearn.ensemble.HistGradientBoostingClassifier",
            ),
            ("builtins.object", "builtins.object"),
        ] {
            assert_eq!(public_path(class), path);
        }
    }

    /// `Pipeline(steps=[("a", part), ("a", part)])`, with the part on the stack. It is remembered under this number.
    fn twice(part: &[u8], number: u8) -> Vec<u8> {
        let part = [part, b"q", &[number]].concat();
        let again = [b"h", &[number][..]].concat();
        let pair = |part: &[u8]| [b"X\x01\0\0\0a", part, b"\x86"].concat();
        let steps = [b"](".as_slice(), &pair(&part), &pair(&again), b"e"].concat();
        [b"csklearn.pipeline\nPipeline\n)\x81}X\x05\0\0\0steps", &steps[..], b"sb"].concat()
    }

    fn nested(n_levels: u8) -> Result<formats::Content, Fault> {
        let scaler = b"csklearn.preprocessing\nMaxAbsScaler\n)\x81}X\x06\0\0\0scale_](K\x01esb".to_vec();
        let pickle = (0..n_levels).fold(scaler, |part, number| twice(&part, number));
        formats::load_pickle(&[b"\x80\x02".as_slice(), &pickle, b"."].concat(), None)
    }

    #[test]
    fn a_small_file_does_not_unfold_into_a_large_model() {
        assert_eq!(nested(3).unwrap().outline.len(), 15);
        let fault = nested(30).unwrap_err();
        assert!(matches!(fault, Fault::TooLarge { what: "bytes in the unfolded model", .. }), "{fault:?}");
        let fault = nested(40).unwrap_err();
        assert_eq!(fault, Fault::TooLarge { what: "estimators inside each other", limit: 32 });
    }

    #[test]
    fn no_class_is_listed_twice() {
        let mut paths: Vec<&str> = KINDS.iter().copied().flatten().map(|kind| kind.path).collect();
        let n_paths = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), n_paths);
    }
}
