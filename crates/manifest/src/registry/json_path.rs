//! The paths of printer columns: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels.a\.b`.

use serde_json::Value;

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Field(String),
    /// From the end if negative.
    Item(i64),
    Every,
    /// Items in which the path leads, or does not lead, to this text.
    Where {
        path: &'a str,
        is: bool,
        text: &'a str,
    },
}

/// How many steps a path may have, and how many bytes: a path in a path is read like itself.
const STEPS: usize = 50;
const BYTES: usize = 500;

/// The first value that a path leads to.
pub(super) fn first<'a>(path: &str, value: &'a Value) -> Option<&'a Value> {
    let steps = parse(path)?;
    follow(&steps, value)
}

/// Whether a path can be read.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('.') && parse(path).is_some()
}

fn follow<'a>(steps: &[Step<'_>], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => follow(rest, value.get(name)?),
        Step::Item(nth) => {
            let items = value.as_array()?;
            let at = if *nth < 0 {
                items.len().checked_add_signed(isize::try_from(*nth).ok()?)?
            } else {
                usize::try_from(*nth).ok()?
            };
            follow(rest, items.get(at)?)
        }
        Step::Every => match value {
            Value::Array(items) => items.iter().find_map(|item| follow(rest, item)),
            Value::Object(fields) => fields.values().find_map(|item| follow(rest, item)),
            _ => None,
        },
        Step::Where { path, is, text } => {
            let holds = |item: &&Value| {
                first(path, item).is_some_and(|found| {
                    let shown = found.as_str().map_or_else(|| found.to_string(), ToOwned::to_owned);
                    (shown == *text) == *is
                })
            };
            value.as_array()?.iter().filter(holds).find_map(|item| follow(rest, item))
        }
    }
}

fn parse(path: &str) -> Option<Vec<Step<'_>>> {
    let path = Some(path.trim()).filter(|path| path.len() <= BYTES)?;
    let path = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == STEPS {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('[') {
            // A text in it may hold a bracket.
            let end = end_of_brackets(inside)?;
            steps.push(bracket(inside[..end].trim())?);
            rest = &inside[end + 1..];
        } else {
            let name = rest.strip_prefix('.')?;
            let (field, after) = field(name);
            match field.as_str() {
                "" if steps.is_empty() && after.is_empty() => {}
                "" if after.starts_with('[') => {}
                "" => return None,
                "*" => steps.push(Step::Every),
                _ => steps.push(Step::Field(field)),
            }
            rest = after;
        }
    }
    Some(steps)
}

/// A name up to the next dot or bracket that no `\` stands before, and what comes after.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            other => name.push(other),
        }
    }
    (name, "")
}

fn end_of_brackets(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some(at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Option<Step<'_>> {
    if inside == "*" {
        return Some(Step::Every);
    }
    if let Some(condition) = inside.strip_prefix("?(").and_then(|inside| inside.strip_suffix(')')) {
        let (is, (path, text)) = match (condition.split_once("=="), condition.split_once("!=")) {
            (Some(parts), _) => (true, parts),
            (None, Some(parts)) => (false, parts),
            (None, None) => return None,
        };
        let path = path.trim().strip_prefix('@')?;
        parse(path)?;
        return Some(Step::Where { path, is, text: unquoted(text.trim()) });
    }
    match inside.parse() {
        Ok(nth) => Some(Step::Item(nth)),
        Err(_) => (unquoted(inside) != inside).then(|| Step::Field(unquoted(inside).to_owned())),
    }
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_what_they_name() {
        let value = json!({
            "spec": {"replicas": 3, "hosts": ["a", "b"]},
            "metadata": {"labels": {"app.example.com/x": "y"}},
            "status": {"conditions": [{"type": "Old", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, expected) in [
            (".spec.replicas", json!(3)),
            (".spec.hosts[0]", json!("a")),
            (".spec.hosts[-1]", json!("b")),
            (".spec.hosts[*]", json!("a")),
            (r".metadata.labels.app\.example\.com/x", json!("y")),
            (".metadata.labels['app.example.com/x']", json!("y")),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!("True")),
            (".status.conditions[?(@.type!='Ready')].status", json!("False")),
            ("{.spec.replicas}", json!(3)),
        ] {
            assert_eq!(first(path, &value), Some(&expected), "{path}");
        }
        for path in [
            ".spec.nobody",
            ".spec.hosts[7]",
            ".spec.hosts.a",
            r#".status.conditions[?(@.type=="No")].status"#,
        ] {
            assert_eq!(first(path, &value), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_not_read() {
        for path in ["spec", ".spec[", ".spec[a]", ".spec[?(a)]", "..a", ".a[?(@.b)]", ""] {
            assert!(!is_path(path), "{path}");
        }
        assert!(is_path(".spec.a") && is_path(".a[0].b"));
    }
}
