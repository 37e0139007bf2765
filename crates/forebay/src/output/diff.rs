//! What differs between two texts, line by line, as `diff -u` shows it.

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;
/// The most pairs of lines that are compared; what is larger is shown as replaced.
const PAIRS: usize = 4_000_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// The hunks in which two texts differ; empty when they do not.
pub(crate) fn unified(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let lines = compare(&before, &after);
    let is_near_a_change = |index: usize| {
        let around = index.saturating_sub(CONTEXT)..lines.len().min(index + CONTEXT + 1);
        lines[around].iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut text = String::new();
    let (mut old, mut new, mut is_in_hunk) = (0, 0, false);
    for (index, line) in lines.iter().enumerate() {
        let is_shown = is_near_a_change(index);
        if is_shown && !is_in_hunk {
            text += &format!("@@ -{} +{} @@\n", old + 1, new + 1);
        }
        is_in_hunk = is_shown;
        let (sign, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Removed(line) => ('-', line),
            Line::Added(line) => ('+', line),
        };
        old += usize::from(sign != '+');
        new += usize::from(sign != '-');
        if is_shown {
            text += &format!("{sign}{line}\n");
        }
    }
    text
}

/// The shortest way from one list of lines to another.
fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let n_first = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before_rest, after_rest) = (&before[n_first..], &after[n_first..]);
    let n_last = before_rest.iter().rev().zip(after_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, last) = before_rest.split_at(before_rest.len() - n_last);
    let new = &after_rest[..after_rest.len() - n_last];

    let mut lines: Vec<Line<'a>> = before[..n_first].iter().map(|line| Line::Same(line)).collect();
    if old.len().saturating_mul(new.len()) > PAIRS {
        lines.extend(old.iter().map(|line| Line::Removed(line)));
        lines.extend(new.iter().map(|line| Line::Added(line)));
    } else {
        lines.extend(shortest(old, new));
    }
    lines.extend(last.iter().map(|line| Line::Same(line)));
    lines
}

/// By the longest common subsequence.
fn shortest<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    // How many lines are common from here to the ends.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::with_capacity(old.len() + new.len());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(Line::Removed(old[i]));
            i += 1;
        } else {
            lines.push(Line::Added(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn changes_are_shown_with_what_stands_around_them() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let after = before.replace("b\n", "B\n").replace("l\n", "l\nm\n");
        expect![[r#"
            @@ -1 +1 @@
             a
            -b
            +B
             c
             d
             e
            @@ -10 +10 @@
             j
             k
             l
            +m
        "#]]
        .assert_eq(&unified(before, &after));
        assert_eq!(unified(before, before), "");
    }

    #[test]
    fn texts_that_share_nothing_are_replaced() {
        assert_eq!(unified("", "a\n"), "@@ -1 +1 @@\n+a\n");
        let (a, b) = ("a\n".repeat(3000), "b\n".repeat(3000));
        assert_eq!(unified(&a, &b).lines().count(), 6001);
    }
}
