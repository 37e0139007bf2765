//! Patterns of texts, in the syntax of Go's `regexp` (RE2), which are matched in linear time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// How much memory one pattern may take, in bytes, and how much what is remembered while it is matched.
const SIZE: usize = 256 << 10;
/// How many patterns are kept ready; the rest is read again each time.
const KEPT: usize = 256;

/// Patterns that are ready.
#[derive(Debug, Default)]
pub struct Patterns(Mutex<HashMap<String, Option<Arc<Regex>>>>);

// === impl Patterns ===

impl Patterns {
    /// A pattern that is ready; none if it cannot be read.
    pub(super) fn get(&self, written: &str) -> Option<Arc<Regex>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(written) {
            return known.clone();
        }
        let read = read(written).ok().map(Arc::new);
        if kept.len() < KEPT {
            kept.insert(written.to_owned(), read.clone());
        }
        read
    }
}

/// Reads a pattern.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn read(written: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&translated(written)).size_limit(SIZE).dfa_size_limit(SIZE).build();
    built.map_err(|error| {
        let told = error.to_string();
        told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// The same pattern for a reader that means more than ASCII by `\d`, and sets by a bracket within brackets.
fn translated(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    let mut letters = written.chars().peekable();
    let mut is_class = false;
    while let Some(letter) = letters.next() {
        match (letter, is_class) {
            ('\\', _) => {
                let escaped = letters.next();
                out.push_str(match escaped {
                    Some('d') => "[0-9]",
                    Some('D') => "[^0-9]",
                    Some('w') => "[0-9A-Za-z_]",
                    Some('W') => "[^0-9A-Za-z_]",
                    Some('s') => "[\\t\\n\\f\\r ]",
                    Some('S') => "[^\\t\\n\\f\\r ]",
                    Some('b') if !is_class => "(?-u:\\b)",
                    Some('B') if !is_class => "(?-u:\\B)",
                    other => {
                        out.push('\\');
                        out.extend(other);
                        continue;
                    }
                });
            }
            ('[', false) => {
                is_class = true;
                out.push('[');
                out.extend(letters.next_if_eq(&'^'));
                // The first one is a member.
                if letters.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            (']', true) => {
                is_class = false;
                out.push(']');
            }
            ('[', true) if letters.peek() == Some(&':') => {
                out.push('[');
                // `[:alpha:]`
                for letter in letters.by_ref() {
                    out.push(letter);
                    if letter == ']' {
                        break;
                    }
                }
            }
            ('[' | '&' | '~', true) => out.extend(['\\', letter]),
            (letter, _) => out.push(letter),
        }
    }
    out
}
