//! Whether an answer is the expected one: by the measure of the `onnx` package's runner, or another.

use potoroo::tensor::{Data, Tensor};

/// Relative and absolute tolerance of the `onnx` package's runner.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// What a float model may be off, relative to the largest value of the output.
const OF_LARGEST: f64 = 1e-4;

/// What a float model may be off where all is near nothing: a probability of a millionth is none.
const NOTHING: f64 = 1e-6;

/// By what an answer is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// As the package's runner does.
    Operator,
    /// Integers of 8 bits may be one step of quantisation off.
    Step,
    /// Whole models sum in another order: values near zero carry the rounding of large ones.
    Model,
}

/// What differs between the two, if anything does.
pub(crate) fn difference(
    found: &[Tensor<'_>],
    expected: &[Tensor<'_>],
    measure: Measure,
) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} outputs instead of {}", found.len(), expected.len()));
    }
    let pairs = found.iter().zip(expected).enumerate();
    pairs.into_iter().find_map(|(index, (found, expected))| {
        if found.element() != expected.element() {
            let (is, wanted) = (found.element(), expected.element());
            return Some(format!("output {index} is of type {is} instead of {wanted}"));
        }
        if found.shape() != expected.shape() {
            let (is, wanted) = (found.shape(), expected.shape());
            return Some(format!("output {index} has the shape {is:?} instead of {wanted:?}"));
        }
        let (place, is, wanted) = first_off(found.data(), expected.data(), measure)?;
        Some(format!("output {index} at {place}: {is} instead of {wanted}"))
    })
}

fn first_off(
    found: &Data<'_>,
    expected: &Data<'_>,
    measure: Measure,
) -> Option<(usize, String, String)> {
    match (numbers(found), numbers(expected)) {
        (Some(found), Some(expected)) => {
            let finite = expected.iter().filter(|value| value.is_finite());
            let largest = finite.fold(0.0_f64, |largest, value| largest.max(value.abs()));
            let slack = |wanted: f64| match measure {
                Measure::Model => OF_LARGEST * largest + NOTHING,
                Measure::Operator | Measure::Step => ABSOLUTE + RELATIVE * wanted.abs(),
            };
            let off = |(is, wanted): (&f64, &f64)| !close(*is, *wanted, slack(*wanted));
            let place = found.iter().zip(&expected).position(off)?;
            Some((place, found[place].to_string(), expected[place].to_string()))
        }
        _ if found == expected => None,
        _ if measure == Measure::Step && bytes(found).is_some() => {
            bytes(found).zip(bytes(expected)).and_then(|(found, expected)| {
                let far = |(is, wanted): (&i16, &i16)| (is - wanted).abs() > 1;
                let place = found.iter().zip(&expected).position(far)?;
                Some((place, found[place].to_string(), expected[place].to_string()))
            })
        }
        _ => Some((0, format!("{found:.200?}"), format!("{expected:.200?}"))),
    }
}

fn close(found: f64, expected: f64, slack: f64) -> bool {
    found == expected || found.is_nan() && expected.is_nan() || (found - expected).abs() <= slack
}

fn bytes(data: &Data<'_>) -> Option<Vec<i16>> {
    match data {
        Data::I8(values) => Some(values.iter().map(|value| i16::from(*value)).collect()),
        Data::U8(values) => Some(values.iter().map(|value| i16::from(*value)).collect()),
        _ => None,
    }
}

/// Floats as doubles; other types must be equal.
fn numbers(data: &Data<'_>) -> Option<Vec<f64>> {
    match data {
        Data::F16(values) => Some(values.iter().map(|value| value.to_f64()).collect()),
        Data::F32(values) => Some(values.iter().map(|value| f64::from(*value)).collect()),
        Data::F64(values) => Some(values.to_vec()),
        _ => None,
    }
}
