//! Models in CatBoost's own format: a FlatBuffer (`catboost/libs/model/flatbuffers`), with its size before it. After it
//! come the tables of statistics over categories, if there are any.

use std::collections::HashMap;

use super::LIBRARY;
use super::ctr::{self, Combination, KINDS, Kind, Scaling, Statistic};
use super::flat::Table;
use super::saved::{About, Column, Float, Saved, SavedNode, SavedTree};
use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::document::{Document, json};
use crate::trees::Missing;

/// What a file begins with.
const MAGIC: &[u8] = b"CBM1";

/// The part after the tables of the trees that has those of statistics.
const PART: &str = "static_provider_v1";

/// Columns and tests that one statistic looks at together.
const MAX_COMBINED: usize = 1 << 10;

/// What is refused where a model has it, by the key of the JSON form.
pub(super) const NOT_READ: &[(&str, &str)] =
    &[("text_features", "text features"), ("embedding_features", "embedding features")];

/// The refusal of what a model has.
pub(super) fn not_read(what: &str) -> Fault {
    let help = "tests are of numbers, of categories and of statistics over categories";
    Fault::Unsupported { what: format!("{LIBRARY} with {what}"), help: Some(help.to_owned()) }
}

/// Values of all trees together: a column's values are repeated for each leaf that is told twice.
const MAX_VALUES: usize = 1 << 28;

/// Fields of the tables, by number.
mod field {
    pub(super) const TREES: usize = 1;
    pub(super) const INFO: usize = 2;
    pub(super) const PARTS: usize = 3;

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
    /// Of a statistic with its borders.
    pub(super) const CTR: usize = 0;
    pub(super) const CTR_BORDERS: usize = 1;
    /// Of a statistic.
    pub(super) const CTR_BASE: usize = 0;
    pub(super) const CTR_TARGET_BORDER: usize = 1;
    pub(super) const CTR_PRIOR: usize = 2;
    pub(super) const CTR_PRIOR_DENOMINATOR: usize = 3;
    pub(super) const CTR_SHIFT: usize = 4;
    pub(super) const CTR_SCALE: usize = 5;
    /// Of what a statistic and its table have in common.
    pub(super) const BASE_COMBINATION: usize = 0;
    pub(super) const BASE_KIND: usize = 1;
    pub(super) const BASE_TARGETS: usize = 2;
    /// Of a combination.
    pub(super) const COMBINED_CATEGORIES: usize = 0;
    pub(super) const COMBINED_NUMBERS: usize = 1;
    pub(super) const COMBINED_ONE_HOT: usize = 2;
    /// Of a table of statistics.
    pub(super) const TABLE_BASE: usize = 0;
    pub(super) const TABLE_ROWS: usize = 1;
    pub(super) const TABLE_VALUES: usize = 2;
    pub(super) const TABLE_DENOMINATOR: usize = 3;
    pub(super) const TABLE_CLASSES: usize = 4;
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
    let lists = [(field::TEXTS, NOT_READ[0]), (field::EMBEDDINGS, NOT_READ[1])];
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

    let numbers: HashMap<i32, usize> =
        numbers.iter().enumerate().filter_map(|(index, number)| Some(((*number)?, index))).collect();
    read_statistics(&trees, &core, &mut cursor, &mut saved, &numbers)?;

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

/// What says which table a statistic has: the combination, the kind, and which of several lists of borders made classes of
/// targets.
type Base = (Combination, Kind, i32);

fn read_statistics(
    trees: &Table<'_>,
    core: &Table<'_>,
    cursor: &mut Cursor<'_>,
    saved: &mut Saved,
    categories: &HashMap<i32, usize>,
) -> Result<(), Fault> {
    let statistics = trees.tables(field::CTRS)?;
    if statistics.len() == 0 {
        return Ok(());
    }
    if core.first_text(field::PARTS)? != Some(PART) {
        return Err(Saved::problem("the tables of its statistics are not there"));
    }
    let mut tables = HashMap::new();
    for _ in 0..size(cursor)? {
        let n_bytes = size(cursor)?;
        let table = Table::root(cursor.take(n_bytes)?)?;
        let base = table.table(field::TABLE_BASE)?;
        let base = base.ok_or_else(|| Saved::problem("a table is that of no statistic"))?;
        let base = read_base(&base, categories)?;
        saved.tables.push(read_table(&table, base.1)?);
        tables.insert(base, saved.tables.len() - 1);
    }
    for statistic in statistics {
        let statistic = statistic?;
        let borders = statistic.vector(field::CTR_BORDERS, 4)?.values(f32::from_le_bytes);
        let nothing = || Saved::problem("a statistic says nothing");
        let statistic = statistic.table(field::CTR)?.ok_or_else(nothing)?;
        let base = read_base(&statistic.table(field::CTR_BASE)?.ok_or_else(nothing)?, categories)?;
        let table = tables.get(&base).ok_or_else(|| Saved::problem("a statistic has no table"))?;
        let target_border = statistic.int(field::CTR_TARGET_BORDER)?.unwrap_or(0);
        let target_border = usize::try_from(target_border);
        let (combination, kind, _) = base;
        saved.add_statistic(Statistic {
            combination,
            kind,
            table: *table,
            target_border: target_border
                .map_err(|_| Saved::problem("a statistic has no border of targets"))?,
            scaling: Scaling {
                prior: statistic.float(field::CTR_PRIOR)?.unwrap_or(0.0),
                prior_denominator: statistic.float(field::CTR_PRIOR_DENOMINATOR)?.unwrap_or(1.0),
                shift: statistic.float(field::CTR_SHIFT)?.unwrap_or(0.0),
                scale: statistic.float(field::CTR_SCALE)?.unwrap_or(1.0),
            },
            borders,
        })?;
    }
    Ok(())
}

/// A size as the library's streams tell it: of 32 bits, or if these are all set, of the 64 bits that follow.
fn size(cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    match u32::from_le_bytes(cursor.array()?) {
        u32::MAX => cursor.length(),
        size => Ok(size as usize),
    }
}

fn read_base(base: &Table<'_>, categories: &HashMap<i32, usize>) -> Result<Base, Fault> {
    let kind = base.byte(field::BASE_KIND)?.unwrap_or(0);
    let Some((_, kind)) = KINDS.get(usize::from(kind)) else {
        return Err(Fault::unsupported(format!("{LIBRARY} with statistics over categories of type {kind}")));
    };
    let combination = base.table(field::BASE_COMBINATION)?;
    let combination = combination.ok_or_else(|| Saved::problem("a statistic is over nothing"))?;
    let category = |number: i32| {
        categories.get(&number).copied().ok_or_else(|| Saved::problem("a statistic looks at no column"))
    };
    let number = |[index, border]: [[u8; 4]; 2]| {
        let index = usize::try_from(i32::from_le_bytes(index));
        let index = index.map_err(|_| Saved::problem("a statistic looks at no column"))?;
        Ok::<_, Fault>((index, u32::from_le_bytes(border)))
    };
    let one_hot =
        |[index, hash]: [[u8; 4]; 2]| Ok((category(i32::from_le_bytes(index))?, i32::from_le_bytes(hash)));
    let numbers = combination.vector(field::COMBINED_NUMBERS, 8)?.values(halves);
    let tests = combination.vector(field::COMBINED_ONE_HOT, 8)?.values(halves);
    let combined = combination.vector(field::COMBINED_CATEGORIES, 4)?.values(i32::from_le_bytes);
    if combined.len() + numbers.len() + tests.len() > MAX_COMBINED {
        return Err(Fault::TooLarge { what: "parts of a statistic", limit: MAX_COMBINED as u64 });
    }
    let combination = Combination {
        categories: combined.into_iter().map(category).collect::<Result<_, _>>()?,
        numbers: numbers.into_iter().map(number).collect::<Result<_, _>>()?,
        one_hot: tests.into_iter().map(one_hot).collect::<Result<_, Fault>>()?,
    };
    Ok((combination, *kind, base.int(field::BASE_TARGETS)?.unwrap_or(0)))
}

fn halves(bytes: [u8; 8]) -> [[u8; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b, c, d], [e, f, g, h]]
}

/// A table: places of hashes with the numbers of their rows, and the rows.
fn read_table(table: &Table<'_>, kind: Kind) -> Result<ctr::Table, Fault> {
    let rows = table.vector(field::TABLE_ROWS, 1)?;
    let values = table.vector(field::TABLE_VALUES, 1)?;
    let rows = rows.values(|bytes: [u8; 12]| {
        let [hash @ .., a, b, c, d] = bytes;
        (u64::from_le_bytes(hash), u32::from_le_bytes([a, b, c, d]))
    });
    if matches!(kind, Kind::BinarizedMean | Kind::FloatMean) {
        let means = values.values(|bytes| {
            let [sum, count] = halves(bytes);
            (f32::from_le_bytes(sum), i32::from_le_bytes(count))
        });
        return ctr::Table::of_means(rows, means);
    }
    let counts = values.values(i32::from_le_bytes);
    let n_classes = table.int(field::TABLE_CLASSES)?.unwrap_or(0);
    let n_classes = usize::try_from(n_classes).unwrap_or(0);
    let denominator = table.int(field::TABLE_DENOMINATOR)?.unwrap_or(0);
    ctr::Table::of_counts(kind, rows, counts, n_classes, denominator)
}

fn read_trees(trees: &Table<'_>, saved: &Saved, n_outputs: usize) -> Result<Vec<SavedTree>, Fault> {
    let tests = saved.tests();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let file = "../../fixtures/models/cat12-ctr-combined/model.cbm";
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_refused() {
        let file = file();
        assert!(read(&file).is_ok());
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "{end} of {} bytes", file.len());
        }
    }

    #[test]
    fn tables_of_statistics_of_another_form_are_refused() {
        let mut file = file();
        let place = file.windows(PART.len()).position(|window| window == PART.as_bytes()).unwrap();
        file[place + PART.len() - 1] = b'2';
        let fault = format!("{:?}", read(&file).unwrap_err());
        assert!(fault.contains("the tables of its statistics are not there"), "{fault}");
    }

    #[test]
    fn changed_bytes_in_tables_of_statistics_do_no_harm() {
        let file = file();
        let n_bytes = u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize;
        for place in MAGIC.len() + 4 + n_bytes..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 0xff;
            crate::fuzzing::cbm(&changed);
        }
    }
}
