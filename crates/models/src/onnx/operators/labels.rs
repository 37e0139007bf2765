//! Categories and classes: texts and numbers that stand for each other.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::{Node, OfNode};
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Element, Shape, Tensor, type_name};

/// The labels of a classifier.
#[derive(Debug)]
pub(super) enum Classes {
    Texts(Vec<String>),
    Longs(Vec<i64>),
}

impl Classes {
    /// Reads them: texts, or whole numbers in the attribute with the given name.
    pub(super) fn read<'a>(node: &Node<'a>, longs: &'a str) -> Result<Self, Fault> {
        let texts = node.texts("classlabels_strings")?.unwrap_or_default();
        let longs = node.longs(longs)?.unwrap_or_default();
        match (texts, longs) {
            ([], []) => Err(node.problem("it has no classes")),
            ([], longs) => Ok(Self::Longs(longs.to_vec())),
            (texts, []) => Ok(Self::Texts(texts.to_vec())),
            _ => Err(node.problem("its classes are both texts and numbers")),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Longs(longs) => longs.len(),
        }
    }

    /// The labels of some classes.
    pub(super) fn pick(&self, indices: impl Iterator<Item = usize>) -> Result<Tensor, Problem> {
        match self {
            Self::Texts(texts) => Tensor::vector(indices.map(|index| texts[index].clone()).collect()),
            Self::Longs(longs) => Tensor::vector(indices.map(|index| longs[index]).collect()),
        }
    }
}

/// `ZipMap`: the probabilities stay a matrix. Their names are the classes.
pub(super) fn zip_map(node: &Node<'_>) -> Result<Run, Fault> {
    let classes = Classes::read(node, "classlabels_int64s")?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        match tensor.rows_and_columns() {
            (_, n) if n == classes.len() => Ok(tensor.clone()),
            (_, n) => Err(Problem::new(format!("has {} names for {n} columns", classes.len()))),
        }
    })
}

/// A value that another one stands for. NaN stands for itself.
trait Key: Element {
    type Hashed: Hash + Eq;

    fn hashed(&self) -> Self::Hashed;
}

impl Key for String {
    type Hashed = String;

    fn hashed(&self) -> String {
        self.clone()
    }
}

impl Key for i64 {
    type Hashed = Self;

    fn hashed(&self) -> Self {
        *self
    }
}

macro_rules! float_key {
    ($type:ty, $bits:ty) => {
        impl Key for $type {
            type Hashed = $bits;

            fn hashed(&self) -> $bits {
                match *self {
                    x if x.is_nan() => <$type>::NAN.to_bits(),
                    // Both zeros are one.
                    x => (x + 0.0).to_bits(),
                }
            }
        }
    };
}

float_key!(f32, u32);
float_key!(f64, u64);

fn mapped<K: Key, V: Element + Send + Sync + 'static>(
    node: &Node<'_>,
    keys: &[K],
    values: &[V],
    default: V,
) -> Result<Run, Fault>
where
    K::Hashed: Send + Sync + 'static,
{
    if keys.len() != values.len() {
        return Err(node.problem(format!("{} keys have {} values", keys.len(), values.len())));
    }
    let mut map = HashMap::with_capacity(keys.len());
    for (key, value) in keys.iter().zip(values) {
        map.entry(key.hashed()).or_insert_with(|| value.clone());
    }
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let found = |key: &K| map.get(&key.hashed()).unwrap_or(&default).clone();
        Ok(Tensor::of(*tensor.shape(), tensor.values::<K>()?.iter().map(found).collect::<Vec<V>>()))
    })
}

/// `LabelEncoder`
pub(super) fn encoder(node: &Node<'_>) -> Result<Run, Fault> {
    if let Some(classes) = node.texts("classes_strings")? {
        return old_encoder(node, classes);
    }
    let side = |strings, longs, floats, tensor| {
        let texts = node.texts(strings)?.map(|texts| Data::Text(texts.to_vec()));
        let longs = node.longs(longs)?.map(|longs| Data::Long(longs.to_vec()));
        let floats = node.floats(floats)?.map(|floats| Data::Float(floats.to_vec()));
        let tensor = node.tensor(tensor)?.map(|tensor| tensor.data().clone());
        texts.or(longs).or(floats).or(tensor).ok_or_else(|| node.problem("it has no keys or no values"))
    };
    let keys = side("keys_strings", "keys_int64s", "keys_floats", "keys_tensor")?;
    let values = side("values_strings", "values_int64s", "values_floats", "values_tensor")?;
    let default = node.tensor("default_tensor")?.map(Tensor::data);
    let text = node.text("default_string", "_Unused")?.to_owned();
    let long = node.long("default_int64", -1)?;
    let float = node.float("default_float", -0.0)?;

    macro_rules! with_keys {
        ($keys:expr) => {
            match &values {
                Data::Text(values) => mapped(node, $keys, values, first(default).unwrap_or(text)),
                Data::Long(values) => mapped(node, $keys, values, first(default).unwrap_or(long)),
                Data::Float(values) => mapped(node, $keys, values, first(default).unwrap_or(float)),
                Data::Double(values) => {
                    mapped(node, $keys, values, first(default).unwrap_or(f64::from(float)))
                }
                Data::Integer(values) => mapped(node, $keys, values, first(default).unwrap_or(long as i32)),
                Data::Boolean(_) => Err(node.unsupported("values of the type bool of ")),
            }
        };
    }
    fn first<T: Element>(default: Option<&Data>) -> Option<T> {
        T::of(default?)?.first().cloned()
    }
    match &keys {
        Data::Text(keys) => with_keys!(keys),
        Data::Long(keys) => with_keys!(keys),
        Data::Float(keys) => with_keys!(keys),
        Data::Double(keys) => with_keys!(keys),
        data => Err(node.unsupported(&format!("keys of the type {} of ", type_name(data)))),
    }
}

/// `LabelEncoder` of version 1, which works in both directions.
fn old_encoder(node: &Node<'_>, classes: &[String]) -> Result<Run, Fault> {
    let places: Vec<i64> = (0..classes.len() as i64).collect();
    both_ways(node, &places, classes)
}

/// `CategoryMapper`
pub(super) fn category_mapper(node: &Node<'_>) -> Result<Run, Fault> {
    let longs = node.longs("cats_int64s")?.unwrap_or_default();
    let texts = node.texts("cats_strings")?.unwrap_or_default();
    both_ways(node, longs, texts)
}

fn both_ways(node: &Node<'_>, longs: &[i64], texts: &[String]) -> Result<Run, Fault> {
    let to_longs = mapped(node, texts, longs, node.long("default_int64", -1)?)?;
    let to_texts = mapped(node, longs, texts, node.text("default_string", "_Unused")?.to_owned())?;
    Ok(Box::new(move |inputs| match inputs.get(0)?.data() {
        Data::Text(_) => to_longs(inputs),
        _ => to_texts(inputs),
    }))
}

/// `OneHotEncoder`
pub(super) fn one_hot(node: &Node<'_>) -> Result<Run, Fault> {
    let zeros = node.flag("zeros", true)?;
    let texts = node.texts("cats_strings")?.unwrap_or_default();
    let longs = node.longs("cats_int64s")?.unwrap_or_default();
    if texts.is_empty() == longs.is_empty() {
        return Err(node.problem("it needs either texts or whole numbers as categories"));
    }
    let n = texts.len().max(longs.len());
    let place_of = |index: usize| index as i64;
    let text_places: HashMap<String, i64> =
        texts.iter().enumerate().map(|(index, text)| (text.clone(), place_of(index))).collect();
    let long_places: HashMap<i64, i64> =
        longs.iter().enumerate().map(|(index, long)| (*long, place_of(index))).collect();
    Shape::new(&[n]).of(node)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let of_long = |long: i64| long_places.get(&long).copied();
        let places: Vec<Option<i64>> = match tensor.data() {
            Data::Text(values) => values.iter().map(|text| text_places.get(text).copied()).collect(),
            Data::Long(values) => values.iter().map(|value| of_long(*value)).collect(),
            Data::Integer(values) => values.iter().map(|value| of_long(i64::from(*value))).collect(),
            Data::Float(values) => values.iter().map(|value| of_long(*value as i64)).collect(),
            Data::Double(values) => values.iter().map(|value| of_long(*value as i64)).collect(),
            data => return Err(Problem::new(format!("takes numbers or texts, not {}", type_name(data)))),
        };
        if !zeros && places.contains(&None) {
            return Err(Problem::of_values("a category that the model was not fitted with"));
        }
        let shape = Shape::new(&[tensor.lengths(), &[n]].concat())?;
        let mut values = vec![0.0_f32; shape.n_values()];
        for (row, place) in values.chunks_exact_mut(n).zip(places) {
            if let Some(place) = place {
                row[place as usize] = 1.0;
            }
        }
        Ok(Tensor::of(shape, values))
    })
}
