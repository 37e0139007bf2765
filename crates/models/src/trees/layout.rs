//! From trees as libraries save them to the layout of [`Forest`].

use std::collections::VecDeque;

use super::{BY_CATEGORY, Categories, FEATURE, Forest, LEAF, MISSING_RIGHT, Packed};

/// A node as a reader finds it, with the numbers of its children among the nodes of the same tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node {
    Leaf,
    Split { feature: usize, test: Test, missing_left: bool, left: usize, right: usize },
}

/// Which values go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Test {
    /// Those up to this one.
    AtMost(f64),
    OneOf(Categories),
}

/// Collects trees into a [`Forest`].
#[derive(Debug)]
pub(crate) struct Builder {
    n_features: usize,
    forest: Forest,
}

impl Builder {
    /// For trees over `n_features` columns whose leaves have `width` values.
    pub(crate) fn new(n_features: usize, width: usize) -> Self {
        Self { n_features, forest: Forest { width, ..Forest::default() } }
    }

    pub(crate) fn finish(self) -> Forest {
        self.forest
    }

    /// Adds a tree whose root is the first node. `leaf` adds the values of a leaf. The problem, if it is no tree.
    pub(crate) fn add(
        &mut self,
        nodes: &[Node],
        mut leaf: impl FnMut(usize, &mut Vec<f64>),
    ) -> Result<(), String> {
        if self.n_features == 0 || self.n_features > FEATURE as usize {
            return Err(format!("it has {} columns", self.n_features));
        }
        let forest = &mut self.forest;
        let root = place(forest.nodes.len() + nodes.len()).map(|end| end - nodes.len() as u32)?;
        forest.roots.push(root);
        forest.nodes.push(Packed { test: LEAF, feature: 0, left: root });

        // Breadth first: the upper nodes, which every walk passes, lie together.
        let mut is_reached = vec![false; nodes.len()];
        let mut queue = VecDeque::from([(0, root)]);
        while let Some((index, place_of_node)) = queue.pop_front() {
            let node = nodes.get(index).ok_or("a node has a child that is not there")?;
            if std::mem::replace(&mut is_reached[index], true) {
                return Err("a node has two parents".to_owned());
            }
            let packed = match *node {
                Node::Leaf => {
                    let number = place(forest.leaves.len() / forest.width.max(1))?;
                    leaf(index, &mut forest.leaves);
                    Packed { test: LEAF | u64::from(number), feature: 0, left: place_of_node }
                }
                Node::Split { feature, test, missing_left, left, right } => {
                    if feature >= self.n_features {
                        return Err(format!("a node looks at column {feature} of {}", self.n_features));
                    }
                    let children = place(forest.nodes.len())?;
                    forest.nodes.extend([Packed { test: LEAF, feature: 0, left: children }; 2]);
                    queue.extend([(left, children), (right, children + 1)]);
                    let missing = if missing_left { 0 } else { MISSING_RIGHT };
                    let (kind, test) = match test {
                        Test::AtMost(threshold) if threshold.is_nan() => {
                            return Err("a node compares with NaN".to_owned());
                        }
                        Test::AtMost(threshold) => (0, threshold.to_bits()),
                        Test::OneOf(categories) => {
                            forest.categories.push(categories);
                            (BY_CATEGORY, forest.categories.len() as u64 - 1)
                        }
                    };
                    Packed { test, feature: feature as u32 | missing | kind, left: children }
                }
            };
            forest.nodes[place_of_node as usize] = packed;
        }
        Ok(())
    }
}

fn place(index: usize) -> Result<u32, String> {
    u32::try_from(index).map_err(|_| "there are too many nodes".to_owned())
}
