//! A header value that guards a rule and can be guessed.

use plan::Values;

use super::Context;
use crate::compile::tokens::is_secret;
use crate::{Finding, codes};

/// A secret has at least as many bits.
const STRONG_BITS: f64 = 128.0;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let listeners = context.plan.load_balancers.iter().flat_map(|it| &it.listeners);
    for rule in listeners.flat_map(|listener| &listener.rules) {
        for condition in &rule.conditions {
            let Some(name) = condition.subject.name() else { continue };
            let Some((source, object)) =
                rule.source.as_ref().and_then(|source| Some((source, context.object(&source.object)?)))
            else {
                continue;
            };
            let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
            let Values::Wildcards(values) = &condition.values else { continue };
            let weak = values
                .iter()
                .filter(|value| !value.is_literal() || bits(value.as_str()) < STRONG_BITS)
                .count();
            if is_secret(name) && weak > 0 {
                let message = format!(
                    "{weak} of the values of header {name} can be guessed: a secret has {STRONG_BITS} bits, for example 32 random hexadecimal digits, and no wildcard"
                );
                findings.push(Finding::new(&codes::TOKEN_WEAK, message).at(object, &path));
            }
        }
    }
}

/// How many bits a text of such letters has at most. Comparison ignores case, so it adds nothing.
fn bits(text: &str) -> f64 {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    let letters = if has(|byte| matches!(byte.to_ascii_lowercase(), b'g'..=b'z')) { 26 } else { 6 };
    let alphabet = [
        (has(u8::is_ascii_digit), 10),
        (has(u8::is_ascii_alphabetic), letters),
        (has(|byte| !byte.is_ascii_alphanumeric()), 10),
    ];
    let n_symbols: u32 = alphabet.into_iter().filter(|(is_there, _)| *is_there).map(|(_, size)| size).sum();
    let mut distinct: Vec<u8> = text.bytes().collect();
    distinct.sort_unstable();
    distinct.dedup();
    // A few letters repeated many times are no secret either.
    let symbols = f64::from(n_symbols).min(2.0 * distinct.len() as f64);
    text.len() as f64 * symbols.max(1.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s2_23_only_long_mixed_values_are_strong() {
        for strong in ["9f86d081884c7d659a2feaa0c55ad015", "q3vTz1Kx8LmN2pRs4UwY6aBc7DeF9gHj"] {
            assert!(bits(strong) >= STRONG_BITS, "{strong}");
        }
        for weak in ["token1", "password", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "12345678901234567890", ""] {
            assert!(bits(weak) < STRONG_BITS, "{weak}");
        }
    }
}
