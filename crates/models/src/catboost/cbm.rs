//! Models in CatBoost's own format: a FlatBuffer (`catboost/libs/model/flatbuffers`), with its size before it.

use super::LIBRARY;
use super::flat::Table;
use super::saved::{About, Column, Float, Saved, SavedNode, SavedTree, Split};
use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::document::{Document, json};
use crate::trees::Missing;

/// What a file begins with.
const MAGIC: &[u8] = b"CBM1";

/// What is refused where a model has it, by the key of the JSON form.
pub(super) const NOT_READ: &[(&str, &str)] = &[
    ("ctrs", "statistics over categories (CTR)"),
    ("text_features", "text features"),
    ("embedding_features", "embedding features"),
];

/// The refusal of what a model has.
pub(super) fn not_read(what: &str) -> Fault {
    let help = "tests are of numbers and of single categories; a `one_hot_max_size` above the number of categories \
                keeps training to these";
    Fault::Unsupported { what: format!("{LIBRARY} with {what}"), help: Some(help.to_owned()) }
}

/// Values of all trees together: a column's values are repeated for each leaf that is told twice.
const MAX_VALUES: usize = 1 << 28;

/// Fields of the tables, by number.
mod field {
    pub(super) const TREES: usize = 1;
    pub(super) const INFO: usize = 2;

    pub(super) const N_OUTPUTS: usize = 0;
    pub(super) const SPLITS: usize = 1;
    pub(super) const SIZES: usize = 2;
    pub(super) const CATEGORIES: usize = 4;
    pub(super) const FLOATS: usize = 5;
    pub(super) const ONE_HOT: usize = 6;
    pub(super) const CTRS: usize = 7;
    pub(super) const VALUES: usize = 8;
    pub(super) const STEPS: usize = 10;
    pub(super) const LEAVES: usize = 11;
    pub(super) const TEXTS: usize = 12;
    pub(super) const ESTIMATED: usize = 13;
    pub(super) const SCALE: usize = 14;
    pub(super) const BIAS: usize = 15;
    pub(super) const BIASES: usize = 16;
    pub(super) const EMBEDDINGS: usize = 18;

    /// Of a float feature.
    pub(super) const FLOAT_PLACE: usize = 2;
    pub(super) const FLOAT_BORDERS: usize = 3;
    pub(super) const FLOAT_NAME: usize = 4;
    pub(super) const FLOAT_MISSING: usize = 5;
    /// Of a categorical feature.
    pub(super) const CATEGORY_PLACE: usize = 1;
    pub(super) const CATEGORY_NAME: usize = 2;
    /// Of one-hot tests.
    pub(super) const ONE_HOT_CATEGORY: usize = 0;
    pub(super) const ONE_HOT_VALUES: usize = 1;
}

/// Whether bytes begin as this format does.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    data.starts_with(MAGIC)
}

pub(super) fn read(file: &[u8]) -> Result<Saved, Fault> {
    let mut cursor = Cursor::new(file);
    cursor.take(MAGIC.len())?;
    let n_bytes = u32::from_le_bytes(cursor.array()?) as usize;
    let core = Table::root(cursor.take(n_bytes)?)?;
    let trees = core.table(field::TREES)?.ok_or_else(|| Saved::problem("it has no trees"))?;
    let lists = [(field::CTRS, NOT_READ[0]), (field::TEXTS, NOT_READ[1]), (field::EMBEDDINGS, NOT_READ[2])];
    for (list, (_, what)) in lists.into_iter().chain([(field::ESTIMATED, ("", "estimated features"))]) {
        if trees.vector(list, 4)?.len_in_bytes() > 0 {
            return Err(not_read(what));
        }
    }

    let mut saved = Saved::default();
    let place = |place: Option<i32>| {
        let place = place.and_then(|place| usize::try_from(place).ok());
        place.ok_or_else(|| Saved::problem("a column has no place"))
    };
    for float in trees.tables(field::FLOATS)? {
        let float = float?;
        let column = Column {
            name: float.text(field::FLOAT_NAME)?.to_owned(),
            place: place(float.int(field::FLOAT_PLACE)?)?,
        };
        let missing = match float.byte(field::FLOAT_MISSING)? {
            None | Some(0 | 1) => Missing::Left,
            Some(2) => Missing::Right,
            Some(_) => return Err(Saved::problem("an unknown rule for missing values")),
        };
        let borders = float.vector(field::FLOAT_BORDERS, 4)?.values(f32::from_le_bytes);
        saved.floats.push(Float { column, missing, borders });
    }
    let mut numbers = Vec::new();
    for category in trees.tables(field::CATEGORIES)? {
        let category = category?;
        numbers.push(category.int(0)?);
        saved.categories.push(Column {
            name: category.text(field::CATEGORY_NAME)?.to_owned(),
            place: place(category.int(field::CATEGORY_PLACE)?)?,
        });
    }
    for one_hot in trees.tables(field::ONE_HOT)? {
        let one_hot = one_hot?;
        let number = one_hot.int(field::ONE_HOT_CATEGORY)?;
        let category = numbers.iter().position(|known| *known == number);
        let category = category.ok_or_else(|| Saved::problem("a test asks for no column"))?;
        let hashes = one_hot.vector(field::ONE_HOT_VALUES, 4)?.values(i32::from_le_bytes);
        saved.one_hot.extend(hashes.into_iter().map(|hash| (category, hash)));
    }

    saved.scale = trees.double(field::SCALE)?.unwrap_or(1.0);
    let n_outputs = trees.int(field::N_OUTPUTS)?.unwrap_or(0);
    let n_outputs = usize::try_from(n_outputs).ok().filter(|n| (1..1 << 16).contains(n));
    let n_outputs = n_outputs.ok_or_else(|| Saved::problem("it has no outputs"))?;
    saved.bias = match trees.vector(field::BIASES, 8)?.values(f64::from_le_bytes) {
        biases if biases.is_empty() => vec![trees.double(field::BIAS)?.unwrap_or(0.0); n_outputs],
        biases => biases,
    };
    if saved.bias.len() != n_outputs {
        return Err(Saved::problem("it does not have one bias per output"));
    }
    saved.trees = read_trees(&trees, &saved, n_outputs)?;
    saved.about = about(&core)?;
    Ok(saved)
}

/// All tests, as trees number them: first those of numbers, then those of categories.
fn tests(saved: &Saved) -> Vec<Split> {
    let floats = saved.floats.iter().enumerate().flat_map(|(index, float)| {
        float.borders.iter().map(move |border| Split::Float { index, border: *border })
    });
    floats.chain((0..saved.one_hot.len()).map(Split::OneHot)).collect()
}

fn read_trees(trees: &Table<'_>, saved: &Saved, n_outputs: usize) -> Result<Vec<SavedTree>, Fault> {
    let tests = tests(saved);
    let test = |number: i32| {
        let test = usize::try_from(number).ok().and_then(|number| tests.get(number)).copied();
        test.ok_or_else(|| Saved::problem("a tree has an unknown test"))
    };
    let splits = trees.vector(field::SPLITS, 4)?.values(i32::from_le_bytes);
    let sizes = trees.vector(field::SIZES, 4)?.values(i32::from_le_bytes);
    let values = trees.vector(field::VALUES, 8)?.values(f64::from_le_bytes);
    let steps = trees.vector(field::STEPS, 4)?.values(u32::from_le_bytes);
    let leaves = trees.vector(field::LEAVES, 4)?.values(u32::from_le_bytes);

    let mut saved_trees = Vec::with_capacity(sizes.len());
    let (mut start, mut first_value, mut n_values) = (0_usize, 0_usize, 0_usize);
    for size in sizes {
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let end = end
            .filter(|end| *end <= splits.len())
            .ok_or_else(|| Saved::problem("a tree is not all there"))?;
        let own = &splits[start..end];
        if steps.is_empty() {
            let n = u32::try_from(own.len()).ok().and_then(|depth| n_outputs.checked_shl(depth));
            let own_values = n
                .filter(|_| own.len() < 32)
                .and_then(|n| values.get(first_value..first_value.checked_add(n)?));
            let own_values = own_values.ok_or_else(|| Saved::problem("a tree lacks values of leaves"))?;
            first_value += own_values.len();
            let splits = own.iter().map(|number| test(*number)).collect::<Result<_, _>>()?;
            saved_trees.push(SavedTree::Oblivious { splits, values: own_values.to_vec() });
        } else {
            let nodes = steps.get(start..end).zip(leaves.get(start..end));
            let (steps, leaves) = nodes.ok_or_else(|| Saved::problem("a tree is not all there"))?;
            let mut nodes: Vec<SavedNode> = Vec::with_capacity(own.len());
            let mut further = Vec::new();
            for (index, step) in steps.iter().enumerate() {
                let (left, right) = (*step as u16 as usize, (*step >> 16) as usize);
                let leaf = || {
                    let start = leaves[index] as usize;
                    let values = start.checked_add(n_outputs).and_then(|end| values.get(start..end));
                    values.map(<[f64]>::to_vec).ok_or_else(|| Saved::problem("a tree lacks values of leaves"))
                };
                if left == 0 && right == 0 {
                    nodes.push(SavedNode::Leaf(leaf()?));
                    continue;
                }
                // A node without one of its children is the leaf on that side itself.
                let mut child = |step: usize| {
                    if step != 0 {
                        return Ok(index + step);
                    }
                    further.push(SavedNode::Leaf(leaf()?));
                    Ok::<_, Fault>(own.len() + further.len() - 1)
                };
                let (left, right) = (child(left)?, child(right)?);
                nodes.push(SavedNode::Split { split: test(own[index])?, left, right });
            }
            nodes.append(&mut further);
            n_values += nodes.len() * n_outputs;
            if n_values > MAX_VALUES {
                return Err(Fault::TooLarge { what: "values of leaves", limit: MAX_VALUES as u64 });
            }
            saved_trees.push(SavedTree::Plain { nodes });
        }
        start = end;
    }
    Ok(saved_trees)
}

fn about(core: &Table<'_>) -> Result<About, Fault> {
    let mut params: Option<Document> = None;
    let mut class_params: Option<Document> = None;
    let mut threshold = None;
    for pair in core.tables(field::INFO)? {
        let pair = pair?;
        let value = pair.text(1)?;
        match pair.text(0)? {
            "params" => params = Some(json::read(value.as_bytes())?),
            "class_params" => class_params = Some(json::read(value.as_bytes())?),
            "binclass_probability_threshold" => threshold = value.parse().ok(),
            _ => {}
        }
    }
    About::read(
        params.as_ref().map(|params| params.place(LIBRARY)),
        class_params.as_ref().map(|params| params.place(LIBRARY)),
        threshold,
    )
}
