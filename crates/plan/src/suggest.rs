//! "Did you mean": the known word that is nearest to what somebody wrote.

/// The candidate nearest to `word`, if no more than a third of the longer one's letters differ.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = candidates.map(|candidate| (edit_distance(word, candidate), candidate));
    distances
        .min()
        .filter(|(distance, near)| *distance <= word.len().max(near.len()) / 3)
        .map(|(_, near)| near)
}

/// The Levenshtein distance between two texts, in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte_a) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, byte_b) in b.bytes().enumerate() {
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
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["aws-load-balancer-healthcheck-healthy-threshold", "aws-load-balancer-scheme"];
        let nearest = |word| nearest(word, known.into_iter());
        assert_eq!(nearest("aws-load-balancer-shceme"), Some(known[1]));
        assert_eq!(nearest("aws-load-balancer-healthy-threshold"), Some(known[0]));
        assert_eq!(nearest("colour"), None);
    }
}
