//! Models in JSON (`save_model(…, format="json")`).

use super::saved::{About, Column, Float, Saved, SavedNode, SavedTree, Split, missing};
use super::{LIBRARY, cbm};
use crate::fault::Fault;
use crate::formats::document::{Document, Place, json};

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
                borders: Vec::new(),
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
    if let Some(trees) = root.find("oblivious_trees") {
        for tree in trees.items()? {
            let splits = match tree.find("splits") {
                Some(splits) => {
                    splits.items()?.map(|place| split(&saved, &place)).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            };
            let values = tree.get("leaf_values")?.numbers()?.to_vec();
            saved.trees.push(SavedTree::Oblivious { splits, values });
        }
    }
    if let Some(trees) = root.find("trees") {
        for tree in trees.items()? {
            let nodes = nodes(&saved, tree)?;
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
    Ok(saved)
}

fn column(feature: &Place<'_>) -> Result<Column, Fault> {
    let name = feature.find("feature_id").map_or(Ok(""), |name| name.text())?.to_owned();
    Ok(Column { name, place: feature.get("flat_feature_index")?.count()? })
}

fn split(saved: &Saved, split: &Place<'_>) -> Result<Split, Fault> {
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
        _ => Err(cbm::not_read(cbm::NOT_READ[0].1)),
    }
}

/// The nodes of a tree, the root first.
fn nodes(saved: &Saved, tree: Place<'_>) -> Result<Vec<SavedNode>, Fault> {
    let mut nodes = Vec::new();
    let mut waiting = std::collections::VecDeque::from([tree]);
    // Breadth first: the children of the next node are those that will be pushed next.
    let mut n_pushed = 1;
    while let Some(node) = waiting.pop_front() {
        nodes.push(match node.find("split") {
            Some(place) => {
                waiting.extend([node.get("left")?, node.get("right")?]);
                n_pushed += 2;
                SavedNode::Split { split: split(saved, &place)?, left: n_pushed - 2, right: n_pushed - 1 }
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
