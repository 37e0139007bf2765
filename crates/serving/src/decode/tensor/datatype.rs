//! Types of elements: their names, what may stand in them, and how they are written in bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use models::{DataType, nearest};

use super::super::column::Misfit;
use crate::fault::{Fault, list, quoted};
use crate::json::Scalar;

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    /// Truth values, of one byte each.
    Bool,
    /// Whole numbers of so many bytes.
    Integer { n_bytes: u8, is_signed: bool },
    /// Floating-point numbers.
    Float(Float),
    /// Texts, each with its length before it.
    Bytes,
}

/// A type of floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    Fp16,
    Bf16,
    Fp32,
    Fp64,
}

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elements {
    /// Their type, as the request says.
    pub(crate) datatype: Datatype,
    /// Whether its texts are written in base64.
    pub(crate) is_base64: bool,
}

const fn integer(n_bytes: u8, is_signed: bool) -> Datatype {
    Datatype::Integer { n_bytes, is_signed }
}

/// All types of elements, by their names in the protocol.
const DATATYPES: &[(&str, Datatype)] = &[
    ("FP64", Datatype::Float(Float::Fp64)),
    ("FP32", Datatype::Float(Float::Fp32)),
    ("FP16", Datatype::Float(Float::Fp16)),
    ("BF16", Datatype::Float(Float::Bf16)),
    ("INT64", integer(8, true)),
    ("INT32", integer(4, true)),
    ("INT16", integer(2, true)),
    ("INT8", integer(1, true)),
    ("UINT64", integer(8, false)),
    ("UINT32", integer(4, false)),
    ("UINT16", integer(2, false)),
    ("UINT8", integer(1, false)),
    ("BOOL", Datatype::Bool),
    ("BYTES", Datatype::Bytes),
];

/// The protocol's name of a column's type.
pub(crate) fn datatype_name(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Boolean => "BOOL",
        DataType::Integer => "INT32",
        DataType::Long => "INT64",
        DataType::Float => "FP32",
        DataType::Double | DataType::Any => "FP64",
        DataType::String | DataType::Binary | DataType::Datetime => "BYTES",
    }
}

// === impl Datatype ===

impl Datatype {
    /// The type of this name.
    pub(crate) fn parse(name: &str, input: usize) -> Result<Self, Fault> {
        let found = DATATYPES.iter().find(|(known, _)| *known == name);
        found.map(|(_, datatype)| *datatype).ok_or_else(|| {
            let names = || DATATYPES.iter().map(|(name, _)| *name);
            let problem = format!("expected one of {}, got {}", list(names()), quoted(name));
            let fault = Fault::input(format!("$.inputs[{input}].datatype"), problem);
            match nearest(name, names()) {
                Some(near) => fault.with_help(format!("did you mean {near}?")),
                None => fault,
            }
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        DATATYPES.iter().find(|(_, datatype)| *datatype == self).map_or("", |(name, _)| name)
    }

    /// How many bytes an element has, if all have as many.
    pub(super) fn n_bytes(self) -> Option<usize> {
        match self {
            Self::Bool => Some(1),
            Self::Integer { n_bytes, .. } => Some(n_bytes.into()),
            Self::Float(Float::Fp16 | Float::Bf16) => Some(2),
            Self::Float(Float::Fp32) => Some(4),
            Self::Float(Float::Fp64) => Some(8),
            Self::Bytes => None,
        }
    }

    /// The element that little-endian bytes stand for, which are as many as it has.
    pub(super) fn element(self, bytes: &[u8]) -> Scalar<'static> {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(padded);
        match self {
            Self::Bool | Self::Bytes if bits <= 1 => Scalar::Boolean(bits == 1),
            Self::Integer { n_bytes, is_signed: true } => {
                let n_unused = 64 - 8 * u32::from(n_bytes);
                Scalar::Long((bits << n_unused).cast_signed() >> n_unused)
            }
            Self::Bool | Self::Bytes | Self::Integer { .. } => {
                i64::try_from(bits).map_or(Scalar::Double(bits as f64), Scalar::Long)
            }
            Self::Float(Float::Fp16) => Scalar::Double(half(bits as u16)),
            Self::Float(Float::Bf16) => Scalar::Double(f32::from_bits((bits as u32) << 16).into()),
            Self::Float(Float::Fp32) => Scalar::Double(f32::from_bits(bits as u32).into()),
            Self::Float(Float::Fp64) => Scalar::Double(f64::from_bits(bits)),
        }
    }

    /// Makes sure that a value is of this type.
    fn admit(self, value: Scalar<'_>) -> Result<Scalar<'_>, Misfit> {
        match (self, value) {
            (Self::Float(_), Scalar::Null) => Ok(Scalar::Null),
            (Self::Bytes, value @ (Scalar::Text(_) | Scalar::Null))
            | (Self::Bool, value @ (Scalar::Boolean(_) | Scalar::Long(0..=1))) => Ok(value),
            (Self::Float(float), Scalar::Double(number)) => Ok(Scalar::Double(float.nearest(number))),
            (Self::Float(Float::Fp32), Scalar::Long(number)) => Ok(Scalar::Double(f64::from(number as f32))),
            (Self::Float(float), Scalar::Long(number)) => Ok(Scalar::Double(float.nearest(number as f64))),
            (Self::Integer { n_bytes, is_signed }, Scalar::Long(number))
                if holds(n_bytes, is_signed, number) =>
            {
                Ok(Scalar::Long(number))
            }
            (Self::Float(_), value) => Err(Misfit::new("a number", &value)),
            (Self::Integer { .. }, value) => {
                Err(Misfit::new("a whole number of the input's datatype", &value))
            }
            (Self::Bool, value) => Err(Misfit::new("true or false", &value)),
            (Self::Bytes, value) => Err(Misfit::new("a text", &value)),
        }
    }
}

/// Whether a whole number of so many bytes may be this one.
fn holds(n_bytes: u8, is_signed: bool, number: i64) -> bool {
    let n_unused = 64 - 8 * u32::from(n_bytes);
    match is_signed {
        true => (i64::MIN >> n_unused..=i64::MAX >> n_unused).contains(&number),
        false => u64::try_from(number).is_ok_and(|number| number <= u64::MAX >> n_unused),
    }
}

// === impl Float ===

impl Float {
    /// The number of this type that is nearest to a number.
    pub(super) fn nearest(self, number: f64) -> f64 {
        match self {
            Self::Fp64 => number,
            Self::Fp32 => f64::from(number as f32),
            // A single that is rounded again may end at another neighbour, so the double is.
            Self::Fp16 => rounded(number, 11, -14, 65520.0),
            Self::Bf16 => rounded(number, 8, -126, f64::from_bits(0x47ef_f000_0000_0000)),
        }
    }
}

/// The nearest number with so many significant bits and no smaller exponent; infinite from `overflow` on.
fn rounded(number: f64, n_bits: i32, least_exponent: i32, overflow: f64) -> f64 {
    if !number.is_finite() || number == 0.0 {
        return number;
    }
    if number.abs() >= overflow {
        return f64::INFINITY.copysign(number);
    }
    let exponent = ((number.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least_exponent);
    let quantum = 2f64.powi(exponent - (n_bits - 1));
    ((number / quantum).round_ties_even() * quantum).copysign(number)
}

/// The number that 16 bits stand for (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

// === impl Elements ===

impl Elements {
    /// Makes sure that a value may be an element, and undoes its base64.
    pub(super) fn admit(self, value: Scalar<'_>) -> Result<Scalar<'_>, Misfit> {
        match self.datatype.admit(value)? {
            Scalar::Text(text) if self.is_base64 => {
                let misfit = |expected| Misfit::new(expected, &Scalar::Text(text.clone()));
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| misfit("base64"))?;
                let decoded = String::from_utf8(bytes).map_err(|_| misfit("base64 of UTF-8"))?;
                Ok(Scalar::Text(decoded.into()))
            }
            value => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_reads_back_and_rounds_to_itself() {
        for bits in 0..=u16::MAX {
            let number = half(bits);
            let nearest = Float::Fp16.nearest(number);
            assert!(nearest.to_bits() == number.to_bits() || number.is_nan(), "{bits:04x}");
            let brain = f64::from(f32::from_bits(u32::from(bits) << 16));
            let nearest = Float::Bf16.nearest(brain);
            assert!(nearest.to_bits() == brain.to_bits() || brain.is_nan(), "{bits:04x}");
        }
        assert_eq!((half(0x3c00), half(0xc000), half(0x7bff), half(1)), (1.0, -2.0, 65504.0, 2f64.powi(-24)));
    }

    #[test]
    fn numbers_round_to_the_nearest_of_their_type() {
        assert_eq!(Float::Fp16.nearest(0.1), 0.099_975_585_937_5);
        assert_eq!(Float::Fp16.nearest(65519.9), 65504.0);
        assert_eq!(Float::Fp16.nearest(-65520.0), f64::NEG_INFINITY);
        assert_eq!(Float::Fp16.nearest(1e-9), 0.0);
        assert_eq!(Float::Bf16.nearest(0.1), 0.100_097_656_25);
        assert_eq!(Float::Bf16.nearest(1e39), f64::INFINITY);
    }

    #[track_caller]
    fn check(name: &str, bytes: &[u8], expected: &str) {
        let datatype = Datatype::parse(name, 0).unwrap();
        let got = match datatype.admit(datatype.element(bytes)) {
            Ok(value) => format!("{value:?}"),
            Err(misfit) => format!("expected {}, got {}", misfit.expected, misfit.got),
        };
        assert_eq!(got, expected);
        assert_eq!(datatype.n_bytes(), Some(bytes.len()));
        assert_eq!(datatype.name(), name);
    }

    #[test]
    fn bytes_are_numbers_of_their_type() {
        check("INT8", &[0xff], "Long(-1)");
        check("UINT8", &[0xff], "Long(255)");
        check("INT16", &[0, 0x80], "Long(-32768)");
        check("UINT32", &[0xff; 4], "Long(4294967295)");
        check("INT64", &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "Long(-2)");
        check(
            "UINT64",
            &[0xff; 8],
            "expected a whole number of the input's datatype, got the number 1.8446744073709552e19",
        );
        check("BOOL", &[1], "Boolean(true)");
        check("BOOL", &[2], "expected true or false, got the number 2");
        check("FP32", &0.1f32.to_le_bytes(), "Double(0.10000000149011612)");
        check("FP64", &0.1f64.to_le_bytes(), "Double(0.1)");
        check("FP16", &[0, 0x3e], "Double(1.5)");
        check("BF16", &[0xc0, 0x3f], "Double(1.5)");
    }
}
