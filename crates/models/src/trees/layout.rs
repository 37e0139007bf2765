//! From trees as libraries save them to the layout of [`Forest`].

use std::collections::{HashSet, VecDeque};

use super::leaf_numbers::{LeafNumbers, PartNumbers};
use super::top::Top;
use super::views::{Key, Missing, Rank, Views};
use super::{BY_CATEGORY, Forest, Leaves, Packed, Part, Sum, Tree};

/// Keys of the views of one part. Columns with very many thresholds have further views, for which there is room.
const MAX_KEYS: usize = 1 << 14;

/// Nodes of one part.
const MAX_NODES: usize = 1 << 30;

/// The greatest code of a category.
const MAX_CATEGORY: usize = Views::OTHER as usize - 1;

/// A node as a reader finds it, with the numbers of its children among the nodes of the same tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Leaf,
    Split { feature: usize, test: Test, left: usize, right: usize },
}

/// Which values go left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// Those up to this one.
    AtMost {
        threshold: f64,
        missing: Missing,
    },
    OneOf(Categories),
}

/// A test by category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Categories {
    /// A bit for each category that goes right, from 0 on. Those that have a bit that is not set go left.
    pub(crate) right: Vec<u32>,
    /// Where those go that have no bit.
    pub(crate) others_right: bool,
    pub(crate) missing_right: bool,
    /// Whether what is below zero has no bit, even if it is above minus one, where others cut off to zero.
    pub(crate) from_zero: bool,
}

/// Collects trees into a [`Forest`].
#[derive(Debug)]
pub(crate) struct Builder<S = f64> {
    n_features: usize,
    width: usize,
    n_trees: usize,
    part: Draft<S>,
    done: Vec<(Part<S>, PartNumbers)>,
}

/// A part whose thresholds are not known yet.
#[derive(Debug)]
struct Draft<S> {
    keys: HashSet<Key>,
    nodes: Vec<DraftNode>,
    trees: Vec<Tree>,
    starts: Vec<u32>,
    values: Vec<S>,
    sets: Vec<u32>,
    numbers: PartNumbers,
}

#[derive(Debug, Clone, Copy)]
enum DraftNode {
    /// A leaf, or the third place after the children of a split by category.
    Place(u32),
    Number {
        key: Key,
        threshold: f64,
        left: u32,
    },
    Category {
        key: Key,
        flags: Rank,
        left: u32,
    },
}

// === impl Builder ===

impl<S: Sum> Builder<S> {
    /// For trees over `n_features` columns whose leaves have `width` values.
    pub(crate) fn new(n_features: usize, width: usize) -> Self {
        Self { n_features, width, n_trees: 0, part: Draft::new(), done: Vec::new() }
    }

    pub(crate) fn finish(self) -> Forest<S> {
        self.finish_numbered().0
    }

    /// The forest, and beside it the numbers that its leaves had among the nodes of their trees.
    pub(crate) fn finish_numbered(mut self) -> (Forest<S>, LeafNumbers) {
        self.done.push(self.part.finish(self.width));
        let (parts, numbers) = self.done.into_iter().unzip();
        (Forest { parts, n_trees: self.n_trees }, LeafNumbers(numbers))
    }

    /// Adds a tree whose root is the first node, and whose leaves are added to the sums from `output` on. `leaf` adds
    /// the values of a leaf. The problem, if it is no tree.
    pub(crate) fn add(
        &mut self,
        nodes: &[Node],
        output: usize,
        leaf: impl FnMut(usize, &mut Vec<S>),
    ) -> Result<(), String> {
        if self.n_features == 0 || u32::try_from(self.n_features).is_err() {
            return Err(format!("it has {} columns", self.n_features));
        }
        let mut keys = HashSet::new();
        for node in nodes {
            if let Node::Split { feature, test, .. } = node {
                keys.insert(self.key(*feature, test)?);
            }
        }
        if keys.len() > MAX_KEYS || nodes.len() > MAX_NODES / 4 {
            return Err("a tree is too large".to_owned());
        }
        let n_keys = keys.union(&self.part.keys).count();
        if n_keys > MAX_KEYS || self.part.nodes.len() + nodes.len() * 2 > MAX_NODES {
            let full = std::mem::replace(&mut self.part, Draft::new());
            self.done.push(full.finish(self.width));
        }
        self.part.keys.extend(keys);
        self.n_trees += 1;
        self.part.add(nodes, output, self.width, leaf)
    }

    fn key(&self, feature: usize, test: &Test) -> Result<Key, String> {
        if feature >= self.n_features {
            return Err(format!("a node looks at column {feature} of {}", self.n_features));
        }
        match test {
            Test::AtMost { threshold, .. } if threshold.is_nan() => {
                Err("a node compares with NaN".to_owned())
            }
            Test::OneOf(categories) if categories.right.len() > MAX_CATEGORY / 32 => {
                Err(format!("a node tells apart categories beyond {}", MAX_CATEGORY / 32 * 32 - 1))
            }
            _ => Ok(key(feature, test)),
        }
    }
}

fn key(feature: usize, test: &Test) -> Key {
    let feature = feature as u32;
    match test {
        Test::AtMost { missing, .. } => Key::Number { feature, missing: *missing },
        Test::OneOf(categories) => Key::Category { feature, from_zero: categories.from_zero },
    }
}

// === impl Draft ===

impl<S: Sum> Draft<S> {
    fn new() -> Self {
        Self {
            keys: HashSet::new(),
            nodes: Vec::new(),
            trees: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
            sets: Vec::new(),
            numbers: PartNumbers::default(),
        }
    }

    fn add(
        &mut self,
        nodes: &[Node],
        output: usize,
        width: usize,
        mut leaf: impl FnMut(usize, &mut Vec<S>),
    ) -> Result<(), String> {
        let root = self.nodes.len() as u32;
        self.trees.push(Tree { root, output: output as u32 });
        self.nodes.push(DraftNode::Place(root));

        // Breadth first: the upper nodes, which every walk passes, lie together.
        let mut is_reached = vec![false; nodes.len()];
        let mut queue = VecDeque::from([(0, root)]);
        while let Some((index, place)) = queue.pop_front() {
            let node = nodes.get(index).ok_or("a node has a child that is not there")?;
            if std::mem::replace(&mut is_reached[index], true) {
                return Err("a node has two parents".to_owned());
            }
            let Node::Split { feature, test, left, right } = node else {
                self.set_leaf(place as usize, width, |values| leaf(index, values))?;
                // The queue gives places in ascending order, and a tree has fewer nodes than 32 bits count.
                self.numbers.push(place as usize, index as u32);
                continue;
            };
            let key = key(*feature, test);
            let children = self.nodes.len() as u32;
            queue.extend([(*left, children), (*right, children + 1)]);
            self.nodes.extend([DraftNode::Place(children), DraftNode::Place(children + 1)]);
            self.nodes[place as usize] = match test {
                Test::AtMost { threshold, .. } => {
                    DraftNode::Number { key, threshold: *threshold, left: children }
                }
                Test::OneOf(categories) => {
                    self.nodes.push(DraftNode::Place(number(self.sets.len())?));
                    self.sets.push(categories.right.len() as u32);
                    self.sets.extend(&categories.right);
                    let others = if categories.others_right { Packed::OTHERS_RIGHT } else { 0 };
                    let missing = if categories.missing_right { Packed::MISSING_RIGHT } else { 0 };
                    DraftNode::Category { key, flags: others | missing, left: children }
                }
            };
        }
        Ok(())
    }

    fn set_leaf(&mut self, place: usize, width: usize, leaf: impl FnOnce(&mut Vec<S>)) -> Result<(), String> {
        if width == 1 {
            let mut value = Vec::with_capacity(1);
            leaf(&mut value);
            self.values.resize(self.values.len().max(place + 1), S::default());
            self.values[place] = value[0];
            return Ok(());
        }
        self.starts.resize(self.starts.len().max(place + 1), 0);
        self.starts[place] = number(self.values.len())?;
        leaf(&mut self.values);
        Ok(())
    }

    fn finish(self, width: usize) -> (Part<S>, PartNumbers) {
        let tests = self.nodes.iter().filter_map(|node| match node {
            DraftNode::Place(_) => None,
            DraftNode::Number { key, threshold, .. } => Some((*key, *threshold)),
            DraftNode::Category { key, .. } => Some((*key, 0.0)),
        });
        let views = Views::new(tests.collect());
        let finder = views.finder();
        let pack = |node: &DraftNode| match *node {
            DraftNode::Place(place) => Packed { left: place, view: 0, rank: Rank::MAX },
            DraftNode::Number { key, threshold, left } => {
                let (view, rank) = finder.find(key, threshold);
                Packed { left, view, rank }
            }
            DraftNode::Category { key, flags, left } => {
                let (view, _) = finder.find(key, 0.0);
                Packed { left, view: view | BY_CATEGORY, rank: flags }
            }
        };
        let nodes: Vec<Packed> = self.nodes.iter().map(pack).collect();
        let tops = self.trees.iter().map(|tree| Top::new(&nodes, tree.root)).collect();
        let leaves = Leaves { width, starts: self.starts, values: self.values };
        (Part { nodes, trees: self.trees, tops, leaves, sets: self.sets, views }, self.numbers)
    }
}

fn number(index: usize) -> Result<u32, String> {
    u32::try_from(index).map_err(|_| "the trees are too large".to_owned())
}
