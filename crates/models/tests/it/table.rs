//! `docs/models.md` says of every class what it was compared in. It is written by this test (`UPDATE_EXPECT=1`), never by
//! hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::cases::{BIT_EQUAL, Case, fixtures};

const HEAD: &str = "\
# What models are compared with

Every line is a class of which files are among the fixtures: how many, in which formats, written by which versions of the
library, and how near Forebay's answers to all methods are to those of Python. *Equal* means to the last bit in every file;
otherwise no answer differed by more than the number, relative to what is greater than one: differences come from sums,
logarithms and exponentials that Python's libraries compute in another order, and in 32 bits where a library does. A class
inside of a pipeline counts with its pipeline. Classes that are served and are not here (`forebay model inspect` names what
it does not know) have no file of their own among the fixtures.

Four things to know:

- Among neighbours that are equally far away, scikit-learn's brute force (`KNeighborsClassifier` and its relatives above 15
  columns or of few rows, `KNNImputer`) takes those that a partial sort leaves in front, which may be others on another
  processor. Here it is the first ones. Data of whole numbers has many such ties.
- A LightGBM text file does not say which class wrote it: of an objective that tells classes apart it answers classes, and the
  probabilities as `predict_proba`. A pickle or an MLflow folder of the `Booster` answers probabilities, as in Python.
- XGBoost sums in 32 bits. Its DART boosters differ between versions in the last of them.
- `apply` of a `GradientBoostingClassifier` has a column for each tree: the leaves of the classes side by side, stage after
  stage, where scikit-learn has a third dimension (`.reshape(rows, stages, -1)` gives it back).

This page is written by a test of `crates/models` from the fixtures.

| class | files | formats | versions | difference |
|---|---|---|---|---|
";

/// What is known of a class.
#[derive(Default)]
struct Line {
    n_files: usize,
    formats: BTreeSet<String>,
    versions: BTreeSet<String>,
    /// The largest one, rounded up to a power of ten.
    difference: f64,
}

/// What differs at all may differ by this on another processor.
const LAST_BITS: f64 = 1e-15;

#[test]
fn the_page_of_models_is_what_the_fixtures_say() {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for folder in
        fixtures().read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let case = Case::read(&folder);
        let is_equal = BIT_EQUAL.split_whitespace().any(|name| name == case.name);
        for file in case.files.values() {
            let model = models::load(file).unwrap();
            let difference = if is_equal { 0.0 } else { case.check(file).unwrap().max(LAST_BITS) };
            let description = model.description();
            let classes: BTreeSet<String> =
                description.parts.iter().map(|part| public_path(&part.class)).collect();
            for class in classes {
                let library = class.split('.').next().unwrap().replace("sklearn", "scikit-learn");
                let line = lines.entry(class).or_default();
                line.n_files += 1;
                line.formats.insert(format_of(&description.format));
                let versions = description.libraries.iter().filter(|(name, _)| *name == library);
                line.versions.extend(versions.map(|(_, version)| version.clone()));
                line.difference = line.difference.max(difference);
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let old_page = std::fs::read_to_string(&path).unwrap();
    let is_written = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut page = HEAD.to_owned();
    for (class, line) in &lines {
        let [formats, versions] =
            [&line.formats, &line.versions].map(|set| set.iter().cloned().collect::<Vec<_>>().join(", "));
        let difference = match stated(&old_page, class) {
            // Another processor may be another digit away.
            Some(stated) if !is_written && line.difference <= 10.0 * stated => stated,
            _ if line.difference == 0.0 => 0.0,
            _ => format!("1e{}", line.difference.log10().ceil()).parse().unwrap(),
        };
        let difference = if difference == 0.0 { "equal".to_owned() } else { format!("{difference:e}") };
        writeln!(page, "| `{class}` | {} | {formats} | {versions} | {difference} |", line.n_files).unwrap();
    }
    expect_test::expect_file![path].assert_eq(&page);
}

/// The difference that a page states for a class.
fn stated(page: &str, class: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.starts_with(&format!("| `{class}` |")))?;
    match line.trim_end_matches(" |").rsplit(' ').next()? {
        "equal" => Some(0.0),
        number => number.parse().ok(),
    }
}

/// `sklearn.svm._classes.SVC` → `sklearn.svm.SVC`
fn public_path(class: &str) -> String {
    let segments: Vec<&str> = class.split('.').collect();
    match &segments[..] {
        [library, package, .., name] if segments.len() > 3 => format!("{library}.{package}.{name}"),
        _ => class.to_owned(),
    }
}

/// `joblib, zlib` → `joblib`
fn format_of(format: &str) -> String {
    let word = if format.starts_with("MLflow") { "MLflow" } else { format.split(',').next().unwrap() };
    word.to_owned()
}
