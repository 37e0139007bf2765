use proptest::prelude::*;

use super::*;

/// A tree evaluated node by node, as it was saved: what the fast layout must agree with.
fn walk_plainly(nodes: &[Node], row: &[f64]) -> usize {
    let mut index = 0;
    while let Node::Split { feature, test, left, right } = &nodes[index] {
        let value = row[*feature];
        let goes_left = match test {
            Test::AtMost { threshold, missing } => goes_left(value, *threshold, *missing),
            Test::OneOf(_) if value.is_nan() => goes_left_by_category(None, test),
            Test::OneOf(categories) if value < 0.0 && (categories.from_zero || value <= -1.0) => {
                goes_left_by_category(Some(i64::MAX), test)
            }
            Test::OneOf(_) => goes_left_by_category(Some(value as i64), test),
        };
        index = if goes_left { *left } else { *right };
    }
    index
}

fn goes_left(value: f64, threshold: f64, missing: Missing) -> bool {
    let is_zero = value.abs() <= f64::from(1e-35_f32);
    match missing {
        Missing::Left if value.is_nan() => true,
        Missing::Right if value.is_nan() => false,
        Missing::Zero if value.is_nan() => 0.0 <= threshold,
        Missing::ZeroLeft if value.is_nan() || is_zero => true,
        Missing::ZeroRight if value.is_nan() || is_zero => false,
        _ => value <= threshold,
    }
}

fn goes_left_by_category(category: Option<i64>, test: &Test) -> bool {
    let Test::OneOf(categories) = test else { panic!() };
    let Some(category) = category else { return !categories.missing_right };
    match categories.right.get(usize::try_from(category).unwrap() / 32) {
        Some(word) => word >> (category % 32) & 1 == 0,
        None => !categories.others_right,
    }
}

fn threshold() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -2.0..2.0_f64,
        3 => prop::sample::select(vec![0.0, -0.0, 1e-35, -1e-36, 1.0, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn cell() -> impl Strategy<Value = f64> {
    prop_oneof![6 => threshold(), 2 => (-3..140_i32).prop_map(f64::from), 1 => Just(1e9), 1 => Just(f64::NAN)]
}

fn missing() -> impl Strategy<Value = Missing> {
    use Missing::*;
    prop::sample::select(vec![Left, Right, Zero, ZeroLeft, ZeroRight])
}

fn test() -> impl Strategy<Value = Test> {
    let categories = (prop::collection::vec(any::<u32>(), 0..4), any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        4 => (threshold(), missing()).prop_map(|(threshold, missing)| Test::AtMost { threshold, missing }),
        1 => categories.prop_map(|(right, others_right, missing_right, from_zero)| {
            Test::OneOf(Categories { right, others_right, missing_right, from_zero })
        }),
    ]
}

const N_FEATURES: usize = 5;

/// A tree grown by splitting, again and again, a leaf that exists.
fn tree() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..N_FEATURES, test()), 0..40).prop_map(|splits| {
        let mut nodes = vec![Node::Leaf];
        for (at, feature, test) in splits {
            let leaves: Vec<usize> = (0..nodes.len()).filter(|index| nodes[*index] == Node::Leaf).collect();
            let right = nodes.len();
            nodes[leaves[at.index(leaves.len())]] = Node::Split { feature, test, left: right + 1, right };
            nodes.extend([Node::Leaf, Node::Leaf]);
        }
        nodes
    })
}

fn rows() -> impl Strategy<Value = Vec<[f64; N_FEATURES]>> {
    prop::collection::vec(prop::array::uniform5(cell()), 1..300)
}

proptest! {
    #[test]
    fn walks_together_reach_what_single_walks_reach(
        trees in prop::collection::vec(tree(), 1..30),
        rows in rows(),
        n_outputs in 1..4_usize,
        width in 1..3_usize,
    ) {
        let n_outputs = n_outputs.max(width);
        let value = |tree: usize, node: usize, at: usize| (tree * 1000 + node * 10 + at) as f64 + 0.1;
        let output = |tree: usize| tree % (n_outputs + 1 - width);
        let mut builder = Builder::new(N_FEATURES, width);
        for (tree, nodes) in trees.iter().enumerate() {
            let leaf = |node, leaves: &mut Vec<f64>| leaves.extend((0..width).map(|at| value(tree, node, at)));
            builder.add(nodes, output(tree), leaf).unwrap();
        }
        let (forest, numbers) = builder.finish_numbered();
        let leaves: Vec<u32> = rows
            .iter()
            .flat_map(|row| trees.iter().map(|nodes| walk_plainly(nodes, row) as u32))
            .collect();
        prop_assert_eq!(forest.leaves(&numbers, &rows.concat(), N_FEATURES), leaves);

        let mut expected = vec![0.0; rows.len() * n_outputs];
        for (row, sums) in rows.iter().zip(expected.chunks_exact_mut(n_outputs)) {
            for (tree, nodes) in trees.iter().enumerate() {
                for at in 0..width {
                    sums[output(tree) + at] += value(tree, walk_plainly(nodes, row), at);
                }
            }
        }
        let mut sums = vec![0.0; rows.len() * n_outputs];
        forest.add_to(&rows.concat(), N_FEATURES, &mut sums, n_outputs);
        prop_assert_eq!(&sums, &expected);
    }

    #[test]
    fn oblivious_trees_agree_with_their_bits(
        trees in prop::collection::vec(prop::collection::vec((0..N_FEATURES, threshold(), missing()), 0..6), 1..20),
        rows in rows(),
        width in 1..3_usize,
    ) {
        let mut builder = ObliviousBuilder::new(N_FEATURES, width);
        let mut expected = vec![0.0; rows.len() * width];
        for (tree, levels) in trees.iter().enumerate() {
            let levels: Vec<Level> = levels
                .iter()
                .map(|(feature, threshold, missing)| Level { feature: *feature, threshold: *threshold, missing: *missing })
                .collect();
            let values: Vec<f64> = (0..width << levels.len()).map(|leaf| (tree * 100 + leaf) as f64 + 0.1).collect();
            builder.add(&levels, &values).unwrap();
            for (row, sums) in rows.iter().zip(expected.chunks_exact_mut(width)) {
                let mut leaf = 0;
                for (bit, level) in levels.iter().enumerate() {
                    leaf |= usize::from(!goes_left(row[level.feature], level.threshold, level.missing)) << bit;
                }
                for (at, sum) in sums.iter_mut().enumerate() {
                    *sum += values[leaf * width + at];
                }
            }
        }
        let mut sums = vec![0.0; rows.len() * width];
        builder.finish().add_to(&rows.concat(), N_FEATURES, &mut sums);
        prop_assert_eq!(sums, expected);
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    let test = || Test::AtMost { threshold: 0.0, missing: Missing::Left };
    let split = |left, right| Node::Split { feature: 0, test: test(), left, right };
    let problem =
        |nodes: &[Node]| Builder::<f64>::new(1, 1).add(nodes, 0, |_, leaves| leaves.push(0.0)).unwrap_err();
    assert_eq!(problem(&[split(0, 0)]), "a node has two parents");
    assert_eq!(problem(&[split(1, 1), Node::Leaf]), "a node has two parents");
    assert_eq!(problem(&[split(1, 2), Node::Leaf]), "a node has a child that is not there");
    assert_eq!(problem(&[]), "a node has a child that is not there");
    let far = Node::Split { feature: 1, test: test(), left: 1, right: 2 };
    assert_eq!(problem(&[far, Node::Leaf, Node::Leaf]), "a node looks at column 1 of 1");
}

/// A column may have more thresholds than a rank can count, and trees may look at more columns than one part can.
#[test]
fn very_many_thresholds_and_columns_are_exact() {
    let n = 70_000;
    let stump = |feature, threshold| {
        let test = Test::AtMost { threshold, missing: Missing::Right };
        [Node::Split { feature, test, left: 1, right: 2 }, Node::Leaf, Node::Leaf]
    };
    let leaf = |node, leaves: &mut Vec<f64>| leaves.push(f64::from(node == 2));
    let mut builder = Builder::new(1, 1);
    (0..n).for_each(|tree| builder.add(&stump(0, f64::from(tree)), 0, leaf).unwrap());
    let forest = builder.finish();
    let cases = [-1.0, 0.0, 0.5, 65_533.0, 65_534.5, 69_999.0, 1e9, f64::NAN];
    for (value, expected) in cases.into_iter().zip([0, 0, 1, 65_533, 65_535, 69_999, n, n]) {
        let mut sums = [0.0];
        forest.add_to(&[value], 1, &mut sums, 1);
        assert_eq!(sums, [f64::from(expected)], "{value}");
    }

    let n_columns = 40_000;
    let mut builder = Builder::new(n_columns, 1);
    (0..n_columns).for_each(|column| builder.add(&stump(column, 0.5), 0, leaf).unwrap());
    let (forest, numbers) = builder.finish_numbered();
    // As many rows as go together, and some more.
    for n_rows in [1, GROUP + 1] {
        let rows: Vec<f64> =
            (0..n_rows).flat_map(|_| (0..n_columns).map(|column| (column % 3) as f64)).collect();
        let mut sums = vec![0.0; n_rows];
        forest.add_to(&rows, n_columns, &mut sums, 1);
        assert_eq!(sums, vec![26_666.0; n_rows]);
        let leaves = [1, 2, 2].into_iter().cycle().take(n_columns).collect::<Vec<_>>().repeat(n_rows);
        assert_eq!(forest.leaves(&numbers, &rows, n_columns), leaves);
    }
}

/// A tree that is a chain is walked to its end, even if its levels are not counted.
#[test]
fn very_deep_trees_are_walked_to_the_end() {
    let n_levels = 1000;
    let mut nodes = Vec::new();
    for level in 0..n_levels {
        let test = Test::AtMost { threshold: level as f64, missing: Missing::Left };
        nodes.extend([
            Node::Split { feature: 0, test, left: level * 2 + 1, right: level * 2 + 2 },
            Node::Leaf,
        ]);
    }
    nodes.push(Node::Leaf);
    let mut builder = Builder::new(1, 1);
    builder.add(&nodes, 0, |node, leaves: &mut Vec<f64>| leaves.push(node as f64)).unwrap();
    let forest = builder.finish();
    let rows: Vec<f64> = (0..300).map(|row| f64::from(row) * 3.7 - 50.0).collect();
    let expected: Vec<f64> = rows.iter().map(|row| walk_plainly(&nodes, &[*row]) as f64).collect();
    let mut sums = vec![0.0; rows.len()];
    forest.add_to(&rows, 1, &mut sums, 1);
    assert_eq!(sums, expected);
}
