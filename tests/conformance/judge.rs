//! Whether an answer is the expected one, by the measure of the `onnx` package's own runner.

use potoroo::tensor::{Data, Tensor};

/// Relative and absolute tolerance of the `onnx` package's runner.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// What differs between the two, if anything does.
pub(crate) fn difference(found: &[Tensor<'_>], expected: &[Tensor<'_>]) -> Option<String> {
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
        let (place, is, wanted) = first_off(found.data(), expected.data())?;
        Some(format!("output {index} at {place}: {is} instead of {wanted}"))
    })
}

fn first_off(found: &Data<'_>, expected: &Data<'_>) -> Option<(usize, String, String)> {
    match (numbers(found), numbers(expected)) {
        (Some(found), Some(expected)) => {
            let place =
                found.iter().zip(&expected).position(|(is, wanted)| !close(*is, *wanted))?;
            Some((place, found[place].to_string(), expected[place].to_string()))
        }
        _ if found == expected => None,
        _ => Some((0, format!("{found:.200?}"), format!("{expected:.200?}"))),
    }
}

fn close(found: f64, expected: f64) -> bool {
    found == expected
        || found.is_nan() && expected.is_nan()
        || (found - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs()
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
