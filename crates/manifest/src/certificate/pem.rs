//! PEM (RFC 7468): blocks of base64 between two lines, each with its line.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Fault, Part, TEXT_LIMIT, WHOLE};

/// One block.
pub(crate) struct Block<'a> {
    /// For example `CERTIFICATE`.
    pub(crate) label: &'a str,
    /// Where it begins, from 1.
    pub(crate) line: u32,
    pub(crate) der: Vec<u8>,
    /// By a field before the base64 (RFC 1421 §4.6.1.1).
    pub(super) is_encrypted: bool,
}

/// Why a text cannot be read.
pub(crate) struct Broken {
    line: u32,
    problem: String,
    fix: &'static str,
}

impl Broken {
    pub(super) fn fault(self, part: Part) -> Fault {
        Fault { part, line: self.line, problem: self.problem, fix: self.fix, is_mended: false }
    }

    /// The same, with its line.
    pub(crate) fn in_words(self) -> String {
        format!("{} (line {})", self.problem, self.line)
    }
}

/// The most blocks that are read of a text.
const BLOCKS: usize = 64;

/// All blocks of a text. What stands between them is passed over.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, Broken> {
    let broken = |line, problem: String, fix| Err(Broken { line, problem, fix });
    if text.len() > TEXT_LIMIT {
        return broken(1, format!("is longer than {TEXT_LIMIT} bytes"), WHOLE);
    }
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut lines = (1..).zip(text.lines().map(str::trim));
    while let Some((start, line)) = lines.next() {
        let Some(label) = label(line, "-----BEGIN ") else { continue };
        let mut written = String::new();
        let mut is_encrypted = false;
        loop {
            let Some((at, line)) = lines.next() else {
                return broken(start, format!("has a {label} that begins here and has no end"), WHOLE);
            };
            if let Some(end) = self::label(line, "-----END ") {
                if end != label {
                    return broken(at, format!("has a {label} that ends as {end}"), WHOLE);
                }
                break;
            }
            if line.contains(':') {
                is_encrypted |= line.starts_with("Proc-Type:") && line.contains("ENCRYPTED");
                continue;
            }
            // What is after the comma of `DEK-Info` may go on on a line of its own; base64 has neither.
            if let Some(character) = line.chars().find(|character| !is_of_base64(*character)) {
                let problem =
                    format!("has `{}` inside of a {label}, which is no base64", character.escape_default());
                return broken(at, problem, WHOLE);
            }
            written.push_str(line);
        }
        let Ok(der) = BASE64_STANDARD.decode(&written) else {
            return broken(start, format!("has a {label} with characters missing or too many"), WHOLE);
        };
        if found.len() == BLOCKS {
            return broken(
                start,
                format!("has more than {BLOCKS} blocks"),
                "keep only the certificate, its chain and its key",
            );
        }
        found.push(Block { label, line: start, der, is_encrypted });
    }
    Ok(found)
}

/// One block, as text.
pub(crate) fn written(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = BASE64_STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn label<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.trim_start_matches('\u{feff}').strip_prefix(prefix)?.strip_suffix("-----")
}

fn is_of_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=')
}
