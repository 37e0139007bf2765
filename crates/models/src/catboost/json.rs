//! Models in JSON (`save_model(…, format="json")`).

use std::collections::{HashMap, HashSet};

use super::ctr::{Combination, KINDS, Kind, Scaling, Statistic, Table};
use super::saved::{About, Column, Float, Saved, SavedNode, SavedTree, Split, missing};
use super::{LIBRARY, cbm};
use crate::fault::Fault;
use crate::formats::document::{Document, Place, json};

/// Losses of several targets.
const MANY_TARGETS: &[&str] =
    &["MultiRMSE", "MultiRMSEWithMissingValues", "MultiLogloss", "MultiCrossEntropy"];

/// Nodes of one tree.
const MAX_NODES: usize = 1 << 24;

pub(super) fn read(document: &Document) -> Result<Saved, Fault> {
    let root = document.place(LIBRARY);
    let features = root.get("features_info")?;
    let mut saved = Saved::default();
    if let Some(floats) = features.find("float_features") {
        for float in floats.items()? {
            let treatment = float.get("nan_value_treatment")?;
            let missing = missing(treatment.text()?);
            saved.floats.push(Float {
                column: column(&float)?,
                missing: missing.ok_or_else(|| treatment.unsupported("it is AsIs, AsFalse or AsTrue"))?,
                borders: float
                    .find("borders")
                    .map_or(Ok(Vec::new()), |borders| numbers_of_32_bits(&borders))?,
            });
        }
    }
    if let Some(categories) = features.find("categorical_features") {
        for (index, category) in categories.items()?.enumerate() {
            saved.categories.push(column(&category)?);
            let values = category.find("values").map(|values| values.numbers()).transpose()?;
            saved.one_hot.extend(values.unwrap_or_default().iter().map(|hash| (index, *hash as i32)));
        }
    }
    read_statistics(&root, &features, &mut saved)?;
    for (key, what) in cbm::NOT_READ {
        if features.find(key).is_some_and(|part| part.items().is_ok_and(|items| items.len() > 0)) {
            return Err(cbm::not_read(what));
        }
    }

    let scale_and_bias = root.get("scale_and_bias")?;
    let mut parts = scale_and_bias.items()?;
    let (Some(scale), Some(bias), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(scale_and_bias.problem("are not two"));
    };
    saved.scale = scale.number()?;
    saved.bias = bias.numbers()?.to_vec();
    let tests = saved.tests();
    if let Some(trees) = root.find("oblivious_trees") {
        for tree in trees.items()? {
            let splits = match tree.find("splits") {
                Some(splits) => {
                    splits.items()?.map(|place| split(&saved, &tests, &place)).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            };
            let values = tree.get("leaf_values")?.numbers()?.to_vec();
            saved.trees.push(SavedTree::Oblivious { splits, values });
        }
    }
    if let Some(trees) = root.find("trees") {
        for tree in trees.items()? {
            let nodes = nodes(&saved, &tests, tree)?;
            saved.trees.push(SavedTree::Plain { nodes });
        }
    }

    let info = root.get("model_info")?;
    let parsed = |key: &str| match info.document.find(key) {
        Some(Document::Text(text)) => json::read(text.as_bytes()).map(Some),
        other => Ok(other.cloned()),
    };
    let (params, class_params) = (parsed("params")?, parsed("class_params")?);
    let threshold = info.find("binclass_probability_threshold").map(|value| value.number()).transpose()?;
    saved.about = About::read(
        params.as_ref().map(|params| params.place(LIBRARY)),
        class_params.as_ref().map(|params| params.place(LIBRARY)),
        threshold,
    )?;
    if !saved.statistics.is_empty() && MANY_TARGETS.contains(&saved.about.loss.as_str()) {
        return Err(many_targets());
    }
    Ok(saved)
}

fn column(feature: &Place<'_>) -> Result<Column, Fault> {
    let name = feature.find("feature_id").map_or(Ok(""), |name| name.text())?.to_owned();
    Ok(Column { name, place: feature.get("flat_feature_index")?.count()? })
}

/// A list of numbers, as the library keeps them.
fn numbers_of_32_bits(place: &Place<'_>) -> Result<Vec<f32>, Fault> {
    Ok(place.numbers()?.iter().map(|number| *number as f32).collect())
}

/// Tables of statistics have names that leave out the target, so the tables of one target are all there are in a file. The
/// library reads such a file, and answers otherwise than the model did.
fn many_targets() -> Fault {
    Fault::Unsupported {
        what: format!("{LIBRARY} JSON with statistics over categories (CTR) of several targets"),
        help: Some("JSON files leave out which target a statistic is of: save the model as `cbm`".to_owned()),
    }
}

fn read_statistics(root: &Place<'_>, features: &Place<'_>, saved: &mut Saved) -> Result<(), Fault> {
    let Some(statistics) = features.find("ctrs") else { return Ok(()) };
    let data = root.find("ctr_data").map(|data| data.pairs()).transpose()?.unwrap_or_default();
    let data: HashMap<&str, &Document> = data.iter().map(|(name, table)| (name.as_str(), table)).collect();
    let mut tables = HashMap::new();
    let mut known = HashSet::new();
    for statistic in statistics.items()? {
        let name = statistic.get("ctr_type")?;
        let kind = KINDS.iter().find(|(known, _)| name.text().is_ok_and(|name| name == *known));
        let Some((_, kind)) = kind else {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            return Err(name.unsupported(&format!("it is one of {}", names.join(", "))));
        };
        let identifier = statistic.get("identifier")?;
        let table = match tables.get(&(identifier.text()?, *kind)) {
            Some(table) => *table,
            None => {
                let found = data.get(identifier.text()?);
                let found = found.ok_or_else(|| identifier.problem("is that of no table"))?;
                saved.tables.push(read_table(&found.place(LIBRARY), *kind)?);
                tables.insert((identifier.text()?, *kind), saved.tables.len() - 1);
                saved.tables.len() - 1
            }
        };
        let float = |key| statistic.get(key).and_then(|value| value.number()).map(|number| number as f32);
        let statistic = Statistic {
            combination: combination(&statistic.get("elements")?)?,
            kind: *kind,
            table,
            target_border: statistic.get("target_border_idx")?.count()?,
            scaling: Scaling {
                prior: float("prior_numerator")?,
                prior_denominator: float("prior_denomerator")?,
                shift: float("shift")?,
                scale: float("scale")?,
            },
            borders: numbers_of_32_bits(&statistic.get("borders")?)?,
        };
        let Scaling { prior, prior_denominator, shift, scale } = statistic.scaling;
        let scaling = [prior, prior_denominator, shift, scale].map(f32::to_bits);
        if !known.insert((identifier.text()?, statistic.target_border, scaling)) {
            return Err(many_targets());
        }
        saved.add_statistic(statistic)?;
    }
    Ok(())
}

fn combination(elements: &Place<'_>) -> Result<Combination, Fault> {
    let mut combination = Combination::default();
    for element in elements.items()? {
        let kind = element.get("combination_element")?;
        let category = || element.get("cat_feature_index")?.count();
        match kind.text()? {
            "cat_feature_value" => combination.categories.push(category()?),
            "cat_feature_exact_value" => {
                combination.one_hot.push((category()?, element.get("value")?.number()? as i32));
            }
            "float_feature" => {
                let border = element.get("border")?.number()? as f32;
                combination.numbers.push((element.get("float_feature_index")?.count()?, border.to_bits()));
            }
            _ => {
                let known = "it is cat_feature_value, cat_feature_exact_value or float_feature";
                return Err(kind.unsupported(known));
            }
        }
    }
    Ok(combination)
}

/// A table: a list of rows, each a hash as a text and then numbers.
fn read_table(table: &Place<'_>, kind: Kind) -> Result<Table, Fault> {
    let list = table.get("hash_map")?;
    let width = table.get("hash_stride")?.count()?;
    let items: Vec<Place<'_>> = list.items()?.collect();
    if width < 2 || !items.len().is_multiple_of(width) {
        return Err(list.problem("is not made of whole rows"));
    }
    let mut hashes = Vec::with_capacity(items.len() / width);
    let mut numbers = Vec::with_capacity(items.len() - items.len() / width);
    for (index, row) in items.chunks_exact(width).enumerate() {
        let hash = row[0].text()?.parse().map_err(|_| list.problem("has a hash that is none"))?;
        let index = u32::try_from(index).map_err(|_| list.problem("has too many rows"))?;
        hashes.push((hash, index));
        for number in &row[1..] {
            numbers.push(number.number()?);
        }
    }
    match kind {
        Kind::BinarizedMean | Kind::FloatMean if width != 3 => {
            Err(list.problem("has not two numbers per row"))
        }
        Kind::BinarizedMean | Kind::FloatMean => {
            let means = numbers.chunks_exact(2).map(|mean| (mean[0] as f32, mean[1] as i32)).collect();
            Table::of_means(hashes, means)
        }
        Kind::Counter | Kind::Frequency if width != 2 => Err(list.problem("has not one number per row")),
        _ => {
            let counts = numbers.iter().map(|count| *count as i32).collect();
            let denominator = table.get("counter_denominator")?.number()? as i32;
            Table::of_counts(kind, hashes, counts, width - 1, denominator)
        }
    }
}

fn split(saved: &Saved, tests: &[Split], split: &Place<'_>) -> Result<Split, Fault> {
    let kind = split.get("split_type")?;
    match kind.text()? {
        "FloatFeature" => Ok(Split::Float {
            index: split.get("float_feature_index")?.count()?,
            border: split.get("border")?.number()? as f32,
        }),
        "OneHotFeature" => {
            let category = split.get("cat_feature_index")?.count()?;
            let hash = split.get("value")?.number()? as i32;
            let place = saved.one_hot.iter().position(|known| *known == (category, hash));
            place.map(Split::OneHot).ok_or_else(|| split.problem("asks for no category"))
        }
        // The number of the test is all that says which statistic is meant.
        "OnlineCtr" => match tests.get(split.get("split_index")?.count()?) {
            Some(test @ Split::Statistic { .. }) => Ok(*test),
            _ => Err(split.problem("asks for no statistic")),
        },
        _ => Err(kind.unsupported("it is FloatFeature, OneHotFeature or OnlineCtr")),
    }
}

/// The nodes of a tree, the root first.
fn nodes(saved: &Saved, tests: &[Split], tree: Place<'_>) -> Result<Vec<SavedNode>, Fault> {
    let mut nodes = Vec::new();
    let mut waiting = std::collections::VecDeque::from([tree]);
    // Breadth first: the children of the next node are those that will be pushed next.
    let mut n_pushed = 1;
    while let Some(node) = waiting.pop_front() {
        nodes.push(match node.find("split") {
            Some(place) => {
                waiting.extend([node.get("left")?, node.get("right")?]);
                n_pushed += 2;
                SavedNode::Split {
                    split: split(saved, tests, &place)?,
                    left: n_pushed - 2,
                    right: n_pushed - 1,
                }
            }
            None => {
                let value = node.get("value")?;
                let values = value.number().map(|value| vec![value]);
                SavedNode::Leaf(values.or_else(|_| value.numbers().map(<[f64]>::to_vec))?)
            }
        });
        if n_pushed > MAX_NODES {
            return Err(Fault::TooLarge { what: "nodes in a tree", limit: MAX_NODES as u64 });
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catboost::load_json;

    /// What is said of a model with statistics in which `from` was made `to`.
    fn problem(from: &str, to: &str) -> Fault {
        let file = "../../fixtures/models/cat12-ctr-multi/model.json";
        let text =
            std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.contains(from), "{from}");
        load_json(&json::read(text.replace(from, to).as_bytes()).unwrap()).unwrap_err()
    }

    #[test]
    fn statistics_that_are_not_known_are_refused_by_name() {
        let fault = problem("\"ctr_type\":\"Borders\"", "\"ctr_type\":\"Guesses\"");
        let Fault::Unsupported { what, help } = fault else { panic!("{fault:?}") };
        assert_eq!(what, "CatBoost with ctr_type=Guesses");
        assert!(help.unwrap().contains("Borders, Buckets"));
    }

    #[test]
    fn statistics_of_several_targets_are_refused_since_the_file_has_those_of_one() {
        let fault = problem("\"target_border_idx\":1", "\"target_border_idx\":0");
        assert_eq!(fault, many_targets());
        let fault = problem("\"type\":\"MultiClass\"", "\"type\":\"MultiRMSE\"");
        assert_eq!(fault, many_targets());
    }

    #[test]
    fn tables_of_statistics_are_all_there() {
        for (from, to, expected) in [
            ("\"hash_stride\":4", "\"hash_stride\":5", "is not made of whole rows"),
            ("\"hash_stride\":4", "\"hash_stride\":0", "is not made of whole rows"),
            ("\"target_border_idx\":1", "\"target_border_idx\":3", "does not fit its table"),
            ("\"cat_feature_index\":0,", "\"cat_feature_index\":9,", "looks at no column"),
            ("\"ctr_data\"", "\"other\"", "is that of no table"),
        ] {
            let fault = format!("{:?}", problem(from, to));
            assert!(fault.contains(expected), "{from} {to}: {fault}");
        }
    }
}
