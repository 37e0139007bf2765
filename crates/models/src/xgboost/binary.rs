//! The binary format of files until 3.0 and of pickles until 1.2 (`LearnerIO::LoadModel`), made into what a JSON file
//! of the same model holds.
//!
//! Structs are as they lay in memory, little-endian: all parameters are 32 bits wide, and lengths 64.

use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::document::Document;

/// What files begin with since 1.3. Those before begin with the parameters.
const MAGIC: &[u8] = b"binf";

/// What pickles begin with since 1.0: then comes the length of the model. Settings of the training follow it.
const PICKLED: &[u8] = b"CONFIG-offset:";

/// `LearnerModelParamLegacy`, and what of it there has always been.
const PARAMETERS: usize = 34;
mod parameter {
    pub(super) const N_FEATURES: usize = 1;
    pub(super) const N_CLASSES: usize = 2;
    pub(super) const HAS_ATTRIBUTES: usize = 3;
    pub(super) const MAJOR_VERSION: usize = 5;
    pub(super) const MINOR_VERSION: usize = 6;
    pub(super) const N_TARGETS: usize = 7;
}

/// `GBTreeModelParam`, which begins with the number of trees.
const MODEL_PARAMETERS: usize = 40;
/// `DeprecatedGBLinearModelParam`, of which nothing is needed.
const LINEAR_PARAMETERS: usize = 34;
/// `TreeParam`
const TREE_PARAMETERS: usize = 37;
mod tree_parameter {
    pub(super) const N_ROOTS: usize = 0;
    pub(super) const N_NODES: usize = 1;
    pub(super) const LEAF_SIZE: usize = 5;
}

/// `RegTree::Node`
const NODE_BYTES: usize = 20;
/// `RTreeNodeStat`
const STATISTIC_BYTES: usize = 16;

/// Of a node's column: whether missing values go left.
const DEFAULT_LEFT: u32 = 1 << 31;

/// Bytes of the name of an objective.
const MAX_NAME_BYTES: usize = 64;

/// Whether bytes are of this format. Where they have no magic, the names of an objective and a booster must be in their
/// places.
pub(super) fn is_likely(data: &[u8]) -> bool {
    let has_names = |data| {
        let mut cursor = Cursor::new(data);
        let names = parameters(&mut cursor, PARAMETERS).and_then(|_| names(&mut cursor));
        names.is_ok_and(|(_, booster)| matches!(booster, "gbtree" | "dart" | "gblinear"))
    };
    data.starts_with(MAGIC) || data.starts_with(PICKLED) || has_names(data)
}

pub(super) fn read(data: &[u8]) -> Result<Document, Fault> {
    let mut cursor = Cursor::new(data);
    if data.starts_with(PICKLED) {
        cursor.take(PICKLED.len())?;
        cursor.length()?;
    }
    if cursor.clone().take(MAGIC.len()).is_ok_and(|magic| magic == MAGIC) {
        cursor.take(MAGIC.len())?;
    }
    let parameters = parameters(&mut cursor, PARAMETERS)?;
    let (objective, booster) = names(&mut cursor)?;
    let gradient_booster = match booster {
        "gblinear" => linear(&mut cursor)?,
        _ => trees(&mut cursor, booster == "dart")?,
    };
    // Names of metrics may follow the attributes.
    let attributes = match parameters[parameter::HAS_ATTRIBUTES] {
        0 => Vec::new(),
        _ => attributes(&mut cursor)?,
    };
    let base_score = f64::from(f32::from_bits(parameters[0]));
    let number = |place: usize| Document::Number(f64::from(parameters[place]));
    let version =
        [parameter::MAJOR_VERSION, parameter::MINOR_VERSION].map(|place| f64::from(parameters[place]));
    let learner = [
        ("attributes", Document::Map(attributes)),
        ("gradient_booster", map([("name", text(booster))].into_iter().chain(gradient_booster))),
        (
            "learner_model_param",
            map([
                ("base_score", Document::Number(base_score)),
                ("num_feature", number(parameter::N_FEATURES)),
                ("num_class", number(parameter::N_CLASSES)),
                ("num_target", number(parameter::N_TARGETS)),
            ]),
        ),
        ("objective", map([("name", text(objective))])),
    ];
    Ok(map([("learner", map(learner)), ("version", Document::Numbers(version.to_vec()))]))
}

/// Numbers of a struct.
fn parameters(cursor: &mut Cursor<'_>, n: usize) -> Result<Vec<u32>, Fault> {
    (0..n).map(|_| cursor.array().map(u32::from_le_bytes)).collect()
}

/// The names of the objective and of the booster.
fn names<'d>(cursor: &mut Cursor<'d>) -> Result<(&'d str, &'d str), Fault> {
    let mut name = || {
        let name = string(cursor)?;
        let is_name = name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
        if is_name { Ok(name) } else { Err(Fault::damaged(cursor.position(), "a name is none")) }
    };
    Ok((name()?, name()?))
}

/// Text after its length.
fn string<'d>(cursor: &mut Cursor<'d>) -> Result<&'d str, Fault> {
    let n_bytes = cursor.length()?;
    let bytes = cursor.take(n_bytes)?;
    std::str::from_utf8(bytes).map_err(|_| Fault::damaged(cursor.position(), "a text is no UTF-8"))
}

fn attributes(cursor: &mut Cursor<'_>) -> Result<Vec<(String, Document)>, Fault> {
    let n = cursor.length()?;
    // Read one by one: the count may be anything.
    (0..n).map(|_| Ok((string(cursor)?.to_owned(), text(string(cursor)?)))).collect()
}

/// The weights of a linear model.
fn linear(cursor: &mut Cursor<'_>) -> Result<Vec<(&'static str, Document)>, Fault> {
    parameters(cursor, LINEAR_PARAMETERS)?;
    Ok(vec![("model", map([("weights", floats(cursor)?)]))])
}

fn trees(cursor: &mut Cursor<'_>, is_dart: bool) -> Result<Vec<(&'static str, Document)>, Fault> {
    let n_trees = parameters(cursor, MODEL_PARAMETERS)?[0] as usize;
    let trees = (0..n_trees).map(|_| tree(cursor)).collect::<Result<_, _>>()?;
    let outputs: Vec<f64> = parameters(cursor, n_trees)?.into_iter().map(f64::from).collect();
    let mut parts =
        vec![("model", map([("trees", Document::List(trees)), ("tree_info", Document::Numbers(outputs))]))];
    if is_dart && n_trees > 0 {
        parts.push(("weight_drop", floats(cursor)?));
    }
    Ok(parts)
}

fn tree(cursor: &mut Cursor<'_>) -> Result<Document, Fault> {
    let parameters = parameters(cursor, TREE_PARAMETERS)?;
    let [n_roots, leaf_size] =
        [tree_parameter::N_ROOTS, tree_parameter::LEAF_SIZE].map(|place| parameters[place]);
    if n_roots > 1 || leaf_size > 1 {
        return Err(Fault::unsupported(format!(
            "{} trees with several roots or values per leaf",
            super::LIBRARY
        )));
    }
    let n = parameters[tree_parameter::N_NODES] as usize;
    let nodes = cursor.take(n.saturating_mul(NODE_BYTES))?.chunks_exact(NODE_BYTES);
    cursor.take(n.saturating_mul(STATISTIC_BYTES))?;
    let column = |place: usize, read: fn([u8; 4]) -> f64| {
        let word = |node: &[u8]| node[place * 4..][..4].try_into().expect("four bytes were taken");
        Document::Numbers(nodes.clone().map(|node| read(word(node))).collect())
    };
    Ok(map([
        ("left_children", column(1, |word| f64::from(i32::from_le_bytes(word)))),
        ("right_children", column(2, |word| f64::from(i32::from_le_bytes(word)))),
        ("split_indices", column(3, |word| f64::from(u32::from_le_bytes(word) & !DEFAULT_LEFT))),
        ("default_left", column(3, |word| f64::from(u32::from_le_bytes(word) / DEFAULT_LEFT))),
        ("split_conditions", column(4, |word| f64::from(f32::from_le_bytes(word)))),
    ]))
}

/// Numbers after their count.
fn floats(cursor: &mut Cursor<'_>) -> Result<Document, Fault> {
    let n = cursor.length()?;
    let bytes = cursor.take(n.saturating_mul(size_of::<f32>()))?;
    let (words, _) = bytes.as_chunks();
    Ok(Document::Numbers(words.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect()))
}

fn map<'k>(pairs: impl IntoIterator<Item = (&'k str, Document)>) -> Document {
    Document::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text(text: &str) -> Document {
    Document::Text(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first tree of [`file`] begins.
    const FIRST_TREE: usize =
        (PARAMETERS + MODEL_PARAMETERS) * 4 + 2 * 8 + "binary:logistic".len() + "gbtree".len();

    fn file() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/xgb090-booster/model.bst");
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_file_without_its_end_is_damaged() {
        let file = file();
        assert!(is_likely(&file));
        for end in 0..file.len() {
            assert!(matches!(read(&file[..end]), Err(Fault::Damaged { .. })), "cut at {end}");
        }
    }

    #[test]
    fn counts_that_lie_take_nothing() {
        let file = file();
        let n_trees = FIRST_TREE - MODEL_PARAMETERS * 4;
        let n_nodes = FIRST_TREE + tree_parameter::N_NODES * 4;
        for place in [PARAMETERS * 4, n_trees, n_nodes] {
            let mut file = file.clone();
            file[place..place + 4].fill(0xff);
            assert!(matches!(read(&file), Err(Fault::Damaged { .. })), "lie at {place}");
        }
    }

    #[test]
    fn trees_with_several_roots_are_refused() {
        let mut file = file();
        file[FIRST_TREE] = 2;
        assert!(matches!(read(&file), Err(Fault::Unsupported { .. })));
    }
}
