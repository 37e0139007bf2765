//! The name that somebody meant who wrote another one.

/// The name that is nearest to a word, if the two are near.
///
/// Only a few words of a bearable length are compared, because the time grows with the product of all three.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    const MOST: usize = 256;
    if word.len() > LONGEST {
        return None;
    }
    let names = names.filter(|name| name.len() <= LONGEST).take(MOST);
    let distances = names.map(|name| (edit_distance(&folded(word), &folded(name)), name));
    let nearest = distances.min_by_key(|(distance, _)| *distance)?;
    let is_near = nearest.0 <= word.len().max(nearest.1.len()) / 3;
    is_near.then_some(nearest.1)
}

/// A name as people mistake it: without case, and with one kind of space.
#[must_use]
pub fn folded(name: &str) -> Vec<u8> {
    let fold = |byte: u8| if matches!(byte, b'_' | b'-' | b'.') { b' ' } else { byte.to_ascii_lowercase() };
    name.bytes().map(fold).collect()
}

/// The Levenshtein distance between two texts, in bytes.
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte_a) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, byte_b) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(byte_a != byte_b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["fixed acidity", "volatile acidity", "pH"];
        let nearest = |word| nearest(word, names.into_iter());
        assert_eq!(nearest("fixed_acidity"), Some("fixed acidity"));
        assert_eq!(nearest("Volatile-Acidty"), Some("volatile acidity"));
        assert_eq!(nearest("ph"), Some("pH"));
        assert_eq!(nearest("density"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000)), None);
    }
}
