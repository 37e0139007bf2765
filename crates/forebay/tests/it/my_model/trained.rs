//! The same with models that are trained and saved just now, by the libraries of today, and compared with what these
//! libraries answer themselves.
//!
//! They are installed from PyPI, so this does something only where that is wanted: with `FOREBAY_TEST_PYPI=1`.

use serde_json::Value;

use crate::FOREBAY;
use crate::clients::{TRAINING, run};
use crate::serve::Serving;

#[test]
fn models_trained_and_saved_today_answer_as_their_libraries_do_over_every_protocol() {
    let Some(python) = TRAINING.python("scikit-learn") else { return };
    let folder = tempfile::tempdir().unwrap();
    run(python, "train_and_save.py", &[&folder.path().display().to_string()]);
    let mut n_models = 0;
    for model in std::fs::read_dir(folder.path()).unwrap() {
        let model = model.unwrap().path();
        let case = std::fs::read_to_string(model.join("case.json")).unwrap();
        let case: Value = serde_json::from_str(&case).unwrap();
        let path = model.join(case["serve"].as_str().unwrap());
        let mut serving = Serving::start(&[&path.display().to_string()]);
        let address = serving.address.to_string();
        run(python, "ask_a_model.py", &[&address, FOREBAY, &model.display().to_string()]);
        let said = serving.end();
        assert!(!said.contains("panicked"), "{}: {said}", path.display());
        n_models += 1;
    }
    assert!(n_models >= 20, "{n_models}");
}
