//! What files of both forms say, and how it becomes a [`Model`].

use super::columns::{Columns, Kind};
use super::ctr::{MAX_ELEMENTS, MAX_STATISTICS, Statistic, Statistics, Table};
use super::loss::Loss;
use super::{LIBRARY, Model, Trees};
use crate::Data;
use crate::fault::Fault;
use crate::formats::document::{Document, Place};
use crate::object::MAX_COLUMNS;
use crate::trees::{Builder, Level, Missing, Node, ObliviousBuilder, Test};

/// What a file says of a model.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) floats: Vec<Float>,
    pub(super) categories: Vec<Column>,
    pub(super) one_hot: Vec<(usize, i32)>,
    pub(super) statistics: Vec<Statistic>,
    pub(super) tables: Vec<Table>,
    /// Of all statistics together.
    n_elements: usize,
    pub(super) trees: Vec<SavedTree>,
    pub(super) scale: f64,
    pub(super) bias: Vec<f64>,
    pub(super) about: About,
}

/// A column, and where it stands among all of them.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) place: usize,
}

/// A column of numbers.
#[derive(Debug)]
pub(super) struct Float {
    pub(super) column: Column,
    pub(super) missing: Missing,
    pub(super) borders: Vec<f32>,
}

/// What a file says about the training.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) loss: String,
    pub(super) classes: Option<Data>,
    pub(super) border: f64,
}

/// A test: of a number, whether a category is one that is asked for, or of a statistic. Each counts from 0 by itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Split {
    Float { index: usize, border: f32 },
    OneHot(usize),
    Statistic { index: usize, border: f32 },
}

#[derive(Debug)]
pub(super) enum SavedTree {
    Oblivious {
        splits: Vec<Split>,
        values: Vec<f64>,
    },
    /// Nodes, of which the first is the root, and the values of those that are leaves.
    Plain {
        nodes: Vec<SavedNode>,
    },
}

#[derive(Debug)]
pub(super) enum SavedNode {
    Leaf(Vec<f64>),
    Split { split: Split, left: usize, right: usize },
}

// === impl Saved ===

impl Saved {
    /// An error about the whole model.
    pub(super) fn problem(problem: impl Into<String>) -> Fault {
        Fault::inconsistent(LIBRARY, problem)
    }

    /// Adds a statistic.
    pub(super) fn add_statistic(&mut self, statistic: Statistic) -> Result<(), Fault> {
        self.n_elements += statistic.combination.n_elements() + statistic.borders.len();
        if self.statistics.len() == MAX_STATISTICS {
            return Err(Fault::TooLarge { what: "statistics", limit: MAX_STATISTICS as u64 });
        }
        if self.n_elements > MAX_ELEMENTS {
            return Err(Fault::TooLarge { what: "parts of statistics", limit: MAX_ELEMENTS as u64 });
        }
        self.statistics.push(statistic);
        Ok(())
    }

    /// All tests, as trees number them: first those of numbers, then those of categories and of statistics.
    pub(super) fn tests(&self) -> Vec<Split> {
        let floats = self.floats.iter().enumerate().flat_map(|(index, float)| {
            float.borders.iter().map(move |border| Split::Float { index, border: *border })
        });
        let statistics = self.statistics.iter().enumerate().flat_map(|(index, statistic)| {
            statistic.borders.iter().map(move |border| Split::Statistic { index, border: *border })
        });
        floats.chain((0..self.one_hot.len()).map(Split::OneHot)).chain(statistics).collect()
    }

    pub(super) fn finish(mut self) -> Result<Model, Fault> {
        let n_outputs = self.bias.len();
        let columns = self.columns()?;
        let trees = self.trees(columns.n_encoded().max(1))?;
        let loss = Loss::read(&self.about.loss)?;
        let is_many_labels = loss == Loss::ManyLabels;
        let classes = match self.about.classes {
            _ if !loss.tells_classes() => None,
            // Labels that are probabilities have no classes of their own.
            Some(classes) if !classes.is_empty() => Some(classes),
            _ => Some(Data::Long((0..n_outputs.max(2) as i64).collect())),
        };
        let n_expected = if n_outputs == 1 { 2 } else { n_outputs };
        if classes.as_ref().is_some_and(|classes| classes.len() != n_expected) && !is_many_labels {
            return Err(Self::problem("the number of classes does not fit the trees"));
        }
        let is_even = loss != Loss::Uncertainty || n_outputs == 2;
        if !is_even {
            return Err(Self::problem("RMSEWithUncertainty has two outputs"));
        }
        let border = self.about.border;
        Ok(Model { columns, trees, scale: self.scale, bias: self.bias, loss, classes, border })
    }

    fn columns(&mut self) -> Result<Columns, Fault> {
        let floats = self.floats.iter().map(|float| (&float.column, Kind::Number));
        let categories = self.categories.iter().map(|column| (column, Kind::Category));
        let all: Vec<(&Column, Kind)> = floats.chain(categories).collect();
        if all.is_empty() || all.len() > MAX_COLUMNS {
            return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
        }
        let mut ordered: Vec<Option<(&Column, Kind)>> = vec![None; all.len()];
        for (column, kind) in all {
            match ordered.get_mut(column.place) {
                Some(place @ None) => *place = Some((column, kind)),
                _ => return Err(Self::problem("the places of its columns are not all there")),
            }
        }
        let ordered: Vec<(&Column, Kind)> = ordered.into_iter().flatten().collect();
        let is_named = |(index, (column, _)): (usize, &(&Column, Kind))| {
            !column.name.is_empty() && column.name != index.to_string()
        };
        let are_named = ordered.iter().enumerate().all(is_named);
        let names = are_named.then(|| ordered.iter().map(|(column, _)| column.name.clone()).collect());
        let kinds = ordered.iter().map(|(_, kind)| *kind).collect();

        let combinations = self.statistics.iter().map(|statistic| &statistic.combination);
        let combined = combinations.flat_map(|combination| {
            let one_hot = combination.one_hot.iter().map(|(category, _)| *category);
            combination.categories.iter().copied().chain(one_hot)
        });
        let mut hashed: Vec<usize> =
            self.one_hot.iter().map(|(category, _)| *category).chain(combined).collect();
        hashed.sort_unstable();
        hashed.dedup();
        let missing: Vec<Missing> = self.floats.iter().map(|float| float.missing).collect();
        let tables = std::mem::take(&mut self.tables);
        let statistics = Statistics::new(&self.statistics, tables, &hashed, &missing)?;
        let one_hot = self.one_hot.iter().map(|(category, hash)| {
            let place = hashed.binary_search(category).expect("all categories of tests are hashed");
            (place, *hash)
        });
        let one_hot = one_hot.collect();
        let place = |category: &usize| self.categories.get(*category).map(|column| column.place);
        let hashed: Option<Vec<usize>> = hashed.iter().map(place).collect();
        let hashed = hashed.ok_or_else(|| Self::problem("a statistic looks at no column"))?;
        let numbers = self.floats.iter().map(|float| float.column.place).collect();
        Ok(Columns { names, kinds, numbers, hashed, one_hot, statistics })
    }

    /// The column, among those that trees see, and the threshold and missing rule of a test.
    fn level(&self, split: Split) -> Result<Level, Fault> {
        match split {
            Split::Float { index, border } => {
                let float =
                    self.floats.get(index).ok_or_else(|| Self::problem("a test looks at no column"))?;
                Ok(Level { feature: index, threshold: f64::from(border), missing: float.missing })
            }
            Split::OneHot(index) if index < self.one_hot.len() => {
                let feature = self.floats.len() + index;
                Ok(Level { feature, threshold: 0.5, missing: Missing::Left })
            }
            Split::OneHot(_) => Err(Self::problem("a test asks for no category")),
            Split::Statistic { index, border } => {
                let feature = self.floats.len() + self.one_hot.len() + index;
                Ok(Level { feature, threshold: f64::from(border), missing: Missing::Left })
            }
        }
    }

    fn trees(&self, n_encoded: usize) -> Result<Trees, Fault> {
        let width = self.bias.len();
        let are_oblivious = self.trees.iter().all(|tree| matches!(tree, SavedTree::Oblivious { .. }));
        if are_oblivious {
            let mut builder = ObliviousBuilder::new(n_encoded, width);
            for tree in &self.trees {
                let SavedTree::Oblivious { splits, values } = tree else { continue };
                let levels: Vec<Level> =
                    splits.iter().map(|split| self.level(*split)).collect::<Result<_, _>>()?;
                builder.add(&levels, values).map_err(Self::problem)?;
            }
            return Ok(Trees::Oblivious(builder.finish()));
        }
        let mut builder = Builder::new(n_encoded, width);
        for tree in &self.trees {
            let SavedTree::Plain { nodes: saved } = tree else {
                return Err(Self::problem("some of its trees are symmetric and some are not"));
            };
            let mut nodes = Vec::with_capacity(saved.len());
            for node in saved {
                nodes.push(match node {
                    SavedNode::Leaf(values) if values.len() == width => Node::Leaf,
                    SavedNode::Leaf(_) => return Err(Self::problem("a leaf has not one value per output")),
                    SavedNode::Split { split, left, right } => {
                        let Level { feature, threshold, missing } = self.level(*split)?;
                        let test = Test::AtMost { threshold, missing };
                        Node::Split { feature, test, left: *left, right: *right }
                    }
                });
            }
            let leaf = |node: usize, leaves: &mut Vec<f64>| {
                if let SavedNode::Leaf(values) = &saved[node] {
                    leaves.extend(values);
                }
            };
            builder.add(&nodes, 0, leaf).map_err(Self::problem)?;
        }
        Ok(Trees::Plain(builder.finish()))
    }
}

/// What is done with a missing value, by the name of the rule.
pub(super) fn missing(treatment: &str) -> Option<Missing> {
    match treatment {
        "AsIs" | "AsFalse" => Some(Missing::Left),
        "AsTrue" => Some(Missing::Right),
        _ => None,
    }
}

// === impl About ===

impl About {
    /// Reads the parameters of the training and what is said of the classes.
    pub(super) fn read(
        params: Option<Place<'_>>,
        class_params: Option<Place<'_>>,
        threshold: Option<f64>,
    ) -> Result<Self, Fault> {
        let params = params.ok_or_else(|| Saved::problem("it does not say what was learned"))?;
        let loss = params.get("loss_function")?.get("type")?.text()?.to_owned();
        let classes = class_params.map(|class_params| classes(&class_params)).transpose()?.flatten();
        let border = threshold.map_or(0.0, |probability| -(1.0 / probability - 1.0).ln());
        Ok(Self { loss, classes, border })
    }
}

fn classes(class_params: &Place<'_>) -> Result<Option<Data>, Fault> {
    let Some(names) = class_params.find("class_names") else { return Ok(None) };
    let kind = class_params.find("class_label_type").map_or(Ok("String"), |kind| kind.text())?;
    Ok(Some(match (kind, names.document) {
        ("Integer", Document::Numbers(labels)) => {
            Data::Long(labels.iter().map(|label| *label as i64).collect())
        }
        ("Float", Document::Numbers(labels)) => Data::Double(labels.clone()),
        ("Boolean", Document::Numbers(labels)) => {
            Data::Boolean(labels.iter().map(|label| *label != 0.0).collect())
        }
        (_, Document::List(_)) => Data::Text(names.texts()?),
        (_, Document::Numbers(labels)) if labels.is_empty() => return Ok(None),
        _ => return Err(names.problem("are labels of an unknown type")),
    }))
}
