//! What is done to the values of two or more arrays, place by place. Arrays are broadcast as numpy does.

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Element, MAX_RANK, Shape, Strided, Tensor, same_type, type_name};

/// What two arrays make together, place by place.
fn zip<A, B, C>(
    a: (&[A], &Shape),
    b: (&[B], &Shape),
    f: impl Fn(&A, &B) -> C,
) -> Result<(Shape, Vec<C>), Problem> {
    let ((a, a_shape), (b, b_shape)) = (a, b);
    let shape = a_shape.broadcast(b_shape)?;
    if a_shape == b_shape {
        return Ok((shape, a.iter().zip(b).map(|(a, b)| f(a, b)).collect()));
    }
    if b.len() == 1 {
        return Ok((shape, a.iter().map(|a| f(a, &b[0])).collect()));
    }
    if a.len() == 1 {
        return Ok((shape, b.iter().map(|b| f(&a[0], b)).collect()));
    }
    let mut values = Vec::with_capacity(shape.n_values());
    let Some((length, outer)) = shape.lengths().split_last() else { unreachable!("a scalar has one value") };
    let (a_strides, b_strides) = (a_shape.strides_in(&shape), b_shape.strides_in(&shape));
    let last = outer.len();
    let outer_shape = Shape::new(outer)?;
    let starts =
        Strided::new(outer_shape, 0, signed(a_strides)).zip(Strided::new(outer_shape, 0, signed(b_strides)));
    for (a_start, b_start) in starts {
        match (a_strides[last], b_strides[last]) {
            (1, 1) => {
                let (a, b) = (&a[a_start..a_start + length], &b[b_start..b_start + length]);
                values.extend(a.iter().zip(b).map(|(a, b)| f(a, b)));
            }
            (1, _) => values.extend(a[a_start..a_start + length].iter().map(|a| f(a, &b[b_start]))),
            (_, 1) => values.extend(b[b_start..b_start + length].iter().map(|b| f(&a[a_start], b))),
            _ => values.extend((0..*length).map(|_| f(&a[a_start], &b[b_start]))),
        }
    }
    Ok((shape, values))
}

fn signed(strides: [usize; MAX_RANK]) -> [isize; MAX_RANK] {
    strides.map(|stride| stride as isize)
}

fn zip_as<T: Element, C: Element>(
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(&T, &T) -> C,
) -> Result<Tensor, Problem> {
    let (shape, values) = zip((a.values::<T>()?, a.shape()), (b.values::<T>()?, b.shape()), f)?;
    Ok(Tensor::of(shape, values))
}

/// Makes an operator of two arrays of numbers of the same type.
macro_rules! of_two {
    ($name:ident, $doc:literal, |$a:ident, $b:ident| $float:expr, $double:expr, $integer:expr, $long:expr) => {
        #[doc = $doc]
        pub(super) fn $name(_node: &Node<'_>) -> Result<Run, Fault> {
            fn both(a: &Tensor, b: &Tensor) -> Result<Tensor, Problem> {
                match a.data() {
                    Data::Float(_) => zip_as(a, b, |$a: &f32, $b: &f32| $float),
                    Data::Double(_) => zip_as(a, b, |$a: &f64, $b: &f64| $double),
                    Data::Integer(_) => zip_as(a, b, |$a: &i32, $b: &i32| $integer),
                    Data::Long(_) => zip_as(a, b, |$a: &i64, $b: &i64| $long),
                    data => Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
                }
            }
            run(|inputs: &Inputs<'_>| all(inputs, both))
        }
    };
}

/// Two arrays or more, one after another.
fn all(
    inputs: &Inputs<'_>,
    both: impl Fn(&Tensor, &Tensor) -> Result<Tensor, Problem>,
) -> Result<Tensor, Problem> {
    if inputs.len() == 1 {
        return Ok(inputs.get(0)?.clone());
    }
    let mut result = both(inputs.get(0)?, inputs.get(1)?)?;
    for input in 2..inputs.len() {
        result = both(&result, inputs.get(input)?)?;
    }
    Ok(result)
}

of_two!(add, "`Add`", |a, b| a + b, a + b, a.wrapping_add(*b), a.wrapping_add(*b));
of_two!(sub, "`Sub`", |a, b| a - b, a - b, a.wrapping_sub(*b), a.wrapping_sub(*b));
of_two!(mul, "`Mul`", |a, b| a * b, a * b, a.wrapping_mul(*b), a.wrapping_mul(*b));
of_two!(sum, "`Sum`", |a, b| a + b, a + b, a.wrapping_add(*b), a.wrapping_add(*b));
of_two!(
    max,
    "`Max`",
    |a, b| greatest(*a, *b),
    if a.is_nan() || a > b { *a } else { *b },
    *a.max(b),
    *a.max(b)
);
of_two!(min, "`Min`", |a, b| least(*a, *b), if a.is_nan() || a < b { *a } else { *b }, *a.min(b), *a.min(b));
of_two!(less, "`Less`", |a, b| a < b, a < b, a < b, a < b);
of_two!(less_or_equal, "`LessOrEqual`", |a, b| a <= b, a <= b, a <= b, a <= b);
of_two!(greater, "`Greater`", |a, b| a > b, a > b, a > b, a > b);
of_two!(greater_or_equal, "`GreaterOrEqual`", |a, b| a >= b, a >= b, a >= b, a >= b);

fn greatest(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

fn least(a: f32, b: f32) -> f32 {
    if a.is_nan() || a < b { a } else { b }
}

/// `Div`
pub(super) fn div(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        not_by_zero(b)?;
        match a.data() {
            Data::Float(_) => zip_as(a, b, |a: &f32, b: &f32| a / b),
            Data::Double(_) => zip_as(a, b, |a: &f64, b: &f64| a / b),
            Data::Integer(_) => zip_as(a, b, |a: &i32, b: &i32| a.wrapping_div(*b)),
            Data::Long(_) => zip_as(a, b, |a: &i64, b: &i64| a.wrapping_div(*b)),
            data => Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        }
    })
}

/// `Mod`: the sign is that of the divisor, or with `fmod` that of the dividend.
pub(super) fn modulo(node: &Node<'_>) -> Result<Run, Fault> {
    let of_dividend = node.flag("fmod", false)?;
    run(move |inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        not_by_zero(b)?;
        match (a.data(), of_dividend) {
            (Data::Float(_), true) => zip_as(a, b, |a: &f32, b: &f32| a % b),
            (Data::Double(_), true) => zip_as(a, b, |a: &f64, b: &f64| a % b),
            (Data::Integer(_), true) => zip_as(a, b, |a: &i32, b: &i32| a.wrapping_rem(*b)),
            (Data::Long(_), true) => zip_as(a, b, |a: &i64, b: &i64| a.wrapping_rem(*b)),
            (Data::Integer(_), false) => zip_as(a, b, |a: &i32, b: &i32| {
                let rest = a.wrapping_rem(*b);
                if rest != 0 && (rest < 0) != (*b < 0) { rest + b } else { rest }
            }),
            (Data::Long(_), false) => zip_as(a, b, |a: &i64, b: &i64| {
                let rest = a.wrapping_rem(*b);
                if rest != 0 && (rest < 0) != (*b < 0) { rest + b } else { rest }
            }),
            (data, _) => Err(Problem::new(format!("takes whole numbers, not {}", type_name(data)))),
        }
    })
}

fn not_by_zero(divisor: &Tensor) -> Result<(), Problem> {
    let has_zero = match divisor.data() {
        Data::Integer(values) => values.contains(&0),
        Data::Long(values) => values.contains(&0),
        _ => false,
    };
    if has_zero { Err(Problem::of_values("a division of a whole number by zero")) } else { Ok(()) }
}

/// `Pow`: the exponent may have a type of its own, the result has that of the base.
pub(super) fn pow(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        let exponents: Vec<f64> = match b.data() {
            Data::Float(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Data::Double(values) => values.clone(),
            Data::Integer(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Data::Long(values) => values.iter().map(|value| *value as f64).collect(),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        let b = (&exponents[..], b.shape());
        let (shape, data) = match a.data() {
            Data::Float(values) => {
                let (shape, values) = zip((&values[..], a.shape()), b, |a, b| power(*a, *b))?;
                (shape, Data::Float(values))
            }
            Data::Double(values) => {
                let power = |a: &f64, b: &f64| if *b == 2.0 { a * a } else { a.powf(*b) };
                let (shape, values) = zip((&values[..], a.shape()), b, power)?;
                (shape, Data::Double(values))
            }
            Data::Integer(values) => {
                let (shape, values) = zip((&values[..], a.shape()), b, |a, b| f64::from(*a).powf(*b) as i32)?;
                (shape, Data::Integer(values))
            }
            Data::Long(values) => {
                let (shape, values) = zip((&values[..], a.shape()), b, |a, b| (*a as f64).powf(*b) as i64)?;
                (shape, Data::Long(values))
            }
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        Ok(Tensor::new(shape, data))
    })
}

/// Squares and cubes are products, as in onnxruntime.
fn power(base: f32, exponent: f64) -> f32 {
    match exponent {
        2.0 => base * base,
        3.0 => base * base * base,
        _ => base.powf(exponent as f32),
    }
}

/// `Mean`
pub(super) fn mean(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let n = inputs.len();
        let sum = all(inputs, |a, b| match a.data() {
            Data::Float(_) => zip_as(a, b, |a: &f32, b: &f32| a + b),
            _ => zip_as(a, b, |a: &f64, b: &f64| a + b),
        })?;
        let data = match sum.data() {
            Data::Float(values) => Data::Float(values.iter().map(|value| value / n as f32).collect()),
            Data::Double(values) => Data::Double(values.iter().map(|value| value / n as f64).collect()),
            data => return Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
        };
        Ok(Tensor::new(*sum.shape(), data))
    })
}

/// `Equal`
pub(super) fn equal(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        match a.data() {
            Data::Float(_) => zip_as(a, b, |a: &f32, b: &f32| a == b),
            Data::Double(_) => zip_as(a, b, |a: &f64, b: &f64| a == b),
            Data::Integer(_) => zip_as(a, b, |a: &i32, b: &i32| a == b),
            Data::Long(_) => zip_as(a, b, |a: &i64, b: &i64| a == b),
            Data::Boolean(_) => zip_as(a, b, |a: &bool, b: &bool| a == b),
            Data::Text(_) => zip_as(a, b, |a: &String, b: &String| a == b),
        }
    })
}

/// `And`
pub(super) fn and(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| zip_as(inputs.get(0)?, inputs.get(1)?, |a: &bool, b: &bool| *a && *b))
}

/// `Or`
pub(super) fn or(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| zip_as(inputs.get(0)?, inputs.get(1)?, |a: &bool, b: &bool| *a || *b))
}

/// `Xor`
pub(super) fn xor(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| zip_as(inputs.get(0)?, inputs.get(1)?, |a: &bool, b: &bool| a != b))
}

/// `Where`
pub(super) fn where_(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (choice, a, b) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
        let flags = choice.values::<bool>()?;
        let shape = choice.shape().broadcast(&a.shape().broadcast(b.shape())?)?;
        let places = |tensor: &Tensor| Strided::new(shape, 0, signed(tensor.shape().strides_in(&shape)));
        let places = places(choice).zip(places(a)).zip(places(b));
        if std::mem::discriminant(a.data()) != std::mem::discriminant(b.data()) {
            let problem =
                format!("takes two of one type, not {} and {}", type_name(a.data()), type_name(b.data()));
            return Err(Problem::new(problem));
        }
        fn chosen<T: Element>(
            flags: &[bool],
            a: &[T],
            b: &Tensor,
            places: impl Iterator<Item = ((usize, usize), usize)>,
        ) -> Result<Vec<T>, Problem> {
            let b = b.values::<T>()?;
            Ok(places
                .map(|((flag, at), bt)| if flags[flag] { a[at].clone() } else { b[bt].clone() })
                .collect())
        }
        let data = same_type!(a.data(), values => chosen(flags, values, b, places)?);
        Ok(Tensor::new(shape, data))
    })
}

/// `Clip`. The bounds are attributes in old versions, and inputs in newer ones.
pub(super) fn clip(node: &Node<'_>) -> Result<Run, Fault> {
    let (low, high) = (node.float("min", f32::NEG_INFINITY)?, node.float("max", f32::INFINITY)?);
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        fn bound<T: Element + Copy>(inputs: &Inputs<'_>, input: usize) -> Result<Option<T>, Problem> {
            let Some(bound) = inputs.find(input) else { return Ok(None) };
            Ok(bound.values::<T>()?.first().copied())
        }
        fn clipped<T: Element + Copy + PartialOrd>(
            inputs: &Inputs<'_>,
            values: &[T],
            (low, high): (T, T),
        ) -> Result<Vec<T>, Problem> {
            let low = bound(inputs, 1)?.unwrap_or(low);
            let high = bound(inputs, 2)?.unwrap_or(high);
            let clip = |value: &T| {
                let above = if *value < low { low } else { *value };
                if above > high { high } else { above }
            };
            Ok(values.iter().map(clip).collect())
        }
        let data = match tensor.data() {
            Data::Float(values) => Data::Float(clipped(inputs, values, (low, high))?),
            Data::Double(values) => Data::Double(clipped(inputs, values, (f64::from(low), f64::from(high)))?),
            Data::Integer(values) => Data::Integer(clipped(inputs, values, (i32::MIN, i32::MAX))?),
            Data::Long(values) => Data::Long(clipped(inputs, values, (i64::MIN, i64::MAX))?),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        Ok(Tensor::new(*tensor.shape(), data))
    })
}
