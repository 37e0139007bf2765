//! What is done to each value on its own.

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::file;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Tensor, type_name};

/// Makes an operator that does the same to numbers of both precisions.
macro_rules! of_floats {
    ($name:ident, $doc:literal, $x:ident => $float:expr, $double:expr) => {
        #[doc = $doc]
        pub(super) fn $name(_node: &Node<'_>) -> Result<Run, Fault> {
            run(|inputs: &Inputs<'_>| floats(inputs, |$x: f32| $float, |$x: f64| $double))
        }
    };
}

of_floats!(ceil, "`Ceil`", x => x.ceil(), x.ceil());
of_floats!(exp, "`Exp`", x => x.exp(), x.exp());
of_floats!(floor, "`Floor`", x => x.floor(), x.floor());
of_floats!(log, "`Log`", x => x.ln(), x.ln());
of_floats!(reciprocal, "`Reciprocal`", x => 1.0 / x, 1.0 / x);
of_floats!(round, "`Round`: halves to the even number", x => x.round_ties_even(), x.round_ties_even());
of_floats!(sigmoid, "`Sigmoid`", x => 1.0 / (1.0 + (-x).exp()), 1.0 / (1.0 + (-x).exp()));
of_floats!(softplus, "`Softplus`", x => x.max(0.0) + (-x.abs()).exp().ln_1p(), x.max(0.0) + (-x.abs()).exp().ln_1p());
of_floats!(softsign, "`Softsign`", x => x / (1.0 + x.abs()), x / (1.0 + x.abs()));
of_floats!(sqrt, "`Sqrt`", x => x.sqrt(), x.sqrt());
of_floats!(tanh, "`Tanh`", x => x.tanh(), x.tanh());
of_floats!(erf, "`Erf`", x => erf_of(f64::from(x)) as f32, erf_of(x));

fn floats(
    inputs: &Inputs<'_>,
    float: impl Fn(f32) -> f32,
    double: impl Fn(f64) -> f64,
) -> Result<Tensor, Problem> {
    let tensor = inputs.get(0)?;
    let data = match tensor.data() {
        Data::Float(values) => Data::Float(values.iter().map(|value| float(*value)).collect()),
        Data::Double(values) => Data::Double(values.iter().map(|value| double(*value)).collect()),
        data => return Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
    };
    Ok(Tensor::new(*tensor.shape(), data))
}

/// The error function. Series near zero, continued fraction far from it; exact to the last digits of 64 bits.
fn erf_of(x: f64) -> f64 {
    /// Where the series needs as many terms as the fraction.
    const SERIES_UP_TO: f64 = 2.5;
    const N_TERMS: i32 = 120;

    let magnitude = x.abs();
    let value = if magnitude.is_nan() {
        f64::NAN
    } else if magnitude < SERIES_UP_TO {
        let (mut term, mut sum, mut n) = (magnitude, magnitude, 0);
        while term > sum * f64::EPSILON / 4.0 && n < N_TERMS {
            n += 1;
            term *= magnitude * magnitude * 2.0 / f64::from(2 * n + 1);
            sum += term;
        }
        (2.0 / std::f64::consts::PI.sqrt()) * sum * (-magnitude * magnitude).exp()
    } else if magnitude < 6.0 {
        let fraction = (1..=N_TERMS).rev().fold(0.0, |rest, n| f64::from(n) / 2.0 / (magnitude + rest));
        1.0 - (-magnitude * magnitude).exp() / (std::f64::consts::PI.sqrt() * (magnitude + fraction))
    } else {
        1.0
    };
    value.copysign(x)
}

/// Makes an operator that does the same to numbers of all types.
macro_rules! of_numbers {
    ($name:ident, $doc:literal, $x:ident => $float:expr, $double:expr, $integer:expr, $long:expr) => {
        #[doc = $doc]
        pub(super) fn $name(_node: &Node<'_>) -> Result<Run, Fault> {
            run(|inputs: &Inputs<'_>| {
                let tensor = inputs.get(0)?;
                let data = match tensor.data() {
                    Data::Float(values) => Data::Float(values.iter().map(|$x: &f32| $float).collect()),
                    Data::Double(values) => Data::Double(values.iter().map(|$x: &f64| $double).collect()),
                    Data::Integer(values) => Data::Integer(values.iter().map(|$x: &i32| $integer).collect()),
                    Data::Long(values) => Data::Long(values.iter().map(|$x: &i64| $long).collect()),
                    data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
                };
                Ok(Tensor::new(*tensor.shape(), data))
            })
        }
    };
}

of_numbers!(abs, "`Abs`", x => x.abs(), x.abs(), x.wrapping_abs(), x.wrapping_abs());
of_numbers!(neg, "`Neg`", x => -x, -x, x.wrapping_neg(), x.wrapping_neg());
of_numbers!(relu, "`Relu`", x => positive(*x), if *x > 0.0 { *x } else { *x * 0.0 }, *x.max(&0), *x.max(&0));
of_numbers!(sign, "`Sign`", x => sign_of(f64::from(*x)) as f32, sign_of(*x), x.signum(), x.signum());

/// The number if it is above zero, else zero; NaN stays NaN.
fn positive(x: f32) -> f32 {
    if x > 0.0 || x.is_nan() { x } else { 0.0 }
}

fn sign_of(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

/// `Identity`
pub(super) fn identity(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| Ok(inputs.get(0)?.clone()))
}

/// `Dropout`, which drops nothing when a model is only asked.
pub(super) fn dropout(node: &Node<'_>) -> Result<Run, Fault> {
    node.ignore(&["ratio", "seed", "is_test"]);
    let trains = node.constant(2).and_then(|training| training.values::<bool>().ok()?.first().copied());
    if node.n_inputs() > 2 && trains != Some(false) {
        return Err(node.unsupported("the training of "));
    }
    identity(node)
}

/// `Elu`
pub(super) fn elu(node: &Node<'_>) -> Result<Run, Fault> {
    let alpha = node.float("alpha", 1.0)?;
    let wide = f64::from(alpha);
    run(move |inputs: &Inputs<'_>| {
        let float = |x: f32| if x < 0.0 { alpha * x.exp_m1() } else { x };
        floats(inputs, float, |x| if x < 0.0 { wide * x.exp_m1() } else { x })
    })
}

/// `LeakyRelu`
pub(super) fn leaky_relu(node: &Node<'_>) -> Result<Run, Fault> {
    let alpha = node.float("alpha", 0.01)?;
    let wide = f64::from(alpha);
    run(move |inputs: &Inputs<'_>| {
        floats(inputs, |x| if x < 0.0 { alpha * x } else { x }, |x| if x < 0.0 { wide * x } else { x })
    })
}

/// `HardSigmoid`
pub(super) fn hard_sigmoid(node: &Node<'_>) -> Result<Run, Fault> {
    let (alpha, beta) = (node.float("alpha", 0.2)?, node.float("beta", 0.5)?);
    run(move |inputs: &Inputs<'_>| {
        let double = |x: f64| (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0);
        floats(inputs, |x| (alpha * x + beta).clamp(0.0, 1.0), double)
    })
}

/// `Not`
pub(super) fn not(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let values: Vec<bool> = tensor.values::<bool>()?.iter().map(|value| !value).collect();
        Ok(Tensor::of(*tensor.shape(), values))
    })
}

/// `IsNaN`
pub(super) fn is_nan(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| test(inputs.get(0)?, f64::is_nan))
}

/// `IsInf`
pub(super) fn is_inf(node: &Node<'_>) -> Result<Run, Fault> {
    let above = node.flag("detect_positive", true)?;
    let below = node.flag("detect_negative", true)?;
    run(move |inputs: &Inputs<'_>| {
        test(inputs.get(0)?, |x| (above && x == f64::INFINITY) || (below && x == f64::NEG_INFINITY))
    })
}

fn test(tensor: &Tensor, is_so: impl Fn(f64) -> bool) -> Result<Tensor, Problem> {
    let values: Vec<bool> = match tensor.data() {
        Data::Float(values) => values.iter().map(|value| is_so(f64::from(*value))).collect(),
        Data::Double(values) => values.iter().map(|value| is_so(*value)).collect(),
        data => return Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
    };
    Ok(Tensor::of(*tensor.shape(), values))
}

/// `Cast`
pub(super) fn cast(node: &Node<'_>) -> Result<Run, Fault> {
    node.ignore(&["saturate", "round_mode"]);
    let to = node.long("to", 0)?;
    let Some(wanted) = file::no_values(to) else {
        return Err(node.unsupported(&format!("the type {} of ", file::type_name(to))));
    };
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        Ok(Tensor::new(*tensor.shape(), cast_to(tensor.data(), &wanted)?))
    })
}

/// The values in the type of others.
fn cast_to(data: &Data, wanted: &Data) -> Result<Data, Problem> {
    macro_rules! numbers {
        ($values:ident, $from:ty) => {
            match wanted {
                Data::Float(_) => Data::Float($values.iter().map(|value| *value as f32).collect()),
                Data::Double(_) => Data::Double($values.iter().map(|value| *value as f64).collect()),
                Data::Integer(_) => Data::Integer($values.iter().map(|value| *value as i32).collect()),
                Data::Long(_) => Data::Long($values.iter().map(|value| *value as i64).collect()),
                Data::Boolean(_) => Data::Boolean($values.iter().map(|value| *value != 0 as $from).collect()),
                Data::Text(_) => Data::Text($values.iter().map(|value| value.shown()).collect()),
            }
        };
    }
    Ok(match data {
        Data::Float(values) => numbers!(values, f32),
        Data::Double(values) => numbers!(values, f64),
        Data::Integer(values) => numbers!(values, i32),
        Data::Long(values) => numbers!(values, i64),
        Data::Boolean(flags) => {
            let values: Vec<i32> = flags.iter().map(|flag| i32::from(*flag)).collect();
            return match wanted {
                Data::Boolean(_) => Ok(data.clone()),
                Data::Text(_) => Ok(Data::Text(
                    flags.iter().map(|flag| if *flag { "1" } else { "0" }.to_owned()).collect(),
                )),
                _ => cast_to(&Data::Integer(values), wanted),
            };
        }
        Data::Text(texts) => match wanted {
            Data::Float(_) => Data::Float(parsed(texts)?),
            Data::Double(_) => Data::Double(parsed(texts)?),
            Data::Integer(_) => Data::Integer(parsed(texts)?),
            Data::Long(_) => Data::Long(parsed(texts)?),
            Data::Text(_) => data.clone(),
            Data::Boolean(_) => return Err(Problem::new("takes no texts to make bool of")),
        },
    })
}

fn parsed<T: std::str::FromStr>(texts: &[String]) -> Result<Vec<T>, Problem> {
    let number = |text: &String| {
        let problem = || Problem::of_values(format!("`{}` is not a number", crate::rows::short(text)));
        text.trim().parse().map_err(|_| problem())
    };
    texts.iter().map(number).collect()
}

/// A number as onnxruntime writes it.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown_whole {
    ($($type:ty),*) => {
        $(impl Shown for $type {
            fn shown(&self) -> String {
                self.to_string()
            }
        })*
    };
}

shown_whole!(i32, i64);

impl Shown for f32 {
    fn shown(&self) -> String {
        general(f64::from(*self), 8)
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        general(*self, 17)
    }
}

/// The form `%g` of C with a number of digits.
fn general(value: f64, n_digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF".to_owned() } else { "-INF".to_owned() };
    }
    let scientific = format!("{value:.*e}", n_digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` is part of this form");
    let power: i32 = exponent.parse().expect("an exponent is a number");
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= n_digits as i32 {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), power.abs());
    }
    without_zeros(&format!("{value:.*}", (n_digits as i32 - 1 - power) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_exact() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_9),
            (1.0, 0.842_700_792_949_714_9),
            (-2.4, -0.999_311_486_103_354_9),
            (2.6, 0.999_763_965_583_470_7),
            (4.0, 0.999_999_984_582_742_1),
            (7.0, 1.0),
        ] {
            assert!((erf_of(x) - expected).abs() < 4e-16, "erf({x}) = {}", erf_of(x));
        }
        assert!(erf_of(f64::NAN).is_nan());
    }

    #[test]
    fn numbers_become_texts_as_onnxruntime_writes_them() {
        assert_eq!(0.1_f32.shown(), "0.1");
        assert_eq!(1.0_f32.shown(), "1");
        assert_eq!((1.0_f32 / 3.0).shown(), "0.33333334");
        assert_eq!(1e-7_f32.shown(), "1e-07");
        assert_eq!(1e10_f32.shown(), "1e+10");
        assert_eq!(f32::NAN.shown(), "NaN");
    }
}
