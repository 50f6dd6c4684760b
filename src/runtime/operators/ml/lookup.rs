//! `LabelEncoder` and `CategoryMapper`: each value becomes the one that stands beside it in a list.

use super::attributes::Attributes;
use super::kernel::{Kernel, Wire, elements, tensor};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// What is looked up, and where in the list of values it leads.
#[derive(Debug)]
enum Keys {
    Texts(HashMap<String, usize>),
    Integers(HashMap<i64, usize>),
    /// By their bits: NaN is a key like others, and both zeros are one.
    Floats(HashMap<u64, usize>),
}

/// A list of keys and the values for them, with another value for what is in no list.
#[derive(Debug)]
struct Table {
    keys: Keys,
    values: Tensor,
    /// A tensor of one element.
    fallback: Tensor,
}

fn bits(value: f64) -> u64 {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    value.to_bits()
}

impl Keys {
    fn places(&self, input: &Tensor) -> TractResult<Vec<Option<usize>>> {
        Ok(match self {
            Keys::Texts(keys) => {
                elements::<String>(input)?.iter().map(|text| keys.get(text).copied()).collect()
            }
            Keys::Integers(keys) => {
                let integers = input.cast_to::<i64>()?;
                let integers = elements::<i64>(&integers)?.iter();
                integers.map(|integer| keys.get(integer).copied()).collect()
            }
            Keys::Floats(keys) => {
                let floats = input.cast_to::<f64>()?;
                let floats = elements::<f64>(&floats)?.iter();
                floats.map(|float| keys.get(&bits(*float)).copied()).collect()
            }
        })
    }

    fn takes(&self, element: DatumType) -> bool {
        match self {
            Keys::Texts(_) => element == DatumType::String,
            Keys::Integers(_) => element.is_integer(),
            Keys::Floats(_) => element.is_float(),
        }
    }
}

impl Table {
    fn look_up(&self, input: &Tensor) -> TractResult<Tensor> {
        let places = self.keys.places(input)?;
        let shape = input.shape();
        let element = self.values.datum_type();
        if element == DatumType::String {
            self.pick::<String>(shape, &places)
        } else if element == DatumType::I64 {
            self.pick::<i64>(shape, &places)
        } else if element == DatumType::I32 {
            self.pick::<i32>(shape, &places)
        } else if element == DatumType::I16 {
            self.pick::<i16>(shape, &places)
        } else if element == DatumType::F32 {
            self.pick::<f32>(shape, &places)
        } else if element == DatumType::F64 {
            self.pick::<f64>(shape, &places)
        } else {
            bail!("values of type {element:?} are not among those of the specification")
        }
    }

    fn pick<T: Datum>(&self, shape: &[usize], places: &[Option<usize>]) -> TractResult<Tensor> {
        let values = elements::<T>(&self.values)?;
        let fallback = elements::<T>(&self.fallback)?.first().context("there is no default")?;
        let picked = places.iter().map(|place| match place {
            Some(place) => values.get(*place).unwrap_or(fallback).clone(),
            None => fallback.clone(),
        });
        tensor(shape, picked.collect())
    }
}

/// The first of equal keys counts.
fn first_wins<K: Hash + Eq>(keys: impl IntoIterator<Item = K>) -> HashMap<K, usize> {
    let mut places = HashMap::new();
    for (place, key) in keys.into_iter().enumerate() {
        places.entry(key).or_insert(place);
    }
    places
}

/// The last of equal keys counts.
fn last_wins<K: Hash + Eq>(keys: impl IntoIterator<Item = K>) -> HashMap<K, usize> {
    keys.into_iter().enumerate().map(|(place, key)| (key, place)).collect()
}

/// Several tables, of which the first that takes the input's type is used.
#[derive(Debug)]
struct Lookup {
    name: &'static str,
    tables: Vec<Table>,
}

impl Lookup {
    fn table(&self, element: DatumType) -> TractResult<&Table> {
        let table = self.tables.iter().find(|table| table.keys.takes(element));
        table.with_context(|| format!("the keys have another type than the input, {element:?}"))
    }
}

impl Kernel for Lookup {
    fn name(&self) -> &'static str {
        self.name
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let element = self.table(input.element)?.values.datum_type();
        Ok(tvec!(Wire { element, shape: input.shape.clone() }))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        Ok(tvec!(self.table(input.datum_type())?.look_up(input)?))
    }
}

fn one<T: Datum>(value: T) -> TractResult<Tensor> {
    tensor(&[1], vec![value])
}

fn list<T: Datum>(values: Vec<T>) -> TractResult<Tensor> {
    tensor(&[values.len()], values)
}

/// Text to number and number to text, by the same two lists.
fn both_ways(
    name: &'static str,
    texts: Vec<String>,
    integers: Vec<i64>,
    attributes: Attributes<'_>,
) -> TractResult<Arc<dyn Kernel>> {
    ensure!(texts.len() == integers.len(), "the two lists of categories differ in length");
    let text = attributes.text("default_string")?.unwrap_or_else(|| "_Unused".to_owned());
    let integer = attributes.int("default_int64")?.unwrap_or(-1);
    let to_integers = Table {
        keys: Keys::Texts(last_wins(texts.clone())),
        values: list(integers.clone())?,
        fallback: one(integer)?,
    };
    let to_texts = Table {
        keys: Keys::Integers(last_wins(integers)),
        values: list(texts)?,
        fallback: one(text)?,
    };
    Ok(Arc::new(Lookup { name, tables: vec![to_integers, to_texts] }))
}

pub(super) fn category_mapper(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let texts = attributes.texts("cats_strings")?;
    let integers = attributes.ints("cats_int64s")?.to_vec();
    both_ways("CategoryMapper", texts, integers, attributes)
}

pub(super) fn label_encoder(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let classes = attributes.texts("classes_strings")?;
    if !classes.is_empty() {
        // Version 1: a class is its place in the list.
        let places = (0..classes.len() as i64).collect();
        return both_ways("LabelEncoder", classes, places, attributes);
    }
    let keys = keys(attributes)?;
    let (values, fallback) = values(attributes)?;
    ensure!(
        values.len() == keys.1,
        "there are {} keys and {} values for them",
        keys.1,
        values.len()
    );
    ensure!(values.datum_type() == fallback.datum_type(), "the default has another type");
    let table = Table { keys: keys.0, values, fallback };
    Ok(Arc::new(Lookup { name: "LabelEncoder", tables: vec![table] }))
}

fn keys(attributes: Attributes<'_>) -> TractResult<(Keys, usize)> {
    if let Some(tensor) = attributes.tensor("keys_tensor")? {
        let length = tensor.len();
        let element = tensor.datum_type();
        let keys = if element == DatumType::String {
            Keys::Texts(first_wins(elements::<String>(&tensor)?.to_vec()))
        } else if element.is_integer() {
            Keys::Integers(first_wins(elements::<i64>(&*tensor.cast_to::<i64>()?)?.to_vec()))
        } else {
            let floats = tensor.cast_to::<f64>()?;
            Keys::Floats(first_wins(elements::<f64>(&floats)?.iter().map(|float| bits(*float))))
        };
        return Ok((keys, length));
    }
    let texts = attributes.texts("keys_strings")?;
    if !texts.is_empty() {
        let length = texts.len();
        return Ok((Keys::Texts(first_wins(texts)), length));
    }
    let integers = attributes.ints("keys_int64s")?;
    if !integers.is_empty() {
        return Ok((Keys::Integers(first_wins(integers.to_vec())), integers.len()));
    }
    let floats = attributes.floats("keys_floats")?;
    ensure!(!floats.is_empty(), "there are no keys");
    let places = first_wins(floats.iter().map(|float| bits(f64::from(*float))));
    Ok((Keys::Floats(places), floats.len()))
}

/// The values and the default for them.
fn values(attributes: Attributes<'_>) -> TractResult<(Tensor, Tensor)> {
    let default_text = || -> TractResult<Tensor> {
        one(attributes.text("default_string")?.unwrap_or_else(|| "_Unused".to_owned()))
    };
    let default_integer = || one(attributes.int("default_int64")?.unwrap_or(-1));
    let default_float = || one(attributes.float("default_float")?.unwrap_or(-0.0));
    if let Some(values) = attributes.tensor("values_tensor")? {
        if let Some(fallback) = attributes.tensor("default_tensor")? {
            return Ok((values, fallback));
        }
        let element = values.datum_type();
        let fallback = if element == DatumType::String {
            default_text()?
        } else if element.is_integer() {
            default_integer()?.cast_to_dt(element)?.into_owned()
        } else {
            default_float()?.cast_to_dt(element)?.into_owned()
        };
        return Ok((values, fallback));
    }
    let texts = attributes.texts("values_strings")?;
    if !texts.is_empty() {
        return Ok((list(texts)?, default_text()?));
    }
    let integers = attributes.ints("values_int64s")?;
    if !integers.is_empty() {
        return Ok((list(integers.to_vec())?, default_integer()?));
    }
    Ok((list(attributes.floats("values_floats")?.to_vec())?, default_float()?))
}
