//! Reading the tables.

use std::collections::HashMap;

use crate::{Field, Holds, Include, List, Package, Reference, Type};

/// What is wrong with a line of a table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{table}.schema:{line}: {problem}")]
pub(crate) struct TableError {
    pub(crate) table: &'static str,
    pub(crate) line: usize,
    pub(crate) problem: String,
}

/// Reads all tables, which name types of one another.
///
/// # Errors
/// The first line that says something that is not understood.
pub(crate) fn tables(tables: &[(&'static str, &'static str)]) -> Result<Vec<Type>, TableError> {
    let mut names = HashMap::new();
    each_line(tables, |package, line| {
        if let Some((name, _)) = declared(line) {
            let next = u16::try_from(names.len()).map_err(|_| "too many types")?;
            if names.insert((package.alias, name), Reference(next)).is_some() {
                return Err(format!("`{name}` is declared already"));
            }
        }
        Ok(())
    })?;
    let mut types: Vec<Type> = Vec::with_capacity(names.len());
    each_line(tables, |package, line| {
        let reader = Reader { names: &names, package };
        if let Some((name, rest)) = declared(line) {
            types.push(reader.declaration(line.starts_with("kind "), name, rest)?);
            return Ok(());
        }
        let line = line.strip_prefix("  ").ok_or("neither a type nor a field of one")?;
        let last = types.last_mut().ok_or("a field of no type")?;
        match line.strip_prefix("* ") {
            Some(include) => last.includes.push(reader.include(include)?),
            None => last.fields.push(reader.field(line)?),
        }
        Ok(())
    })?;
    Ok(types)
}

/// Shows every line that says something, with the package it is in.
fn each_line(
    tables: &[(&'static str, &'static str)],
    mut show: impl FnMut(Package, &'static str) -> Result<(), String>,
) -> Result<(), TableError> {
    for (table, text) in tables {
        let mut package = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let shown = match (line.strip_prefix("package "), package) {
                (Some(line), _) => package_of(line).map(|read| package = Some(read)),
                (None, Some(package)) => show(package, line),
                (None, None) => Err("no package is named above".to_owned()),
            };
            shown.map_err(|problem| TableError { table, line: index + 1, problem })?;
        }
    }
    Ok(())
}

fn package_of(line: &'static str) -> Result<Package, String> {
    let [alias, path, api_version] =
        line.split(' ').collect::<Vec<_>>().try_into().map_err(|_| "a package has three names")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Ok(Package { alias, path, group, version })
}

/// The name of a type that a line declares, and what else the line says.
fn declared(line: &'static str) -> Option<(&'static str, &'static str)> {
    let rest = line.strip_prefix("type ").or_else(|| line.strip_prefix("kind "))?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// The text at the end of a line, and what stands before it.
fn documented(line: &'static str) -> (&'static str, &'static str) {
    let rest = line
        .strip_suffix('"')
        .and_then(|line| line.split_once(" \"").or_else(|| Some(("", line.strip_prefix('"')?))));
    rest.unwrap_or((line, ""))
}

struct Reader<'a> {
    names: &'a HashMap<(&'static str, &'static str), Reference>,
    package: Package,
}

// === impl Reader ===

impl Reader<'_> {
    fn declaration(&self, is_kind: bool, name: &'static str, rest: &'static str) -> Result<Type, String> {
        let (marks, doc) = documented(rest);
        let is_atomic = match marks.trim() {
            "" => false,
            "atomic" => true,
            other => return Err(format!("`{other}` says nothing about a type")),
        };
        let fields = if is_kind { vec![text("apiVersion"), text("kind")] } else { Vec::new() };
        Ok(Type { name, package: self.package, is_kind, is_atomic, doc, fields, includes: Vec::new() })
    }

    fn include(&self, line: &'static str) -> Result<Include, String> {
        let (number, name) = line.split_once(' ').map_or(("0", line), |(number, name)| (number, name));
        let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
        Ok(Include { number, included: self.reference(name)? })
    }

    fn field(&self, line: &'static str) -> Result<Field, String> {
        // A default may hold blanks and quotes of its own, but none before the text at the end.
        let (said, doc) = match line.find(" =") {
            Some(at) if !line[..at].contains('"') => {
                let (default, doc) = default_and_doc(&line[at + 2..]);
                (&line[..at], (Some(default), doc))
            }
            _ => {
                let (said, doc) = documented(line);
                (said, (None, doc))
            }
        };
        let mut words = said.split(' ').peekable();
        let name = words.next().unwrap_or_default();
        let mut field = text(name.trim_end_matches('!'));
        field.is_required = name.ends_with('!');
        (field.default, field.doc) = doc;
        if let Some(number) = words.peek().and_then(|word| word.parse().ok()) {
            field.number = number;
            words.next();
        }
        let holds = words.next().ok_or("a field holds something")?;
        field.tells_zero = holds.ends_with('?');
        field.holds = self.holds(holds.trim_end_matches('?'))?;
        for word in words {
            let (word, inside) =
                word.strip_suffix(')').and_then(|word| word.split_once('(')).unwrap_or((word, ""));
            match word {
                "set" => field.list = List::Set,
                "by" => field.list = List::By(inside),
                "merge" => field.merge_key = Some(inside),
                "retain" => field.retains_keys = true,
                "atomic" => field.is_atomic = true,
                "of" => field.words = Some(inside),
                other => return Err(format!("`{other}` says nothing about a field")),
            }
        }
        Ok(field)
    }

    fn holds(&self, word: &'static str) -> Result<Holds, String> {
        let inside = |open: char, close: char| word.strip_prefix(open)?.strip_suffix(close);
        if let Some(item) = inside('[', ']') {
            return Ok(Holds::List(Box::new(self.holds(item)?)));
        }
        if let Some(value) = inside('{', '}') {
            return Ok(Holds::Map(Box::new(self.holds(value)?)));
        }
        Ok(match word {
            "string" => Holds::Text,
            "bool" => Holds::Bool,
            "int32" => Holds::Int32,
            "int64" => Holds::Int64,
            "double" => Holds::Double,
            "bytes" => Holds::Bytes,
            "quantity" => Holds::Quantity,
            "intorstring" => Holds::IntOrString,
            "time" => Holds::Time,
            "microtime" => Holds::MicroTime,
            "json" => Holds::Json,
            name => Holds::Object(self.reference(name)?),
        })
    }

    fn reference(&self, name: &'static str) -> Result<Reference, String> {
        let key = name.split_once('.').unwrap_or((self.package.alias, name));
        self.names.get(&key).copied().ok_or_else(|| format!("no type is called `{name}`"))
    }
}

/// A default, which is JSON, and the text behind it.
fn default_and_doc(rest: &'static str) -> (&'static str, &'static str) {
    match rest.strip_suffix('"').and_then(|rest| rest.split_once(" \"")) {
        Some((default, doc)) => (default, doc),
        None => (rest, ""),
    }
}

fn text(name: &'static str) -> Field {
    Field {
        name,
        number: 0,
        holds: Holds::Text,
        is_required: false,
        tells_zero: false,
        is_atomic: false,
        list: List::Atomic,
        merge_key: None,
        retains_keys: false,
        words: None,
        default: None,
        doc: "",
    }
}
