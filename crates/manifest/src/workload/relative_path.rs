//! Paths that start in the folder of the manifest that names them, and what is wrong where nobody knows that folder.
//!
//! The folder is remembered beside an object that came from a file, as [`BASE_DIRECTORY`]. An object that came without
//! one, for example from kubectl, may only name absolute paths: looking them up anywhere else would find something else.

use serde_json::Value;

use super::{Program, program};
use crate::Object;
use crate::annotations::BASE_DIRECTORY;
use crate::compile::{MODEL_KEYS, is_serving_switch};
use crate::registry::Pods;

/// Options of `forebay serve` whose value is a path.
const PATH_OPTIONS: &[&str] = &["--log-predictions", "--model", "--model-cache", "--model-repository"];

/// Why a relative path is refused, and what to do.
pub(crate) const PROBLEM: &str = "is a relative path, and nobody said in which folder it starts";
pub(crate) const FIX: &str =
    "an absolute path or a URI, or `forebay apply -f`, which tells the folder of the file";

/// The folder in which the relative paths of an object start.
pub(crate) fn base_directory(object: &Object) -> Option<&str> {
    // It stood in the template once, and people may write it there.
    let in_template = || {
        let annotations = object.value.pointer("/spec/template/metadata/annotations")?;
        annotations.get(BASE_DIRECTORY)?.as_str()
    };
    object.annotation(BASE_DIRECTORY).or_else(in_template)
}

/// Whether the same words mean something else in another folder. What a program of the user's own does with its words is
/// not known, so it does.
pub(super) fn depends_on_folder(program: &Program) -> bool {
    match program {
        Program::Command { .. } => true,
        Program::Forebay { arguments } => relative_argument(arguments).is_some(),
    }
}

/// Every relative path of an object that came from no file and has no folder: its field, and the path.
pub(crate) fn without_a_start(object: &Object) -> Vec<(String, String)> {
    let Some(path) = object.kind.pods.place() else { return Vec::new() };
    let is_from_a_file = object.source.is_some();
    if is_from_a_file || base_directory(object).is_some() || is_owned(object) {
        return Vec::new();
    }
    let pod = path.split('.').try_fold(&object.value, |value, key| value.get(key));
    let Some(pod) = pod else { return Vec::new() };
    let mut found = Vec::new();
    if matches!(object.kind.pods, Pods::Model(_)) {
        for key in MODEL_KEYS {
            found
                .extend(pod.get(key).into_iter().flat_map(|model| of_model(model, &format!("{path}.{key}"))));
        }
    }
    let containers = pod.get("containers").and_then(Value::as_array);
    for (index, container) in containers.into_iter().flatten().enumerate() {
        found.extend(of_container(container, &format!("{path}.containers[{index}]")));
    }
    found
}

/// An object that was made of another one has the folder of that one, which speaks for it.
fn is_owned(object: &Object) -> bool {
    let owners = object.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.is_some_and(|owners| !owners.is_empty())
}

fn of_model(model: &Value, path: &str) -> Vec<(String, String)> {
    let uri = model.get("storageUri").and_then(Value::as_str).map(str::trim);
    let uri = uri.filter(|uri| is_relative(uri)).map(|uri| (format!("{path}.storageUri"), uri.to_owned()));
    let argument = relative_option(&words(model.get("args")));
    uri.into_iter().chain(argument.map(|argument| (format!("{path}.args"), argument))).collect()
}

fn of_container(container: &Value, path: &str) -> Option<(String, String)> {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let (command, arguments) = (words(container.get("command")), words(container.get("args")));
    let relative = match program::of(image, command.clone(), arguments)? {
        Program::Forebay { arguments } => relative_argument(&arguments)?,
        Program::Command { command } => relative_word(&command)?,
    };
    let field = if command.contains(&relative) { "command" } else { "args" };
    Some((format!("{path}.{field}"), relative))
}

fn words(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// The first relative path among the words of `forebay serve`.
fn relative_argument(words: &[String]) -> Option<String> {
    let (first, words) = words.split_first()?;
    if first != "serve" {
        return None;
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            let value = if word.contains('=') || is_serving_switch(word) { None } else { words.next() };
            if let Some(relative) = relative_value(word, value) {
                return Some(relative);
            }
        } else if is_relative(path_of_model(word)) {
            return Some(word.clone());
        }
    }
    None
}

/// The first relative path among options alone.
fn relative_option(words: &[String]) -> Option<String> {
    words.iter().enumerate().find_map(|(index, word)| relative_value(word, words.get(index + 1)))
}

/// The path of an option that takes one, if it is relative. `next` is the word after it.
fn relative_value(option: &str, next: Option<&String>) -> Option<String> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, value),
        None => (option, next?.as_str()),
    };
    let is_path = PATH_OPTIONS.contains(&name);
    (is_path && is_relative(path_of_model(value))).then(|| value.to_owned())
}

/// The path of `[NAME=]MODEL`.
fn path_of_model(word: &str) -> &str {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ':']);
    word.split_once('=').filter(|(name, _)| is_name(name)).map_or(word, |(_, path)| path)
}

/// The first word of a command that can only be a relative path.
fn relative_word(command: &[String]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let is_looked_up = !program.contains('/');
    if !is_looked_up && is_relative(program) {
        return Some(program.clone());
    }
    let is_here = |word: &&String| word.starts_with("./") || word.starts_with("../");
    arguments.iter().find(is_here).cloned()
}

/// What a variable stands for is not known here.
fn is_relative(path: &str) -> bool {
    !(path.is_empty() || path.starts_with(['/', '$', '-']) || path.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(kind: &str, spec: &Value, expected: &[(&str, &str)]) {
        let kind = crate::kind_named(kind).unwrap();
        let value = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a"}, "spec": spec});
        let mut object = Object::from_value(value).unwrap();
        let found = without_a_start(&object);
        let found: Vec<_> = found.iter().map(|(field, path)| (field.as_str(), path.as_str())).collect();
        assert_eq!(found, expected);
        object.value["metadata"]["annotations"] = json!({ BASE_DIRECTORY: "/srv" });
        assert_eq!(without_a_start(&object), []);
    }

    fn pod(image: &str, command: &[&str], args: &[&str]) -> Value {
        json!({"containers": [{"name": "c", "image": image, "command": command, "args": args}]})
    }

    #[test]
    fn paths_of_our_server_are_known_by_their_place() {
        let args = |args: &[&str]| pod("forebay", &[], args);
        check("pod", &args(&["serve", "iris=model"]), &[("spec.containers[0].args", "iris=model")]);
        check("pod", &args(&["serve", "--port", "80", "m.pkl"]), &[("spec.containers[0].args", "m.pkl")]);
        check("pod", &args(&["serve", "--public", "m.pkl"]), &[("spec.containers[0].args", "m.pkl")]);
        check(
            "pod",
            &args(&["serve", "--model-repository=models"]),
            &[("spec.containers[0].args", "models")],
        );
        check("pod", &args(&["serve", "--port", "80", "iris=/srv/model"]), &[]);
        check("pod", &args(&["serve", "s3://bucket/a=b", "$(MODEL)", "--threads=2"]), &[]);
    }

    #[test]
    fn paths_of_other_programs_are_known_by_their_form() {
        check("pod", &pod("x", &["./run"], &[]), &[("spec.containers[0].command", "./run")]);
        check("pod", &pod("x", &["python3"], &["./app.py"]), &[("spec.containers[0].args", "./app.py")]);
        check("pod", &pod("x", &["/bin/sh", "-c", "a/b"], &[]), &[]);
    }

    #[test]
    fn an_inference_service_is_told_of_its_own_fields() {
        let model = json!({"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "model",
            "args": ["--log-predictions", "log.json"]}}});
        let expected =
            [("spec.predictor.model.storageUri", "model"), ("spec.predictor.model.args", "log.json")];
        check("isvc", &model, &expected);
        check("isvc", &json!({"predictor": {"sklearn": {"storageUri": "s3://a/b"}}}), &[]);
        check(
            "deploy",
            &json!({"template": {"spec": pod("forebay", &[], &["serve", "."])}}),
            &[("spec.template.spec.containers[0].args", ".")],
        );
    }
}
