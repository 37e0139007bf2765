//! What a container runs on one machine, and `$(NAME)` in what it runs.

use super::{PodField, Program};

/// Images of systems and languages that have no entrypoint, so that what a container says as `args` is the whole command: that
/// is what `kubectl run NAME --image=busybox -- sleep 60` says.
const WITHOUT_ENTRYPOINT: &[&str] = &[
    "almalinux",
    "alpine",
    "amazonlinux",
    "busybox",
    "centos",
    "debian",
    "fedora",
    "python",
    "rockylinux",
    "ubuntu",
];

/// What a container runs; `None` when only its image knows, and the image is not ours.
pub(super) fn of(image: &str, command: Vec<String>, arguments: Vec<String>) -> Option<Program> {
    let first = command.first().map(String::as_str).unwrap_or_default();
    let base = first.rsplit('/').next().unwrap_or_default();
    // A command takes the place of what an image runs, as in Kubernetes. `serve` alone could not be found there; people
    // who write it mean ours.
    let is_other_program = !command.is_empty() && base != "forebay" && first != "serve";
    if super::is_our_image(image) && !is_other_program {
        let words = command.iter().skip(usize::from(base == "forebay")).cloned();
        return Some(Program::Forebay { arguments: words.chain(arguments).collect() });
    }
    let is_bare = WITHOUT_ENTRYPOINT.contains(&super::image_name(image)) && !arguments.is_empty();
    (!command.is_empty() || is_bare)
        .then(|| Program::Command { command: command.into_iter().chain(arguments).collect() })
}

/// Variables that `$(NAME)` may stand for.
pub(super) struct Variables<'a> {
    /// Those with a value.
    pub(super) values: &'a [(String, String)],
    /// Those that get one later, so that they are left as they are.
    pub(super) later: &'a [(String, PodField)],
}

/// The longest text that replacements make, in bytes: Linux starts no program with a longer word.
const MAX_BYTES: usize = 128 << 10;

impl Variables<'_> {
    /// Replaces `$(NAME)` by the variable's value; `$$` stands for `$`, and names that nobody knows stay.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('(').and_then(|inside| inside.split_once(')'));
            let value = name.and_then(|(name, after)| Some((self.value(name)?, after)));
            match value {
                Some((value, after)) if expanded.len() + value.len() <= MAX_BYTES => {
                    expanded.push_str(value);
                    rest = after;
                }
                _ => expanded.push('$'),
            }
        }
        expanded + rest
    }

    fn value(&self, name: &str) -> Option<&str> {
        let is_later = self.later.iter().any(|(later, _)| later == name);
        let known = self.values.iter().find(|(known, _)| known == name).filter(|_| !is_later);
        known.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_as_kubernetes_does() {
        let values = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        let later = [("POD_NAME".to_owned(), PodField::Name)];
        let variables = Variables { values: &values, later: &later };
        for (text, expanded) in [
            ("x$(A)y", "x1y"),
            ("$(B)", "$(A)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(C) $(POD_NAME)", "$(C) $(POD_NAME)"),
            ("$(A", "$(A"),
            ("$A $", "$A $"),
            ("", ""),
        ] {
            assert_eq!(variables.expand(text), expanded, "{text}");
        }
    }

    #[test]
    fn our_image_runs_us_and_others_need_a_command() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let run =
            |image: &str, command: &[&str], arguments: &[&str]| of(image, words(command), words(arguments));
        let forebay = |arguments: &[&str]| Some(Program::Forebay { arguments: words(arguments) });
        let other = |command: &[&str]| Some(Program::Command { command: words(command) });
        assert_eq!(run("forebay", &[], &["serve", "m"]), forebay(&["serve", "m"]));
        assert_eq!(run("ghcr.io/a/forebay:1.0@sha256:x", &["serve"], &["m"]), forebay(&["serve", "m"]));
        assert_eq!(run("forebay", &["/usr/bin/forebay", "serve"], &["m"]), forebay(&["serve", "m"]));
        assert_eq!(run("forebay", &["/bin/sh", "-c"], &["x"]), other(&["/bin/sh", "-c", "x"]));
        assert_eq!(run("forebay", &["sh", "-c"], &["x"]), other(&["sh", "-c", "x"]));
        assert_eq!(run("forebay:1.0", &["forebay"], &["serve", "m"]), forebay(&["serve", "m"]));
        assert_eq!(
            run("python:3", &["python", "-m"], &["http.server"]),
            other(&["python", "-m", "http.server"])
        );
        assert_eq!(run("docker.io/library/busybox:1.36", &[], &["sh", "-c", "x"]), other(&["sh", "-c", "x"]));
        assert_eq!(run("busybox", &["sh"], &["-c", "x"]), other(&["sh", "-c", "x"]));
        assert_eq!(run("busybox", &[], &[]), None);
        assert_eq!(run("nginx", &[], &["x"]), None);
        assert_eq!(run("forebay/other", &[], &["x"]), None);
        assert_eq!(run("localhost:5000/forebay", &[], &[]), forebay(&[]));
    }
}
