//! Cases: a request and the response to it, in a file.
//!
//! ```text
//! # serve wine iris style=kserve      the models, the default one first; the fixtures of `fixture.rs`
//! # set strict_content_type           settings that are not the default
//! POST /invocations
//! content-type: application/json
//!
//! {"inputs": …}
//!
//! => 200
//! content-type: application/json      the fields that are looked at
//!
//! {"predictions": …}
//! ```
//!
//! With `# escaped` a `\xNN` in the body of the request is a byte. In the response such a byte stands for one that is no
//! text; there `<uuid>`, `<time>`, `<sha256>` and `<version>` stand for what changes. `UPDATE_EXPECT=1` writes the
//! responses that came into the files. A new case needs no Rust.

use std::path::{Path, PathBuf};

use regex::Regex;
use serving::{Settings, Style};

use crate::fixture::{Answer, ask, project, served, server};

/// A case as it stands in its file.
struct Case<'a> {
    directives: Vec<&'a str>,
    request: &'a str,
    response: &'a str,
}

#[test]
fn every_case_is_answered_as_its_file_says() {
    let files = files(&project().join("crates/serving/tests/cases"));
    assert!(files.len() > 40, "the cases are gone");
    let failures: Vec<String> = files.iter().filter_map(|file| check(file).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases fail\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

fn check(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).unwrap();
    let case = parse(&text).unwrap_or_else(|| panic!("{} is not a case", file.display()));
    let answer = answer(&case);
    let got = show(&answer, case.response);
    if got == case.response.trim_end() {
        return Ok(());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let before = text.len() - case.response.len();
        std::fs::write(file, format!("{}{got}\n", &text[..before])).unwrap();
        return Ok(());
    }
    Err(format!("--- {}\nexpected => {}\ngot      => {got}", file.display(), case.response.trim_end()))
}

fn parse(text: &str) -> Option<Case<'_>> {
    let (head, response) = text.split_once("\n=> ")?;
    let n_comments = head.lines().take_while(|line| line.starts_with('#')).map(|line| line.len() + 1).sum();
    let directives = head[..n_comments].lines().map(|line| line.trim_start_matches('#').trim()).collect();
    Some(Case {
        directives,
        request: head[n_comments..].strip_suffix('\n').unwrap_or(&head[n_comments..]),
        response,
    })
}

fn answer(case: &Case<'_>) -> Answer {
    let mut models = Vec::new();
    let mut settings = Settings { compute_threads: 1, ..Settings::default() };
    for directive in &case.directives {
        let mut words = directive.split_whitespace();
        match words.next() {
            Some("serve") => {
                for word in words {
                    match word.split_once('=') {
                        None => models.push(served(word)),
                        Some((key, value)) => change(models.last_mut().unwrap(), key, value),
                    }
                }
            }
            Some("set") => words.for_each(|word| set(&mut settings, word)),
            _ => {}
        }
    }
    let (head, body) = case.request.split_once("\n\n").unwrap_or((case.request, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fields: Vec<(String, String)> = lines.map(|line| field(line).unwrap()).collect();
    let body = if case.directives.contains(&"escaped") { unescaped(body) } else { body.as_bytes().to_vec() };
    ask(&server(models, settings).handler(), method, path, &fields, &body)
}

/// A text with its `\xNN` as bytes.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}

/// Bytes with a `\xNN` for each that is no printable letter.
fn escaped(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(escape).collect()
}

fn change(model: &mut serving::ServedModel, key: &str, value: &str) {
    match (key, value) {
        ("name", name) => model.name = name.to_owned(),
        ("alias", alias) => model.aliases.push(alias.to_owned()),
        ("version", "-") => model.version = None,
        ("version", version) => model.version = Some(version.to_owned()),
        ("style", "kserve") => model.style = Style::KServe,
        ("style", "mlserver") => model.style = Style::MlServer,
        ("method", method) => model.method = Some(method.parse().unwrap()),
        ("state", "loading") => model.state = serving::ModelState::Loading,
        ("state", "failed") => model.state = serving::ModelState::Failed,
        _ => panic!("{key}={value} is nothing to change"),
    }
}

fn set(settings: &mut Settings, word: &str) {
    match word.split_once('=') {
        None if word == "strict_content_type" => settings.strict_content_type = true,
        None if word == "lenient_column_names" => settings.lenient_column_names = true,
        Some(("body_limit", n_bytes)) => settings.body_limit = n_bytes.parse().unwrap(),
        _ => panic!("{word} is no setting"),
    }
}

/// An answer as a case has it, with the fields that the expected response names.
fn show(answer: &Answer, expected: &str) -> String {
    let (head, _) = expected.split_once("\n\n").unwrap_or((expected, ""));
    let mut shown = answer.status.to_string();
    for name in head.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name) {
        shown += &format!("\n{name}: {}", answer.field(name).unwrap_or("<nothing>"));
    }
    if !answer.body.is_empty() {
        let is_binary = answer.field("content-type") == Some("application/octet-stream");
        let text = if is_binary { escaped(&answer.body) } else { answer.text().to_owned() };
        shown += &format!("\n\n{}", masked(&text));
    }
    shown.trim_end().to_owned()
}

/// The text with a name for all that changes from one run to the next.
pub(crate) fn masked(text: &str) -> String {
    let masks = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "<uuid>"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "<time>"),
        (r"[0-9a-f]{64}", "<sha256>"),
    ];
    let masked = masks.iter().fold(text.to_owned(), |text, (pattern, name)| {
        Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned()
    });
    masked.replace(&format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION")), "\"version\":\"<version>\"")
}
