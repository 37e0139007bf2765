//! The kernels of Gaussian processes, which are sums and products of each other (`sklearn/gaussian_process/kernels.py`).

use std::f64::consts::PI;

use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Object, Value};

/// Kernels inside each other.
const MAX_DEPTH: usize = 16;

#[derive(Debug)]
pub(super) enum ProcessKernel {
    Constant(f64),
    /// Noise, which rows share only with themselves.
    White(f64),
    Rbf(Scale),
    Matern {
        scale: Scale,
        smoothness: Smoothness,
    },
    RationalQuadratic {
        scale: f64,
        alpha: f64,
    },
    Periodic {
        scale: f64,
        period: f64,
    },
    DotProduct {
        sigma: f64,
    },
    Sum(Box<Self>, Box<Self>),
    Product(Box<Self>, Box<Self>),
    Power(Box<Self>, f64),
}

/// What columns are divided by.
#[derive(Debug)]
pub(super) enum Scale {
    Same(f64),
    PerColumn(Vec<f64>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Smoothness {
    Half,
    OneAndHalf,
    TwoAndHalf,
    Infinite,
}

// === impl ProcessKernel ===

impl ProcessKernel {
    pub(super) fn read(value: &Value<'_>, n_columns: usize) -> Result<Self, Fault> {
        Self::read_at(value, n_columns, 0)
    }

    fn read_at(value: &Value<'_>, n_columns: usize, depth: usize) -> Result<Self, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooLarge { what: "kernels inside each other", limit: MAX_DEPTH as u64 });
        }
        let object = value.object()?;
        let number = |key| object.get(key)?.number();
        let inner = |key| Self::read_at(&object.get(key)?, n_columns, depth + 1).map(Box::new);
        Ok(match object.name() {
            "ConstantKernel" => Self::Constant(number("constant_value")?),
            "WhiteKernel" => Self::White(number("noise_level")?),
            "RBF" => Self::Rbf(Scale::read(&object, n_columns)?),
            "Matern" => Self::Matern {
                scale: Scale::read(&object, n_columns)?,
                smoothness: Smoothness::read(&object.get("nu")?)?,
            },
            "RationalQuadratic" => {
                Self::RationalQuadratic { scale: number("length_scale")?, alpha: number("alpha")? }
            }
            "ExpSineSquared" => {
                Self::Periodic { scale: number("length_scale")?, period: number("periodicity")? }
            }
            "DotProduct" => Self::DotProduct { sigma: number("sigma_0")? },
            "Sum" => Self::Sum(inner("k1")?, inner("k2")?),
            "Product" => Self::Product(inner("k1")?, inner("k2")?),
            "Exponentiation" => Self::Power(inner("kernel")?, number("exponent")?),
            _ => {
                let help = "there are ConstantKernel, WhiteKernel, RBF, Matern, RationalQuadratic, ExpSineSquared, \
                            DotProduct, Sum, Product and Exponentiation";
                let what = format!("`{}`", object.class());
                return Err(Fault::Unsupported { what, help: Some(help.to_owned()) });
            }
        })
    }

    /// Between a row and one of fitting.
    pub(super) fn of(&self, a: &[f64], b: &[f64]) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::White(_) => 0.0,
            Self::Rbf(scale) => (-0.5 * scale.squared(a, b)).exp(),
            Self::Matern { scale, smoothness } => smoothness.of(scale.squared(a, b)),
            Self::RationalQuadratic { scale, alpha } => {
                let squared = Scale::Same(1.0).squared(a, b);
                (1.0 + squared / (2.0 * alpha * scale * scale)).powf(-alpha)
            }
            Self::Periodic { scale, period } => {
                let distance = Scale::Same(1.0).squared(a, b).sqrt();
                (-2.0 * ((PI / period * distance).sin() / scale).powi(2)).exp()
            }
            Self::DotProduct { sigma } => dot(a, b) + sigma * sigma,
            Self::Sum(first, second) => first.of(a, b) + second.of(a, b),
            Self::Product(first, second) => first.of(a, b) * second.of(a, b),
            Self::Power(kernel, exponent) => kernel.of(a, b).powf(*exponent),
        }
    }

    /// Between a row and itself.
    pub(super) fn of_itself(&self, row: &[f64]) -> f64 {
        match self {
            Self::White(level) => *level,
            Self::Sum(first, second) => first.of_itself(row) + second.of_itself(row),
            Self::Product(first, second) => first.of_itself(row) * second.of_itself(row),
            Self::Power(kernel, exponent) => kernel.of_itself(row).powf(*exponent),
            kernel => kernel.of(row, row),
        }
    }
}

impl Scale {
    fn read(object: &Object<'_>, n_columns: usize) -> Result<Self, Fault> {
        let scale = object.get("length_scale")?;
        match scale.number() {
            Ok(number) => Ok(Self::Same(number)),
            Err(_) => scale.n_numbers(n_columns).map(Self::PerColumn),
        }
    }

    /// The square of the distance between scaled rows.
    fn squared(&self, a: &[f64], b: &[f64]) -> f64 {
        let columns = a.iter().zip(b);
        match self {
            Self::Same(scale) => columns.map(|(a, b)| (a / scale - b / scale).powi(2)).sum(),
            Self::PerColumn(scales) => {
                columns.zip(scales).map(|((a, b), scale)| (a / scale - b / scale).powi(2)).sum()
            }
        }
    }
}

impl Smoothness {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        Ok(match value.number()? {
            0.5 => Self::Half,
            1.5 => Self::OneAndHalf,
            2.5 => Self::TwoAndHalf,
            f64::INFINITY => Self::Infinite,
            _ => return Err(value.unsupported("it is 0.5, 1.5, 2.5 or infinite")),
        })
    }

    fn of(self, squared: f64) -> f64 {
        let distance = squared.sqrt();
        match self {
            Self::Half => (-distance).exp(),
            Self::OneAndHalf => {
                let x = distance * 3.0_f64.sqrt();
                (1.0 + x) * (-x).exp()
            }
            Self::TwoAndHalf => {
                let x = distance * 5.0_f64.sqrt();
                (1.0 + x + x * x / 3.0) * (-x).exp()
            }
            Self::Infinite => (-squared / 2.0).exp(),
        }
    }
}
