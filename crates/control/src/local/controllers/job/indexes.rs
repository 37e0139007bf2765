//! The indexes of a Job's pods: which are done, and which are next.

use std::fmt;

use manifest::Object;
use serde_json::{Value, json};

/// The label, and the annotation, with the index of a pod.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The variable with the index of a pod.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// Indexes in ascending ranges with gaps between them; both ends belong to a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Indexes {
    ranges: Vec<(u32, u32)>,
}

pub(super) fn index_of(pod: &Object) -> Option<u32> {
    pod.annotation(INDEX)?.parse().ok()
}

/// Has containers know the index of their pod.
pub(super) fn tell_containers(spec: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let variables = &mut container["env"];
            if !variables.is_array() {
                *variables = json!([]);
            }
            let Some(variables) = variables.as_array_mut() else { continue };
            if variables.iter().all(|variable| variable["name"] != VARIABLE) {
                let from = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": format!("metadata.labels['{INDEX}']")}});
                variables.push(json!({"name": VARIABLE, "valueFrom": from}));
            }
        }
    }
}

impl Indexes {
    /// Reads `0-2,5`. What cannot be read is passed over.
    pub(super) fn read(written: &Value) -> Self {
        let mut all = Self::default();
        for part in written.as_str().unwrap_or_default().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse())
                && first <= last
            {
                all.ranges.push((first, last));
            }
        }
        all.join();
        all
    }

    pub(super) fn add(&mut self, index: u32) {
        self.ranges.push((index, index));
        self.join();
    }

    fn join(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, last| {
            let touches = next.0 <= last.1.saturating_add(1);
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let lengths = self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1);
        usize::try_from(lengths.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// Those below an end that are not among these and are not taken either, the least first.
    pub(super) fn missing<'a>(&'a self, end: u32, taken: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        let starts = std::iter::once(0).chain(self.ranges.iter().map(|(_, last)| last.saturating_add(1)));
        let ends = self.ranges.iter().map(|(first, _)| *first).chain([end]);
        let gaps = starts.zip(ends).flat_map(move |(start, stop)| start..stop.min(end));
        gaps.filter(|index| !taken.contains(index))
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn indexes_are_written_as_ranges_however_many_they_are() {
        for (written, read) in [
            ("", ""),
            ("3,0,1,2", "0-3"),
            ("0-1", "0,1"),
            ("5,x,2-1,7-9", "5,7-9"),
            ("0-4294967295", "0-4294967295"),
        ] {
            assert_eq!(Indexes::read(&json!(written)).to_string(), read, "{written}");
        }
        let all = Indexes::read(&json!("1-4000000000"));
        assert_eq!(all.len(), 4_000_000_000);
        assert_eq!(all.missing(u32::MAX, &[0]).take(2).collect::<Vec<_>>(), [4_000_000_001, 4_000_000_002]);
    }

    proptest! {
        #[test]
        fn they_are_a_set(added in prop::collection::vec(0_u32..30, 0..40), taken in prop::collection::vec(0_u32..30, 0..5)) {
            let mut indexes = Indexes::default();
            added.iter().for_each(|index| indexes.add(*index));
            let set: BTreeSet<u32> = added.into_iter().collect();
            prop_assert_eq!(indexes.len(), set.len());
            let missing: Vec<u32> = (0..25).filter(|it| !set.contains(it) && !taken.contains(it)).collect();
            prop_assert_eq!(indexes.missing(25, &taken).collect::<Vec<_>>(), missing);
            prop_assert_eq!(Indexes::read(&json!(indexes.to_string())), indexes);
        }
    }
}
