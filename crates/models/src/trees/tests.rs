use proptest::prelude::*;

use super::*;

/// A tree evaluated node by node, as it was saved: what the fast layout must agree with.
fn walk_plainly(nodes: &[Node], row: &[f64]) -> usize {
    let mut index = 0;
    while let Node::Split { feature, test, missing_left, left, right } = nodes[index] {
        let value = row[feature];
        let goes_left = match test {
            Test::AtMost(threshold) if !value.is_nan() => value <= threshold,
            Test::OneOf(categories) if (0.0..256.0).contains(&value) => {
                let has = |set: [u32; 8]| set[value as usize / 32] >> (value as usize % 32) & 1 == 1;
                has(categories.left) || (missing_left && !has(categories.known))
            }
            _ => missing_left,
        };
        index = if goes_left { left } else { right };
    }
    index
}

fn threshold() -> impl Strategy<Value = f64> {
    prop_oneof![-2.0..2.0_f64, Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
}

fn cell() -> impl Strategy<Value = f64> {
    prop_oneof![6 => threshold(), 2 => (0..300_i32).prop_map(f64::from), 1 => Just(f64::NAN)]
}

fn test() -> impl Strategy<Value = Test> {
    let categories = (any::<[u32; 8]>(), any::<[u32; 8]>());
    prop_oneof![
        4 => threshold().prop_map(Test::AtMost),
        1 => categories.prop_map(|(left, known)| Test::OneOf(Categories { left, known })),
    ]
}

const N_FEATURES: usize = 5;

/// A tree grown by splitting, again and again, a leaf that exists.
fn tree() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..N_FEATURES, test(), any::<bool>()), 0..40)
        .prop_map(|splits| {
            let mut nodes = vec![Node::Leaf];
            for (at, feature, test, missing_left) in splits {
                let leaves: Vec<usize> =
                    (0..nodes.len()).filter(|index| nodes[*index] == Node::Leaf).collect();
                let right = nodes.len();
                nodes[leaves[at.index(leaves.len())]] =
                    Node::Split { feature, test, missing_left, left: right + 1, right };
                nodes.extend([Node::Leaf; 2]);
            }
            nodes
        })
}

proptest! {
    #[test]
    fn walks_together_reach_what_single_walks_reach(
        trees in prop::collection::vec(tree(), 1..30),
        rows in prop::collection::vec(prop::array::uniform5(cell()), 1..150),
        n_outputs in 1..4_usize,
    ) {
        let value = |tree: usize, node: usize| (tree * 1000 + node) as f64 + 0.1;
        let mut builder = Builder::new(N_FEATURES, 1);
        for (tree, nodes) in trees.iter().enumerate() {
            builder.add(nodes, |node, leaves| leaves.push(value(tree, node))).unwrap();
        }
        let forest = builder.finish();

        let mut expected = vec![0.0; rows.len() * n_outputs];
        for (row, sums) in rows.iter().zip(expected.chunks_exact_mut(n_outputs)) {
            for (tree, nodes) in trees.iter().enumerate() {
                sums[tree % n_outputs] += value(tree, walk_plainly(nodes, row));
            }
        }
        let mut sums = vec![0.0; rows.len() * n_outputs];
        forest.add_to(&rows.concat(), N_FEATURES, &mut sums, n_outputs);
        prop_assert_eq!(&sums, &expected);
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    let split =
        |left, right| Node::Split { feature: 0, test: Test::AtMost(0.0), missing_left: true, left, right };
    let problem = |nodes: &[Node]| Builder::new(1, 1).add(nodes, |_, leaves| leaves.push(0.0)).unwrap_err();
    assert_eq!(problem(&[split(0, 0)]), "a node has two parents");
    assert_eq!(problem(&[split(1, 1), Node::Leaf]), "a node has two parents");
    assert_eq!(problem(&[split(1, 2), Node::Leaf]), "a node has a child that is not there");
    assert_eq!(problem(&[]), "a node has a child that is not there");
    let far = Node::Split { feature: 1, test: Test::AtMost(0.0), missing_left: true, left: 1, right: 2 };
    assert_eq!(problem(&[far, Node::Leaf, Node::Leaf]), "a node looks at column 1 of 1");
}
