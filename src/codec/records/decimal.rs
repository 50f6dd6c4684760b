//! A decimal number to the nearest float: at once where that is provably so, which is nearly always.

/// Digits that a mantissa holds whatever they are.
const MANTISSA_DIGITS_MAX: usize = 19;

/// An exponent of so many digits is beyond every float.
const EXPONENT_DIGITS_END: usize = 9;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The bits that a double has and a float lacks.
const LACKING_BITS: u64 = (1 << 29) - 1;

/// Those of a double that lies in the middle between two floats.
const TIE: u64 = 1 << 28;

/// How near to a tie a double may be off to the wrong side: twice the error of two roundings.
const TIE_MARGIN: u64 = 4;

/// What a number's digits come to, as far as they were taken in while they were scanned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    /// All digits in one row, modulo 2^64.
    mantissa: u64,
    /// How many those are, without zeros before them.
    digits: usize,
    /// The power of ten that the mantissa is to be multiplied by.
    exponent: i32,
}

/// Scans the number that begins here (RFC 8259, section 6): how long it is, and what it comes to.
///
/// # Errors
/// The place where a digit is missing.
#[inline]
pub(super) fn scan(bytes: &[u8]) -> Result<(usize, Decimal), usize> {
    let missing = |rest: &[u8]| bytes.len() - rest.len();
    let (is_negative, start) = match bytes {
        [b'-', after @ ..] => (true, after),
        _ => (false, bytes),
    };
    let mut decimal = Decimal { is_negative, ..Decimal::default() };
    let mut rest = match start {
        // A number has no zeros before it.
        [b'0', after @ ..] => after,
        _ => digits(start, &mut decimal.mantissa),
    };
    if rest.len() == start.len() {
        return Err(missing(rest));
    }
    decimal.digits = if start[0] == b'0' { 0 } else { start.len() - rest.len() };
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction, &mut decimal.mantissa);
        let count = fraction.len() - rest.len();
        if count == 0 {
            return Err(missing(rest));
        }
        decimal.exponent = i32::try_from(count).map_or(i32::MIN, |count| -count);
        decimal.digits += count;
        if decimal.digits == count && count > MANTISSA_DIGITS_MAX {
            decimal.digits -= fraction.iter().take_while(|digit| **digit == b'0').count();
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let (is_negative, start) = match after {
            [b'-', after @ ..] => (true, after),
            [b'+', after @ ..] => (false, after),
            _ => (false, after),
        };
        let mut size = 0;
        rest = digits(start, &mut size);
        let count = start.len() - rest.len();
        if count == 0 {
            return Err(missing(rest));
        }
        let size = if count < EXPONENT_DIGITS_END { size as i32 } else { i32::MAX };
        let exponent = if is_negative { -size } else { size };
        decimal.exponent = decimal.exponent.saturating_add(exponent);
    }
    Ok((missing(rest), decimal))
}

/// Passes digits and puts them behind those of `mantissa`, modulo 2^64.
#[inline]
fn digits<'b>(mut rest: &'b [u8], mantissa: &mut u64) -> &'b [u8] {
    while let Some((bytes, after)) = rest.split_first_chunk()
        && let Some(value) = eight(*bytes)
    {
        *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value);
        rest = after;
    }
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    rest
}

impl Decimal {
    /// The nearest double; `None` where that needs more than one exact step.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        if self.digits > MANTISSA_DIGITS_MAX || self.mantissa > 1 << f64::MANTISSA_DIGITS {
            return None;
        }
        self.scaled()
    }

    /// The nearest float; `None` where a double near the number does not tell which that is.
    ///
    /// The double has two roundings behind it, of the mantissa and of one step by a power of ten.
    /// Unless it lies next to the middle between two floats, the number is on the same side of it.
    #[inline]
    pub(super) fn to_f32(self) -> Option<f32> {
        if self.digits > MANTISSA_DIGITS_MAX {
            return None;
        }
        let near = self.scaled()?;
        let size = near.abs();
        let is_normal = f64::from(f32::MIN_POSITIVE) <= size && size < f64::from(f32::MAX);
        let is_tie = (near.to_bits() & LACKING_BITS).abs_diff(TIE) <= TIE_MARGIN;
        (self.mantissa == 0 || is_normal && !is_tie).then_some(near as f32)
    }

    /// The mantissa, rounded to a double, times or by a power of ten that is exact.
    #[inline]
    fn scaled(self) -> Option<f64> {
        let power = POWERS.get(self.exponent.unsigned_abs() as usize)?;
        let mantissa = self.mantissa as f64;
        let size = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        Some(if self.is_negative { -size } else { size })
    }
}

/// Eight digits at once, or `None` where they are not all digits. Little-endian: the first byte is
/// the lowest.
#[inline]
fn eight(bytes: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let all = u64::from_le_bytes(bytes);
    // Both halves of each byte: 3 above, and below at most 9, which plus 6 does not carry.
    let is_digits = all & HIGH == 0x3030_3030_3030_3030
        && all.wrapping_add(0x0606_0606_0606_0606) & HIGH == 0x3030_3030_3030_3030;
    if !is_digits {
        return None;
    }
    // Pairs, then fours, then all eight: each step multiplies the earlier half and adds the later.
    let ones = all & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Cursor;
    use super::*;
    use crate::random::Random;

    /// How many floats and doubles were had at once; none may differ from the standard library's.
    fn had_at_once(text: &str) -> [usize; 2] {
        let decimal = Cursor::new(text).number().unwrap().decimal;
        let (float, double) = (decimal.to_f32(), decimal.to_f64());
        let bits = text.parse::<f32>().unwrap().to_bits();
        assert!(float.is_none_or(|float| float.to_bits() == bits), "{text} became {float:?}");
        let bits = text.parse::<f64>().unwrap().to_bits();
        assert!(double.is_none_or(|double| double.to_bits() == bits), "{text} became {double:?}");
        [usize::from(float.is_some()), usize::from(double.is_some())]
    }

    #[test]
    fn every_way_to_write_a_float_gives_that_float() {
        let mut numbers = Random(0x9e37_79b9_7f4a_7c15);
        let (mut floats, mut all) = (0, 0);
        for _ in 0..20_000 {
            let float = f32::from_bits(numbers.next() as u32);
            if !float.is_finite() {
                continue;
            }
            let double = f64::from(float);
            let near = f64::from_bits(double.to_bits() ^ (numbers.next() & LACKING_BITS));
            // Halfway to the next float, and a digit beyond: where a rounding too many shows.
            let half = f64::from_bits(double.to_bits() | TIE);
            let texts = [
                format!("{float}"),
                format!("{float:e}"),
                format!("{double}"),
                format!("{near}"),
                format!("{near:e}"),
                format!("{half}"),
                format!("{half}1"),
                format!("{double:.6}"),
            ];
            all += texts.len();
            floats += texts.iter().map(|text| had_at_once(text)[0]).sum::<usize>();
        }
        assert!(floats > all / 10, "{floats} of {all}: not much was tried");
    }

    #[test]
    fn numbers_as_clients_send_them_are_had_at_once() {
        let mut numbers = Random(7);
        let (mut floats, mut doubles) = (0, 0);
        for _ in 0..20_000 {
            let unit = numbers.next() as f64 / u64::MAX as f64;
            let float = ((unit - 0.5) * 8.0) as f32;
            let texts = [format!("{float}"), format!("{}", f64::from(float)), format!("{unit:.6}")];
            for text in &texts {
                floats += had_at_once(text)[0];
            }
            doubles += had_at_once(&texts[2])[1];
        }
        assert!(floats > 59_900 && doubles == 20_000, "{floats} of 60000, {doubles} of 20000");
    }

    #[test]
    fn numbers_at_the_limits_are_those_of_the_standard_library() {
        let cases = [
            "0",
            "-0",
            "0.0",
            "-0e5",
            "1",
            "-1",
            "9007199254740993",
            "9007199254740992",
            "16777217",
            "16777219",
            "1e22",
            "1e23",
            "1e-22",
            "1e-23",
            "3.4028235e38",
            "3.4028236e38",
            "1.17549435e-38",
            "1e-45",
            "7e-46",
            "9999999999999999999",
            "99999999999999999999",
            "18446744073709551616",
            "0.00000000000000000000000000001",
            "1.00000017881393432617187499",
            "1.00000017881393432617187500",
            "1.00000017881393432617187501",
            "1.0000001788139343",
            "0.1e1000000000000",
            "0.1e-1000000000000",
            "1e2147483648",
            "1e-2147483648",
            "0000".trim_start_matches("000"),
        ];
        for text in cases {
            had_at_once(text);
        }
    }

    #[test]
    fn eight_digits_are_read_or_refused() {
        assert_eq!(eight(*b"12345678"), Some(12_345_678));
        assert_eq!(eight(*b"00000000"), Some(0));
        assert_eq!(eight(*b"99999999"), Some(99_999_999));
        for at in 0..8 {
            for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
                let mut bytes = *b"90909090";
                bytes[at] = byte;
                assert_eq!(eight(bytes), None, "{byte} at {at}");
            }
        }
    }
}
