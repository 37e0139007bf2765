//! `TransformedTargetRegressor`: a model of a changed target, whose answers are changed back.

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};
use crate::sklearn::inner::{Combine, Inner, around};
use crate::sklearn::preprocessing::functions::{self, OfNumber};
use crate::sklearn::preprocessing::power::Power;
use crate::sklearn::preprocessing::quantile::Quantiles;
use crate::{Data, Method, Prediction};

pub(super) const FIT: &str = "check_inverse func inverse_func regressor transformer";

#[derive(Debug)]
struct ChangedBack {
    way_back: WayBack,
    /// How many targets there are; `None` for a list of answers.
    n_targets: Option<usize>,
}

#[derive(Debug)]
enum WayBack {
    Nothing,
    Function(OfNumber),
    /// Multiply, then add.
    Scaled {
        factors: Option<Vec<f64>>,
        offsets: Option<Vec<f64>>,
    },
    /// Subtract, then divide.
    MinMax {
        factors: Vec<f64>,
        offsets: Vec<f64>,
    },
    Power(Power),
    Quantiles(Quantiles),
}

pub(super) fn transformed_target(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = Inner::read(&object.get("regressor_")?, Some("regressor"))?;
    let way_back = WayBack::read(&object.get("transformer_")?)?;
    let n_dimensions = object.get("_training_dim")?.count()?;
    let n_targets = match (n_dimensions, way_back.n_targets()) {
        (1, _) => None,
        (2, n_targets) => Some(n_targets.unwrap_or(0)),
        _ => return Err(object.problem("its targets are neither a list nor a table")),
    };
    Ok(around(vec![inner], None, ChangedBack { way_back, n_targets }))
}

impl WayBack {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let object = value.object()?;
        let numbers = |wanted: &'static str, key: &'static str| {
            let is_wanted = object.flag_or(wanted, true)?;
            object.some(key).filter(|_| is_wanted).map(|numbers| numbers.numbers()).transpose()
        };
        Ok(match object.name() {
            "FunctionTransformer" => {
                let function = object.get("inverse_func")?;
                let further = object.some("inv_kw_args").and_then(|further| further.pairs().ok());
                if further.is_some_and(|further| !further.is_empty()) {
                    return Err(object
                        .get("inv_kw_args")?
                        .unsupported("functions are called without arguments"));
                }
                match functions::of_number(&function)? {
                    None => Self::Nothing,
                    Some(function) => Self::Function(function),
                }
            }
            "StandardScaler" => Self::Scaled {
                factors: numbers("with_std", "scale_")?,
                offsets: numbers("with_mean", "mean_")?,
            },
            "RobustScaler" => Self::Scaled {
                factors: numbers("with_scaling", "scale_")?,
                offsets: numbers("with_centering", "center_")?,
            },
            "MaxAbsScaler" => Self::Scaled { factors: Some(object.get("scale_")?.numbers()?), offsets: None },
            "MinMaxScaler" => Self::MinMax {
                factors: object.get("scale_")?.numbers()?,
                offsets: object.get("min_")?.numbers()?,
            },
            "PowerTransformer" => Self::Power(Power::read(&object)?),
            "QuantileTransformer" => Self::Quantiles(Quantiles::read(&object)?),
            _ => {
                let what = format!("`{}` as the transformer of a target", object.class());
                let help =
                    "there are FunctionTransformer, the scalers, PowerTransformer and QuantileTransformer";
                return Err(Fault::Unsupported { what, help: Some(help.to_owned()) });
            }
        })
    }

    /// How many targets it knows; `None` if any number.
    fn n_targets(&self) -> Option<usize> {
        match self {
            Self::Nothing | Self::Function(_) => None,
            Self::Scaled { factors, offsets } => factors.as_ref().or(offsets.as_ref()).map(Vec::len),
            Self::MinMax { factors, .. } => Some(factors.len()),
            Self::Power(power) => Some(power.n_columns()),
            Self::Quantiles(quantiles) => Some(quantiles.n_columns()),
        }
    }

    fn of(&self, target: usize, y: f64) -> f64 {
        let get = |numbers: &Option<Vec<f64>>, default: f64| match numbers {
            Some(numbers) => numbers.get(target).copied().unwrap_or(f64::NAN),
            None => default,
        };
        match self {
            Self::Nothing => y,
            Self::Function(function) => function(y),
            Self::Scaled { factors, offsets } => y * get(factors, 1.0) + get(offsets, 0.0),
            Self::MinMax { factors, offsets } => match (factors.get(target), offsets.get(target)) {
                (Some(factor), Some(offset)) => (y - offset) / factor,
                _ => f64::NAN,
            },
            Self::Power(power) if target < power.n_columns() => power.backward(target, y),
            Self::Quantiles(quantiles) if target < quantiles.n_columns() => quantiles.backward(target, y),
            Self::Power(_) | Self::Quantiles(_) => f64::NAN,
        }
    }
}

impl Combine for ChangedBack {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let answer = inner[0].numbers(method, &rows)?;
        let width = answer.n_columns.max(1);
        let back = |(index, y): (usize, &f64)| self.way_back.of(index % width, *y);
        let values = Data::Double(answer.values.iter().enumerate().map(back).collect());
        Ok(match self.n_targets {
            None => Prediction::flat(values),
            Some(_) => Prediction::rows(width, values),
        })
    }
}
