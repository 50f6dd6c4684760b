//! One value of JSON as one element of a tensor: exact, or refused.

use super::cursor::{Cursor, Number};
use super::fault::{Fault, What};
use crate::codec::base64;
use half::f16;
use std::str::FromStr;

/// Integers below this are exact in `f64`; `1e3` is read as an integer by it.
const EXACT_INTEGER_END: f64 = 9_007_199_254_740_992.0;

/// An element type that can be read from a JSON value.
pub(super) trait Cell: Sized {
    /// Reads the value that begins at the cursor.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault>;

    /// Reads a value that stands for a whole list, onto the end of `values`, which may grow to
    /// `room` values; how many it was, or `None` when the next value is no such.
    fn read_run(
        _cursor: &mut Cursor<'_>,
        _values: &mut Vec<Self>,
        _room: usize,
    ) -> Result<Option<usize>, Fault> {
        Ok(None)
    }
}

#[inline]
fn number<'t>(cursor: &mut Cursor<'t>) -> Result<Number<'t>, Fault> {
    match &cursor.text.as_bytes()[cursor.at..] {
        // Python writes `-Infinity`.
        [b'-', b'I', ..] => Err(cursor.no_such_value()),
        [b'0'..=b'9' | b'-', ..] => cursor.number(),
        [..] => Err(cursor.no_such_value()),
    }
}

macro_rules! float_cells {
    ($($float:ty: $at_once:ident),*) => {$(
        impl Cell for $float {
            #[inline]
            fn read(cursor: &mut Cursor<'_>) -> Result<$float, Fault> {
                let number = number(cursor)?;
                if let Some(value) = number.decimal.$at_once() {
                    return Ok(value);
                }
                match number.digits.parse::<$float>() {
                    Ok(value) if value.is_finite() => Ok(value),
                    Ok(_) | Err(_) => Err(Fault::new(What::OutOfRange, number.at)),
                }
            }
        }
    )*};
}

float_cells!(f32: to_f32, f64: to_f64);

impl Cell for f16 {
    fn read(cursor: &mut Cursor<'_>) -> Result<f16, Fault> {
        let at = cursor.at;
        let value = f16::from_f64(f64::read(cursor)?);
        if value.is_finite() { Ok(value) } else { Err(Fault::new(What::OutOfRange, at)) }
    }
}

macro_rules! integer_cells {
    ($($integer:ty),*) => {$(
        impl Cell for $integer {
            fn read(cursor: &mut Cursor<'_>) -> Result<$integer, Fault> {
                integer(number(cursor)?)
            }
        }
    )*};
}

integer_cells!(i8, i16, i32, i64, u16, u32, u64);

impl Cell for u8 {
    fn read(cursor: &mut Cursor<'_>) -> Result<u8, Fault> {
        integer(number(cursor)?)
    }

    /// A string is base64 of bytes, as images are sent.
    fn read_run(
        cursor: &mut Cursor<'_>,
        values: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<usize>, Fault> {
        if cursor.peek() != Some(b'"') {
            return Ok(None);
        }
        let (start, before) = (cursor.at, values.len());
        let text = cursor.string()?;
        if room.saturating_sub(before) < base64::most_bytes_in(text.len()) {
            return Err(Fault::new(What::ManyValues, start));
        }
        if !base64::decode_onto(values, text.as_bytes()) {
            return Err(Fault::new(What::NotBase64, start));
        }
        Ok(Some(values.len() - before))
    }
}

/// The digits as an integer; a fraction of zero and an exponent are fine, a change of value not.
fn integer<T: FromStr + TryFrom<i64>>(number: Number<'_>) -> Result<T, Fault> {
    if let Ok(value) = number.digits.parse() {
        return Ok(value);
    }
    let refused = Fault::new(What::OutOfRange, number.at);
    if number.digits.contains(['e', 'E']) {
        let value: f64 = number.digits.parse().map_err(|_| refused)?;
        let exact = value.fract() == 0.0 && value.abs() < EXACT_INTEGER_END;
        return if exact { T::try_from(value as i64).map_err(|_| refused) } else { Err(refused) };
    }
    match number.digits.split_once('.').unwrap_or((number.digits, "")) {
        (_, fraction) if fraction.bytes().any(|digit| digit != b'0') => Err(refused),
        ("-0", _) => T::try_from(0).map_err(|_| refused),
        (whole, _) => whole.parse().map_err(|_| refused),
    }
}

impl Cell for bool {
    fn read(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        if cursor.take_word("true") {
            Ok(true)
        } else if cursor.take_word("false") {
            Ok(false)
        } else {
            Err(cursor.no_such_value())
        }
    }
}

impl Cell for String {
    fn read(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
        match cursor.peek() {
            Some(b'"') => Ok(cursor.string()?.into_owned()),
            Some(_) | None => Err(cursor.no_such_value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Cell>(text: &str) -> Result<T, What> {
        T::read(&mut Cursor::new(text)).map_err(|fault| fault.what)
    }

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(read("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(read("1.0"), Ok(1_i64));
        assert_eq!(read("1e3"), Ok(1000_u16));
        assert_eq!(read("-0"), Ok(0_u8));
        assert_eq!(read::<i64>("1.5"), Err(What::OutOfRange));
        assert_eq!(read::<u8>("300"), Err(What::OutOfRange));
        assert_eq!(read::<u8>("-1"), Err(What::OutOfRange));
        assert_eq!(read::<i64>("9223372036854775808"), Err(What::OutOfRange));
        assert_eq!(read("9007199254740993.0"), Ok(9_007_199_254_740_993_i64), "no way by f64");
        assert_eq!(read("-0.00"), Ok(0_u8));
        assert_eq!(read::<i64>("1.00000000000000000001"), Err(What::OutOfRange));
        assert_eq!(read::<i64>("9.007199254740993e15"), Err(What::OutOfRange), "f64 rounds it");
    }

    #[test]
    fn floats_round_once_and_never_become_infinite() {
        // Between two f32; through f64 first, it would round down to the even one.
        assert_eq!(read("1.00000017881393432617187499"), Ok(1.000_000_1_f32));
        assert_eq!(read("0.1"), Ok(0.1_f64));
        assert_eq!(read::<f32>("1e39"), Err(What::OutOfRange));
        assert_eq!(read::<f64>("1e400"), Err(What::OutOfRange));
        assert_eq!(read::<f16>("65520"), Err(What::OutOfRange));
        assert_eq!(read("1e-400"), Ok(0.0_f64));
    }

    #[test]
    fn another_type_is_not_converted() {
        assert_eq!(read::<f32>("\"1\""), Err(What::WrongType));
        assert_eq!(read::<f32>("true"), Err(What::WrongType));
        assert_eq!(read::<bool>("1"), Err(What::WrongType));
        assert_eq!(read::<String>("1"), Err(What::WrongType));
        assert_eq!(read::<i64>("null"), Err(What::Null));
        assert_eq!(read::<i64>("nul"), Err(What::Syntax("a value")));
        for literal in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(read::<f32>(literal), Err(What::NotANumber), "{literal}");
        }
        assert_eq!(read::<f32>("-Inf"), Err(What::Syntax("a digit")));
    }
}
