//! Which columns the branches of a `ColumnTransformer` take. Every version saved that in its own way.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::fault::Fault;
use crate::formats::numpy::Kind;
use crate::object::{MAX_COLUMNS, Object, Value};
use crate::record::Record;

/// The columns that a table must have, as far as the file tells.
#[derive(Debug)]
pub(super) enum Columns<'s> {
    /// How many there are is known.
    Counted(Counted<'s>),
    /// Only those that branches take by name are known, which is all that 0.20 and 0.21 saved of tables.
    Named(Named),
}

#[derive(Debug)]
pub(super) struct Counted<'s> {
    n_columns: usize,
    names: Option<Vec<String>>,
    /// The places of names.
    by_name: HashMap<String, usize>,
    /// What each branch takes, as written since 1.0.
    by_branch: HashMap<Cow<'s, str>, Value<'s>>,
}

#[derive(Debug, Default)]
pub(super) struct Named {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
}

// === impl Columns ===

impl<'s> Columns<'s> {
    pub(super) fn read(object: &Object<'s>) -> Result<Self, Fault> {
        let names = names(object)?;
        let counted = object.n_columns(&["n_features_in_", "_n_features"])?;
        let n_columns = match (counted, &names) {
            (Some(n_columns), _) => n_columns,
            (None, Some(names)) => names.len(),
            (None, None) => match n_places(object)? {
                Some(n_places) => n_places,
                None => return Ok(Self::Named(Named::default())),
            },
        };
        if names.as_ref().is_some_and(|names| names.len() != n_columns) {
            return Err(object.problem("the number of column names is wrong"));
        }
        let mut by_branch = HashMap::new();
        if let Some(saved) = object.some("_transformer_to_input_indices") {
            for (name, places) in saved.pairs()? {
                by_branch.insert(name.text()?, places);
            }
        }
        let by_name = names.iter().flatten().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Ok(Self::Counted(Counted { n_columns, by_name, names, by_branch }))
    }

    /// The places of the columns that a branch wants; `None` if some are not there.
    pub(super) fn resolve(&mut self, branch: &str, wanted: &Value<'s>) -> Result<Vec<usize>, Fault> {
        let places = match self {
            Self::Named(named) => Some(named.resolve(wanted)?),
            Self::Counted(counted) => counted.resolve(branch, wanted)?,
        };
        places.ok_or_else(|| wanted.problem(&format!("take columns of `{branch}` that are not there")))
    }

    /// How many columns there are, and their names.
    pub(super) fn finish(self) -> (usize, Option<Vec<String>>) {
        match self {
            Self::Counted(counted) => (counted.n_columns, counted.names),
            Self::Named(named) => (named.names.len(), Some(named.names)),
        }
    }
}

/// The names of all columns: since 1.0, in 0.24, and before (then in an index of pandas).
fn names(object: &Object<'_>) -> Result<Option<Vec<String>>, Fault> {
    let (new, old) = (object.some("feature_names_in_"), object.some("_feature_names_in"));
    let index = object.some("_df_columns");
    if let Some(names) = new.or(old) {
        return Ok(names.texts().ok());
    }
    let Some(index) = index else { return Ok(None) };
    // A call with the class of the index, and a dict with its data.
    let [_class, settings] = index.arguments()?[..] else { return Ok(None) };
    let settings = settings.pairs()?;
    let data = settings.iter().find(|(key, _)| key.is_text("data"));
    Ok(data.and_then(|(_, names)| names.texts().ok()))
}

/// How many columns there are, if all branches take them by number; the remainder is a branch too.
fn n_places(object: &Object<'_>) -> Result<Option<usize>, Fault> {
    let mut n_places = 0;
    for branch in object.get("transformers_")?.items()? {
        let [_, _, wanted] = branch.items()?[..] else { return Ok(None) };
        let Ok(items) = wanted.items() else { return Ok(None) };
        for item in items {
            match item.record() {
                Record::Int(place @ 0..) if (*place as usize) < MAX_COLUMNS => {
                    n_places = n_places.max(*place as usize + 1);
                }
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(n_places))
}

// === impl Named ===

impl Named {
    fn resolve(&mut self, wanted: &Value<'_>) -> Result<Vec<usize>, Fault> {
        let Some(names) = names_of(wanted) else {
            let help =
                "scikit-learn before 0.22 saves the order of the columns only if all are taken by name";
            return Err(wanted.unsupported(help));
        };
        let place = |name: String| {
            *self.by_name.entry(name).or_insert_with_key(|name| {
                self.names.push(name.clone());
                self.names.len() - 1
            })
        };
        Ok(names.into_iter().map(place).collect())
    }
}

// === impl Counted ===

impl Counted<'_> {
    /// The places of columns by name, number, truth value or slice.
    fn resolve(&self, branch: &str, wanted: &Value<'_>) -> Result<Option<Vec<usize>>, Fault> {
        let places = match self.by_branch.get(branch) {
            Some(saved) => self.numbered(&saved.integers()?),
            None => self.wanted(wanted)?,
        };
        Ok(places.filter(|places| places.iter().all(|place| *place < self.n_columns)))
    }

    fn wanted(&self, wanted: &Value<'_>) -> Result<Option<Vec<usize>>, Fault> {
        if let Some(names) = names_of(wanted) {
            return Ok(names.iter().map(|name| self.by_name.get(name).copied()).collect());
        }
        if let Ok(number) = wanted.integer() {
            return Ok(self.numbered(&[number]));
        }
        if let Record::Instance(instance) = wanted.record()
            && &*instance.class == "builtins.slice"
        {
            return self.slice(wanted);
        }
        if is_mask(wanted) {
            let mask = wanted.integers()?;
            return Ok(Some((0..mask.len()).filter(|place| mask[*place] == 1).collect()));
        }
        Ok(self.numbered(&wanted.integers()?))
    }

    /// Negative numbers count from the end.
    fn numbered(&self, numbers: &[i64]) -> Option<Vec<usize>> {
        let n_columns = i64::try_from(self.n_columns).ok()?;
        let place =
            |number: &i64| usize::try_from(if *number < 0 { number + n_columns } else { *number }).ok();
        numbers.iter().map(place).collect()
    }

    /// A Python slice. One of names, unlike one of numbers, includes its end.
    fn slice(&self, slice: &Value<'_>) -> Result<Option<Vec<usize>>, Fault> {
        let [start, stop, step] = slice.arguments()?[..] else {
            return Err(slice.problem("have an odd slice"));
        };
        if !step.is_none() && step.integer()? != 1 {
            return Err(slice.unsupported("slices have a step of one"));
        }
        let place = |bound: &Value<'_>, open: usize, after_name: usize| -> Result<Option<usize>, Fault> {
            if bound.is_none() {
                return Ok(Some(open));
            }
            if let Ok(name) = bound.text() {
                return Ok(self.by_name.get(&*name).map(|place| place + after_name));
            }
            let (number, n_columns) = (bound.integer()?, i64::try_from(self.n_columns).unwrap_or(i64::MAX));
            let number =
                if number < 0 { number.saturating_add(n_columns).max(0) } else { number.min(n_columns) };
            Ok(usize::try_from(number).ok())
        };
        let bounds = (place(&start, 0, 0)?, place(&stop, self.n_columns, 1)?);
        let (Some(start), Some(stop)) = bounds else { return Ok(None) };
        Ok(Some((start..stop).collect()))
    }
}

/// The names in a wish for columns, if it consists of those.
fn names_of(wanted: &Value<'_>) -> Option<Vec<String>> {
    if let Ok(name) = wanted.text() {
        return Some(vec![name.into_owned()]);
    }
    let is_named = match wanted.items() {
        Ok(items) => items.iter().all(|item| matches!(item.record(), Record::Text(_))),
        Err(_) => true,
    };
    wanted.texts().ok().filter(|_| is_named)
}

/// Whether a wish for columns says yes or no to each.
fn is_mask(wanted: &Value<'_>) -> bool {
    match wanted.items() {
        Ok(items) => items.iter().all(|item| matches!(item.record(), Record::Bool(_))),
        Err(_) => wanted.array().is_ok_and(|array| array.kind() == Kind::Bool),
    }
}
