//! From one element type to another, only where no value changes.

use super::{Data, ElementType};
use half::f16;
use std::borrow::Cow;

/// The first element that the wanted type cannot hold unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("element {index} is {found}, which {wanted} cannot hold unchanged")]
pub struct ConversionError {
    /// Where it stands in the flat run.
    pub index: usize,
    /// The element as text.
    pub found: String,
    /// The type asked for.
    pub wanted: ElementType,
}

/// A number wide enough for each numeric element type.
#[derive(Clone, Copy, PartialEq)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl<'a> Data<'a> {
    /// The same values as `wanted`; without a copy when they are that type already.
    ///
    /// Integers go into floats and floats into integers when the value is exactly representable;
    /// NaN and infinities go between float types. Text and truth values convert to nothing.
    ///
    /// # Errors
    /// The first element whose value would change.
    pub fn convert(self, wanted: ElementType) -> Result<Data<'a>, ConversionError> {
        if self.element() == wanted {
            return Ok(self);
        }
        let refused = |index: usize, found: String| ConversionError { index, found, wanted };
        let numbers = match numbers(&self) {
            Some(numbers) => numbers,
            None if self.is_empty() => Vec::new(),
            None => return Err(refused(0, format!("a {}", self.element()))),
        };
        macro_rules! into {
            ($variant:ident, $exact:expr) => {{
                let mut values = Vec::with_capacity(numbers.len());
                for (index, number) in numbers.into_iter().enumerate() {
                    match $exact(number) {
                        Some(value) => values.push(value),
                        None => return Err(refused(index, text(number))),
                    }
                }
                Ok(Data::$variant(Cow::Owned(values)))
            }};
        }
        match wanted {
            ElementType::F16 => into!(F16, to_f16),
            ElementType::F32 => into!(F32, to_f32),
            ElementType::F64 => into!(F64, to_f64),
            ElementType::I8 => into!(I8, |n| to_integer(n)?.try_into().ok()),
            ElementType::I16 => into!(I16, |n| to_integer(n)?.try_into().ok()),
            ElementType::I32 => into!(I32, |n| to_integer(n)?.try_into().ok()),
            ElementType::I64 => into!(I64, |n| to_integer(n)?.try_into().ok()),
            ElementType::U8 => into!(U8, |n| to_integer(n)?.try_into().ok()),
            ElementType::U16 => into!(U16, |n| to_integer(n)?.try_into().ok()),
            ElementType::U32 => into!(U32, |n| to_integer(n)?.try_into().ok()),
            ElementType::U64 => into!(U64, |n| to_integer(n)?.try_into().ok()),
            ElementType::Bool | ElementType::String => {
                Err(refused(0, format!("a {}", self.element())))
            }
        }
    }
}

fn numbers(data: &Data<'_>) -> Option<Vec<Number>> {
    macro_rules! widen {
        ($values:ident, $number:ident) => {
            Some($values.iter().map(|value| Number::$number((*value).into())).collect())
        };
    }
    match data {
        Data::F16(values) => widen!(values, Float),
        Data::F32(values) => widen!(values, Float),
        Data::F64(values) => widen!(values, Float),
        Data::I8(values) => widen!(values, Integer),
        Data::I16(values) => widen!(values, Integer),
        Data::I32(values) => widen!(values, Integer),
        Data::I64(values) => widen!(values, Integer),
        Data::U8(values) => widen!(values, Integer),
        Data::U16(values) => widen!(values, Integer),
        Data::U32(values) => widen!(values, Integer),
        Data::U64(values) => widen!(values, Integer),
        Data::Bool(_) | Data::String(_) => None,
    }
}

/// 2^63 bounds what a float may be to become an integer here: beyond, neighbours are 2048 apart.
const INTEGRAL_FLOAT_MAX: f64 = 9_223_372_036_854_775_808.0;

fn to_integer(number: Number) -> Option<i128> {
    match number {
        Number::Integer(value) => Some(value),
        Number::Float(value) if value.fract() == 0.0 && value.abs() <= INTEGRAL_FLOAT_MAX => {
            Some(value as i128)
        }
        Number::Float(_) => None,
    }
}

fn to_f64(number: Number) -> Option<f64> {
    match number {
        Number::Float(value) => Some(value),
        Number::Integer(value) => {
            let float = value as f64;
            (float as i128 == value).then_some(float)
        }
    }
}

fn to_f32(number: Number) -> Option<f32> {
    let wide = to_f64(number)?;
    let narrow = wide as f32;
    (wide.is_nan() || f64::from(narrow) == wide).then_some(narrow)
}

fn to_f16(number: Number) -> Option<f16> {
    let wide = to_f64(number)?;
    let narrow = f16::from_f64(wide);
    (wide.is_nan() || f64::from(narrow) == wide).then_some(narrow)
}

fn text(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        Number::Float(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64s(values: &[f64]) -> Data<'_> {
        Data::F64(Cow::Borrowed(values))
    }

    #[test]
    fn values_that_fit_convert() {
        let cases = [
            (f64s(&[1.0, -3.0]), Data::I8(Cow::Owned(vec![1, -3]))),
            (f64s(&[0.5, 1e10]), Data::F32(Cow::Owned(vec![0.5, 1e10]))),
            (f64s(&[f64::INFINITY]), Data::F32(Cow::Owned(vec![f32::INFINITY]))),
            (Data::I64(Cow::Owned(vec![1 << 24])), Data::F32(Cow::Owned(vec![16_777_216.0]))),
            (Data::U8(Cow::Owned(vec![255])), Data::I64(Cow::Owned(vec![255]))),
            (Data::U64(Cow::Owned(vec![u64::MAX])), Data::U64(Cow::Owned(vec![u64::MAX]))),
        ];
        for (from, to) in cases {
            assert_eq!(from.convert(to.element()), Ok(to));
        }
    }

    #[test]
    fn the_first_value_that_would_change_is_named() {
        let cases = [
            (f64s(&[1.0, 1.5]), ElementType::I32, 1, "1.5"),
            (f64s(&[0.1]), ElementType::F32, 0, "0.1"),
            (f64s(&[f64::NAN]), ElementType::I64, 0, "NaN"),
            (f64s(&[1e300]), ElementType::I64, 0, "1e300"),
            (Data::I64(Cow::Owned(vec![300])), ElementType::U8, 0, "300"),
            (Data::I64(Cow::Owned(vec![(1 << 24) + 1])), ElementType::F32, 0, "16777217"),
            (Data::U64(Cow::Owned(vec![u64::MAX])), ElementType::F64, 0, "18446744073709551615"),
            (Data::Bool(Cow::Owned(vec![true])), ElementType::F32, 0, "a bool"),
            (Data::F32(Cow::Owned(vec![1.0])), ElementType::String, 0, "a float"),
        ];
        for (from, wanted, index, found) in cases {
            let error = from.convert(wanted).unwrap_err();
            assert_eq!((error.index, error.wanted), (index, wanted));
            let found_text = if found == "1e300" { f64::to_string(&1e300) } else { found.into() };
            assert_eq!(error.found, found_text);
        }
    }

    #[test]
    fn not_a_number_stays_so_between_float_types() {
        let Ok(Data::F32(values)) = f64s(&[f64::NAN]).convert(ElementType::F32) else {
            panic!("NaN must convert");
        };
        assert!(values[0].is_nan());
    }
}
