//! The arguments of a container that is our own program: which of them it does not know, and which ports and models they
//! name.

use crate::compile::serving_options::{ServeOption, serve_options};
use crate::finding::nearest;
use crate::storage;

/// The command that replicas run.
const SERVE: &str = "serve";
/// The port of `forebay serve` where nothing else is said.
const PORT: u16 = 8080;
/// Options that name a port, perhaps behind an address.
const PORT_OPTIONS: &[&str] = &["--port", "-p", "--grpc-port", "--admin-address"];

/// What is wrong, and what to write instead.
pub(super) type Problem = (String, String);

/// What is wrong with the arguments of our program: it would end at once.
pub(super) fn problems(words: &[String]) -> Vec<Problem> {
    // Without one the program prints its help, which is what the pod then shows.
    let Some(command) = command(words) else { return Vec::new() };
    if command != SERVE {
        let near = nearest(command, std::iter::once(SERVE));
        let problem =
            |near: &str| (format!("there is no command `{command}`"), format!("did you mean `{near}`?"));
        return near.map(problem).into_iter().collect();
    }
    let unknown = read(words).filter_map(|word| match word {
        Word::Unknown(name) => Some(unknown_option(name)),
        Word::Model(uri) => storage::problem(uri.split_once('=').map_or(uri, |(_, uri)| uri)),
        Word::Option(..) | Word::Command(_) => None,
    });
    unknown.collect()
}

fn unknown_option(name: &str) -> Problem {
    let suggestion = match nearest(name, serve_options().map(|option| option.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "forebay serve --help names the options".to_owned(),
    };
    (format!("forebay serve has no option `{name}`, and would not start"), suggestion)
}

/// The ports that our program listens on with these arguments. `None`: they do not tell.
pub(super) fn ports(words: &[String]) -> Option<Vec<u16>> {
    if command(words)? != SERVE {
        return None;
    }
    let mut ports = Vec::new();
    let mut has_port = false;
    for word in read(words) {
        let Word::Option(name, value) = word else { continue };
        if !PORT_OPTIONS.contains(&name) {
            continue;
        }
        has_port |= matches!(name, "--port" | "-p");
        // A variable, or a port that is chosen when it is opened.
        let number = value?.rsplit(':').next()?.parse().ok().filter(|number| *number > 0)?;
        ports.push(number);
    }
    if !has_port {
        ports.push(PORT);
    }
    Some(ports)
}

fn command(words: &[String]) -> Option<&str> {
    read(words).find_map(|word| match word {
        Word::Command(name) => Some(name),
        _ => None,
    })
}

/// A word, or an option with its value.
enum Word<'a> {
    Command(&'a str),
    Option(&'a str, Option<&'a str>),
    Unknown(&'a str),
    Model(&'a str),
}

/// The words with their meaning.
fn read(words: &[String]) -> impl Iterator<Item = Word<'_>> {
    let mut words = words.iter().map(String::as_str);
    let mut is_over = false;
    let mut has_command = false;
    std::iter::from_fn(move || {
        loop {
            let word = words.next()?;
            if !has_command && !word.starts_with('-') {
                has_command = true;
                return Some(Word::Command(word));
            } else if is_over || !word.starts_with('-') || word == "-" {
                return Some(Word::Model(word));
            } else if word == "--" {
                is_over = true;
            } else {
                let (name, value) =
                    word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
                let known = |option: &ServeOption| option.name == name || option.short == Some(name);
                let Some(option) = serve_options().find(|option| known(option)) else {
                    // Short options may be written together, and are told by the program itself.
                    if !name.starts_with("--") {
                        continue;
                    }
                    return Some(Word::Unknown(name));
                };
                let value = if option.has_value { value.or_else(|| words.next()) } else { value };
                return Some(Word::Option(name, value));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_the_program_would_not_take_is_told_with_what_was_meant() {
        let told = |text: &str| {
            let problems = problems(&words(text)).into_iter();
            problems.map(|(problem, fix)| format!("{problem} | {fix}")).collect::<Vec<_>>().join("\n")
        };
        for good in [
            "serve m.pkl",
            "serve --port 8080 m.pkl --threads=2",
            "serve --model a=b.pkl -- --odd",
            "--quiet serve m",
            "--state-dir serve serve m",
            "serve $(MODEL) -p 8081",
        ] {
            assert_eq!(told(good), "", "{good}");
        }
        assert_eq!(
            told("serve m.pkl --prot 8080"),
            "forebay serve has no option `--prot`, and would not start | did you mean `--port`?"
        );
        assert_eq!(told("server m.pkl"), "there is no command `server` | did you mean `serve`?");
        assert_eq!(told(""), "");
        assert!(told("serve m=pvc://claim/model").starts_with("`pvc://claim/model`"));
        assert!(told("serve --log-predictions s3://x m").is_empty());
    }

    #[test]
    fn ports_are_those_that_are_listened_on() {
        for (text, expected) in [
            ("serve m", Some(vec![8080])),
            ("serve m --port 9000", Some(vec![9000])),
            ("serve m -p 9000 --grpc-port=9001", Some(vec![9000, 9001])),
            ("serve m --admin-address 127.0.0.1:8081", Some(vec![8081, 8080])),
            ("serve m --port $(PORT)", None),
            ("serve m --port 0", None),
            ("model inspect m", None),
            ("", None),
        ] {
            assert_eq!(ports(&words(text)), expected, "{text}");
        }
    }
}
