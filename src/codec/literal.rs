//! Numbers, texts and lists as JSON, in the spelling of the original.

use crate::tensor::Data;
use serde::Serialize;
use std::ops::Range;

/// From here on floats are printed with an exponent.
const EXPONENT_FROM: f64 = 1e16;

/// Below this, and with it between the printers' own limit for 32 bits, 1e-6, and that of the
/// original, floats are printed with an exponent.
const EXPONENT_BELOW: f32 = 1e-5;

/// How a 32-bit float between 1e-6 and 1e-5 is printed before it gets its exponent.
const FIVE_ZEROS: &str = "0.00000";

/// Items between brackets and commas.
pub(super) fn list<T>(out: &mut Vec<u8>, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    separated(out, items, &mut item);
    out.push(b']');
}

fn separated<T>(out: &mut Vec<u8>, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
    for (index, value) in items.iter().enumerate() {
        if 0 < index {
            out.push(b',');
        }
        item(out, value);
    }
}

/// The values of a range with commas between them, each in the shortest form that reads back
/// the same in its own type.
///
/// # Panics
/// When the range is not inside the data: the caller has checked the shape.
pub(super) fn values(out: &mut Vec<u8>, data: &Data<'_>, range: Range<usize>) {
    match data {
        Data::Bool(values) => separated(out, &values[range], json),
        Data::F16(values) => separated(out, &values[range], |out, half| {
            // No printer knows 16 bits: the 32-bit form reads back as the same half.
            float32(out, half.to_f32());
        }),
        Data::F32(values) => separated(out, &values[range], |out, value| float32(out, *value)),
        Data::F64(values) => separated(out, &values[range], |out, value| float(out, *value)),
        Data::I8(values) => separated(out, &values[range], json),
        Data::I16(values) => separated(out, &values[range], json),
        Data::I32(values) => separated(out, &values[range], json),
        Data::I64(values) => separated(out, &values[range], json),
        Data::String(values) => separated(out, &values[range], json),
        Data::U8(values) => separated(out, &values[range], json),
        Data::U16(values) => separated(out, &values[range], json),
        Data::U32(values) => separated(out, &values[range], json),
        Data::U64(values) => separated(out, &values[range], json),
    }
}

/// A float as the original prints it: with `.0` when whole, with an exponent below 1e-5 and from
/// 1e16 on; NaN and infinities, which JSON does not have, become `null`.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return out.extend_from_slice(b"null");
    }
    let mut buffer = zmij::Buffer::new();
    let printed = buffer.format_finite(value);
    // zmij writes `1e+16`; the original, and this form, have no plus.
    let plus = if EXPONENT_FROM <= value.abs() { printed.split_once('+') } else { None };
    let (digits, exponent) = plus.unwrap_or((printed, ""));
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(exponent.as_bytes());
}

/// As [`float`], in the shortest form for 32 bits: `0.99300325`, `3.5226062e-6`.
pub(super) fn float32(out: &mut Vec<u8>, value: f32) {
    if !value.is_finite() {
        return out.extend_from_slice(b"null");
    }
    let mut buffer = zmij::Buffer::new();
    let printed = buffer.format_finite(value);
    if value.abs() < EXPONENT_BELOW
        && let Some((sign, digits)) = printed.split_once(FIVE_ZEROS)
    {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return out.extend_from_slice(format!("{sign}{first}{point}{rest}e-6").as_bytes());
    }
    let (digits, exponent) = printed.split_once('+').unwrap_or((printed, ""));
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(exponent.as_bytes());
}

/// A string, an integer or a truth value.
#[expect(clippy::expect_used, reason = "memory does not refuse a write, nor these types a form")]
pub(super) fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a plain value is written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_printed_as_the_original_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.00007667174941161647, "0.00007667174941161647"),
            (8.822828535468008e-13, "8.822828535468008e-13"),
            (1e-5, "0.00001"),
            (9.5e-6, "9.5e-6"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e16"),
            (-2.5e17, "-2.5e17"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1.5e300, "1.5e300"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ];
        for (value, text) in cases {
            assert_eq!(printed(|out| float(out, value)), text);
        }
    }

    #[test]
    fn narrow_floats_are_shortest_for_their_own_width() {
        let cases = [
            (0.993_003_25, "0.99300325"),
            (718_013.7, "718013.7"),
            (0.000_047_591_115, "0.000047591115"),
            (1e-5, "0.00001"),
            (3.522_606_2e-6, "3.5226062e-6"),
            (-9.5e-6, "-9.5e-6"),
            (1e-6, "1e-6"),
            (1e-7, "1e-7"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (2900.0, "2900.0"),
            (1e13, "1e13"),
            (f32::MAX, "3.4028235e38"),
            (f32::INFINITY, "null"),
            (f32::NAN, "null"),
        ];
        for (value, text) in cases {
            assert_eq!(printed(|out| float32(out, value)), text);
            assert!(text == "null" || text.parse() == Ok(value), "{text}");
        }
    }
}
