//! `FunctionTransformer`, as far as its function is one of numpy that works on each number by itself.

use crate::estimator::{Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::record::Record;
use crate::rows::{Refusal, Rows, Takes};

/// What has to do with the way back, or with names.
pub(super) const FIT: &str =
    "accept_sparse check_inverse feature_names_out inv_kw_args inverse_func pass_y _validate";

/// Where numpy keeps its functions.
const MODULES: &[&str] = &[
    "numpy",
    "numpy._core._multiarray_umath",
    "numpy._core.umath",
    "numpy.core._multiarray_umath",
    "numpy.core.umath",
];

/// What happens to each number.
pub(in crate::sklearn) type OfNumber = fn(f64) -> f64;

/// Functions of numpy by name.
const FUNCTIONS: &[(&str, OfNumber)] = &[
    ("abs", f64::abs),
    ("absolute", f64::abs),
    ("arccos", f64::acos),
    ("arcsin", f64::asin),
    ("arcsinh", f64::asinh),
    ("arctan", f64::atan),
    ("cbrt", f64::cbrt),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("deg2rad", f64::to_radians),
    ("degrees", f64::to_degrees),
    ("exp", f64::exp),
    ("exp2", f64::exp2),
    ("expm1", f64::exp_m1),
    ("fabs", f64::abs),
    ("floor", f64::floor),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("log1p", f64::ln_1p),
    ("log2", f64::log2),
    ("negative", |x| -x),
    ("rad2deg", f64::to_degrees),
    ("radians", f64::to_radians),
    ("rint", f64::round_ties_even),
    ("sign", |x| if x == 0.0 { 0.0 } else { x.signum() }),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("square", |x| x * x),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
    ("trunc", f64::trunc),
];

#[derive(Debug)]
struct FunctionTransformer {
    function: Function,
    /// Whether rows are checked first, as other estimators do.
    validates: bool,
    n_columns: Option<usize>,
}

#[derive(Debug)]
enum Function {
    Nothing,
    /// Only turns rows into numbers.
    ToNumbers,
    Each(OfNumber),
}

pub(super) fn function_transformer(object: &Object<'_>) -> Result<Step, Fault> {
    let function = Function::read(&object.get("func")?)?;
    if let Some(arguments) = object.some("kw_args")
        && arguments.pairs().map_or(true, |pairs| !pairs.is_empty())
    {
        return Err(arguments.unsupported("functions are called without further arguments"));
    }
    // 0.20 and 0.21 had None here, which checked.
    let validates =
        object.find("validate").is_some_and(|validate| validate.is_none() || validate.flag().unwrap_or(true));
    let n_columns = object.n_columns(&["n_features_in_"])?;
    Ok(transformer(FunctionTransformer { function, validates, n_columns }))
}

/// A function of single numbers; `None` if it changes nothing.
pub(in crate::sklearn) fn of_number(value: &Value<'_>) -> Result<Option<OfNumber>, Fault> {
    Ok(match Function::read(value)? {
        Function::Each(function) => Some(function),
        Function::Nothing | Function::ToNumbers => None,
    })
}

// === impl Function ===

impl Function {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        if value.is_none() {
            return Ok(Self::Nothing);
        }
        let refused =
            || value.unsupported("functions are None and those of numpy that work on single numbers");
        let path = match value.record() {
            Record::Class(path) => path.to_string(),
            Record::Instance(instance) if &*instance.class == "functools.partial" => {
                return Self::read_partial(value)?.ok_or_else(refused);
            }
            // How older numpy writes its functions: a call with module and name.
            Record::Instance(instance) if instance.class.ends_with("._ufunc_reconstruct") => {
                match &value.arguments()?[..] {
                    [module, name] => format!("{}.{}", module.text()?, name.text()?),
                    _ => return Err(refused()),
                }
            }
            _ => return Err(refused()),
        };
        let (module, name) = path.rsplit_once('.').ok_or_else(refused)?;
        let known = FUNCTIONS.iter().find(|(known, _)| MODULES.contains(&module) && *known == name);
        known.map(|(_, function)| Self::Each(*function)).ok_or_else(refused)
    }

    /// `check_array` with settings that let every number through, which is how histogram boosting prepares columns.
    fn read_partial(value: &Value<'_>) -> Result<Option<Self>, Fault> {
        let [function, arguments, settings, ..] = &value.state_items()?[..] else { return Ok(None) };
        let is_check = function.class_path() == Some("sklearn.utils.validation.check_array");
        if !is_check || !arguments.items()?.is_empty() {
            return Ok(None);
        }
        for (key, setting) in settings.pairs()? {
            let is_harmless = match key.text()?.as_ref() {
                "dtype" => {
                    let types = setting.items().unwrap_or_else(|_| vec![setting]);
                    types.iter().all(|dtype| dtype.class_path() == Some("numpy.float64"))
                }
                "force_all_finite" | "ensure_all_finite" => setting.flag() == Ok(false),
                _ => false,
            };
            if !is_harmless {
                return Ok(None);
            }
        }
        Ok(Some(Self::ToNumbers))
    }
}

// === impl FunctionTransformer ===

impl Part for FunctionTransformer {
    fn n_inputs(&self) -> Option<usize> {
        self.n_columns
    }
}

impl Transformer for FunctionTransformer {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let takes = if self.validates { Takes::Finite } else { Takes::Everything };
        let mut matrix = match self.function {
            Function::Nothing if !self.validates => return Ok(rows),
            _ => rows.into_matrix(takes, "FunctionTransformer")?,
        };
        if let Function::Each(function) = self.function {
            matrix.values.to_mut().iter_mut().for_each(|value| *value = function(*value));
        }
        Ok(Rows::Matrix(matrix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_sorted_and_do_what_numpy_does() {
        assert!(FUNCTIONS.is_sorted_by_key(|(name, _)| *name));
        let call = |name: &str, x| FUNCTIONS.iter().find(|(known, _)| *known == name).unwrap().1(x);
        assert_eq!(call("sign", -0.0), 0.0);
        assert!(call("sign", f64::NAN).is_nan());
        assert_eq!(call("rint", 2.5), 2.0);
        assert_eq!(call("log1p", 0.0), 0.0);
    }
}
