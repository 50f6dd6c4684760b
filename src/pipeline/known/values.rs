//! Values of known answers between JSON and tensors: exact for whole numbers, `null` for NaN.

use crate::tensor::{Data, ElementType};
use half::f16;
use serde_json::Value;
use std::borrow::Cow;

/// Lists within lists: as deep as requests may nest.
const NESTING_MAX: usize = 8;

/// The elements of a value and the lengths of its lists, outermost first.
pub(super) fn read(
    value: &Value,
    element: Option<ElementType>,
) -> Result<(Data<'static>, Vec<usize>), String> {
    let (mut flat, mut shape) = (Vec::new(), Vec::new());
    flatten(value, 0, &mut flat, &mut shape)?;
    let element = element.unwrap_or_else(|| match flat.first() {
        Some(Value::String(_)) => ElementType::String,
        Some(Value::Bool(_)) => ElementType::Bool,
        Some(Value::Number(number)) if !number.is_f64() => ElementType::I64,
        Some(Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_)) | None => {
            ElementType::F64
        }
    });
    Ok((data(&flat, element)?, shape))
}

fn flatten<'v>(
    value: &'v Value,
    depth: usize,
    flat: &mut Vec<&'v Value>,
    shape: &mut Vec<usize>,
) -> Result<(), String> {
    let Value::Array(values) = value else {
        flat.push(value);
        return if depth == shape.len() { Ok(()) } else { Err("its lists are ragged".into()) };
    };
    if NESTING_MAX <= depth {
        return Err(format!("it has more than {NESTING_MAX} lists within lists"));
    }
    if shape.len() == depth {
        // Only on the way down to the first value: later lists must be as long.
        if flat.is_empty() {
            shape.push(values.len())
        } else {
            return Err("its lists are ragged".into());
        }
    } else if shape[depth] != values.len() {
        return Err("its lists are ragged".into());
    }
    values.iter().try_for_each(|value| flatten(value, depth + 1, flat, shape))
}

fn data(flat: &[&Value], element: ElementType) -> Result<Data<'static>, String> {
    let wrong = |value: &Value| format!("{value} is no value of type {element}");
    fn each<T>(
        flat: &[&Value],
        of: impl Fn(&Value) -> Option<T>,
        wrong: impl Fn(&Value) -> String,
    ) -> Result<Cow<'static, [T]>, String>
    where
        [T]: ToOwned<Owned = Vec<T>>,
    {
        let values = flat.iter().map(|value| of(value).ok_or_else(|| wrong(value)));
        values.collect::<Result<Vec<T>, String>>().map(Cow::Owned)
    }
    macro_rules! integers {
        ($variant:ident) => {
            Data::$variant(each(flat, |value| integer(value)?.try_into().ok(), wrong)?)
        };
    }
    Ok(match element {
        ElementType::Bool => Data::Bool(each(flat, Value::as_bool, wrong)?),
        ElementType::F16 => Data::F16(each(flat, |value| float(value).map(f16::from_f64), wrong)?),
        ElementType::F32 => Data::F32(each(flat, |value| float(value).map(|it| it as f32), wrong)?),
        ElementType::F64 => Data::F64(each(flat, float, wrong)?),
        ElementType::I8 => integers!(I8),
        ElementType::I16 => integers!(I16),
        ElementType::I32 => integers!(I32),
        ElementType::I64 => integers!(I64),
        ElementType::String => {
            Data::String(each(flat, |value| value.as_str().map(str::to_owned), wrong)?)
        }
        ElementType::U8 => integers!(U8),
        ElementType::U16 => integers!(U16),
        ElementType::U32 => integers!(U32),
        ElementType::U64 => integers!(U64),
    })
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

/// A number; NaN for `null`, as answers have it.
fn float(value: &Value) -> Option<f64> {
    if value.is_null() { Some(f64::NAN) } else { value.as_f64() }
}

/// The elements as a flat list.
pub(super) fn write(data: &Data<'_>) -> Value {
    fn list<T: Clone>(values: &[T], of: impl Fn(T) -> Value) -> Value {
        Value::Array(values.iter().cloned().map(of).collect())
    }
    match data {
        Data::Bool(values) => list(values, Value::from),
        Data::F16(values) => list(values, |value| Value::from(value.to_f64())),
        Data::F32(values) => list(values, |value| Value::from(f64::from(value))),
        Data::F64(values) => list(values, Value::from),
        Data::I8(values) => list(values, Value::from),
        Data::I16(values) => list(values, Value::from),
        Data::I32(values) => list(values, Value::from),
        Data::I64(values) => list(values, Value::from),
        Data::String(values) => list(values, Value::from),
        Data::U8(values) => list(values, Value::from),
        Data::U16(values) => list(values, Value::from),
        Data::U32(values) => list(values, Value::from),
        Data::U64(values) => list(values, Value::from),
    }
}

/// The place at which values are farthest from what they should be.
pub(super) struct Off {
    /// `None` when there are more or fewer of them.
    pub(super) place: Option<usize>,
    pub(super) expected: String,
    pub(super) found: String,
    /// How far apart the two are, if they are numbers.
    pub(super) apart: Option<f64>,
    /// How many values are not what they should be.
    pub(super) count: usize,
}

/// Compares an output with what it should be: floats by `is_close`, everything else exactly.
pub(super) fn farthest_off(
    expected: &Value,
    found: &Data<'_>,
    is_close: impl Fn(f64, f64) -> bool,
) -> Option<Off> {
    let mut flat = Vec::new();
    leaves(expected, 0, &mut flat);
    if flat.len() != found.len() {
        let count = flat.len().max(found.len());
        let (expected, found) = (format!("{} values", flat.len()), format!("{}", found.len()));
        return Some(Off { place: None, expected, found, apart: None, count });
    }
    let Value::Array(written) = write(found) else { return None };
    let floats = matches!(found, Data::F16(_) | Data::F32(_) | Data::F64(_));
    let mut farthest: Option<(usize, Option<f64>)> = None;
    let mut count = 0;
    for (place, (expected, found)) in flat.iter().zip(&written).enumerate() {
        let numbers = float(expected).zip(float(found));
        let same = match (floats, numbers) {
            (true, Some((expected, found))) => is_close(expected, found),
            (_, _) => *expected == found,
        };
        if same {
            continue;
        }
        count += 1;
        let apart = numbers.map(|(expected, found)| (expected - found).abs());
        let apart = apart.filter(|apart| apart.is_finite());
        // Where one is no number, nothing is farther.
        let distance = |apart: Option<f64>| apart.unwrap_or(f64::INFINITY);
        if farthest.is_none_or(|(_, most)| distance(apart) > distance(most)) {
            farthest = Some((place, apart));
        }
    }
    let (place, apart) = farthest?;
    let (expected, found) = (flat[place].to_string(), written[place].to_string());
    Some(Off { place: Some(place), expected, found, apart, count })
}

fn leaves<'v>(value: &'v Value, depth: usize, flat: &mut Vec<&'v Value>) {
    if let Value::Array(values) = value
        && depth < NESTING_MAX
    {
        values.iter().for_each(|value| leaves(value, depth + 1, flat));
    } else {
        flat.push(value);
    }
}
