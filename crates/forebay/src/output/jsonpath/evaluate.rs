//! Following paths through values.

use std::cmp::Ordering;
use std::ops::Range;

use serde_json::Value;

use super::{EvaluateError, Filter, Operator, Part, Slice, Step};

/// How many values a path may lead to.
const RESULTS: usize = 1_000_000;

/// Values that a path leads to: parts of the object, and what the template itself names.
type Values<'a> = Vec<&'a Value>;

/// Writes what the parts of a template say of a value.
pub(super) fn render(parts: &[Part], value: &Value, text: &mut String) -> Result<(), EvaluateError> {
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Path(path) => {
                let texts: Vec<String> = follow(path, value)?.into_iter().map(printed).collect();
                text.push_str(&texts.join(" "));
            }
            Part::Range(path, parts) => {
                for item in follow(path, value)? {
                    render(parts, item, text)?;
                }
            }
        }
    }
    Ok(())
}

/// All values that a path leads to.
fn follow<'a>(path: &'a [Step], value: &'a Value) -> Result<Values<'a>, EvaluateError> {
    let mut values = vec![value];
    for step in path {
        values = take(step, &values)?;
    }
    Ok(values)
}

fn take<'a>(step: &'a Step, values: &[&'a Value]) -> Result<Values<'a>, EvaluateError> {
    if let Step::Literal(literal) = step {
        return Ok(vec![literal]);
    }
    let mut taken = Vec::new();
    if let Step::Union(steps) = step {
        for step in steps {
            taken.extend(take(step, values)?);
            bounded(&taken)?;
        }
        return Ok(taken);
    }
    for value in values {
        take_one(step, value, &mut taken)?;
        bounded(&taken)?;
    }
    Ok(taken)
}

/// Takes a step from one value.
fn take_one<'a>(step: &'a Step, value: &'a Value, taken: &mut Values<'a>) -> Result<(), EvaluateError> {
    match step {
        Step::Literal(_) | Step::Union(_) => {}
        Step::Field(name) => taken.extend(value.get(name)),
        Step::All => taken.extend(children(value)),
        Step::Descendants => descend(value, taken)?,
        Step::Index(index) => taken.extend(place(value, *index)?.and_then(|place| value.get(place))),
        Step::Slice(slice) => {
            let (range, step) = bounds(value, slice)?;
            taken.extend(children(value).skip(range.start).take(range.len()).step_by(step));
        }
        Step::Filter(filter) => {
            if !value.is_array() {
                return Err(EvaluateError::NoList { what: named(value), done: "filtered" });
            }
            for item in children(value) {
                if holds(filter, item)? {
                    taken.push(item);
                }
            }
        }
    }
    Ok(())
}

fn bounded(taken: &[&Value]) -> Result<(), EvaluateError> {
    if taken.len() > RESULTS { Err(EvaluateError::TooMany { limit: RESULTS }) } else { Ok(()) }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// A value and all below it, from the top.
fn descend<'a>(value: &'a Value, taken: &mut Values<'a>) -> Result<(), EvaluateError> {
    bounded(taken)?;
    taken.push(value);
    children(value).try_for_each(|child| descend(child, taken))
}

/// The place of an item, counted from the end if the index is negative. Nothing has no items, and that is no mistake.
fn place(value: &Value, index: i64) -> Result<Option<usize>, EvaluateError> {
    let Some(items) = list(value)? else { return Ok(None) };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = if index < 0 { index + length } else { index };
    let inside = usize::try_from(place).ok().filter(|place| *place < items.len());
    inside.map(Some).ok_or(EvaluateError::OutOfBounds { index, length: items.len() })
}

fn bounds(value: &Value, slice: &Slice) -> Result<(Range<usize>, usize), EvaluateError> {
    let n_items = list(value)?.map_or(0, Vec::len);
    let from_start = |bound: i64| {
        let length = i64::try_from(n_items).unwrap_or(i64::MAX);
        let bound = if bound < 0 { bound + length } else { bound };
        usize::try_from(bound.clamp(0, length)).unwrap_or(n_items)
    };
    let first = from_start(slice.first.unwrap_or(0));
    let end = slice.end.map_or(n_items, from_start);
    let step = slice.step.and_then(|step| usize::try_from(step).ok()).unwrap_or(1);
    Ok((first..end.max(first), step.max(1)))
}

fn list(value: &Value) -> Result<Option<&Vec<Value>>, EvaluateError> {
    match value {
        Value::Array(items) => Ok(Some(items)),
        Value::Null => Ok(None),
        other => Err(EvaluateError::NoList { what: named(other), done: "indexed" }),
    }
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Whether an item passes a filter. Of several values on a side the first counts.
fn holds(filter: &Filter, item: &Value) -> Result<bool, EvaluateError> {
    let left = follow(&filter.left, item)?;
    let Some((operator, right)) = &filter.comparison else { return Ok(!left.is_empty()) };
    let right = follow(right, item)?;
    let (Some(left), Some(right)) = (left.first(), right.first()) else { return Ok(false) };
    let order = compare(left, right);
    Ok(match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
    })
}

/// The order of two values of one kind; `None` for others.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        _ => (a == b).then_some(Ordering::Equal),
    }
}

/// A value as text: what is composed of others as JSON.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
