//! Names and hashes of things that nobody named.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// `k8s-<namespace>-<name>-<hash>`, each part shortened as the AWS controller does.
pub(super) fn generated(namespace: &str, name: &str, parts: &[&str]) -> String {
    format!("k8s-{}-{}-{}", short(namespace, 8), short(name, 8), hash(parts))
}

/// `k8s-<group>-<hash>`.
pub(super) fn generated_for_group(group: &str, parts: &[&str]) -> String {
    format!("k8s-{}-{}", short(group, 17), hash(parts))
}

/// Ten hexadecimal digits that depend on all parts and on nothing else.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let mut text = String::with_capacity(10);
    for byte in &hasher.finalize()[..5] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn short(text: &str, length: usize) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s3_110_names_are_shortened_as_on_aws_and_stable() {
        let name = generated("mlops", "retail-forecast-service", &["a", "b"]);
        assert_eq!(name.rsplit_once('-').unwrap().0, "k8s-mlops-retailfo");
        assert!(name.len() <= 32);
        assert_eq!(name, generated("mlops", "retail-forecast-service", &["a", "b"]));
        assert_ne!(name, generated("mlops", "retail-forecast-service", &["ab", ""]));
        assert!(
            generated_for_group("a.very-long-name-of-a-group", &[]).starts_with("k8s-averylongnameofag-")
        );
    }
}
