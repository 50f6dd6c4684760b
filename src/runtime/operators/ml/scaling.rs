//! `Scaler`, `Normalizer`, `Binarizer` and `Imputer`: each value of a row becomes another one.

use super::attributes::Attributes;
use super::kernel::{Kernel, Wire, elements, number, rows_and_columns, tensor};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

#[derive(Debug)]
struct Scaler {
    offsets: Vec<f32>,
    scales: Vec<f32>,
}

pub(super) fn scaler(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let mut offsets = attributes.floats("offset")?.to_vec();
    let mut scales = attributes.floats("scale")?.to_vec();
    // Either may be left out, by the specification.
    let length = offsets.len().max(scales.len());
    ensure!(length > 0, "scale and offset are both missing");
    if offsets.is_empty() {
        offsets = vec![0.0; length];
    }
    if scales.is_empty() {
        scales = vec![1.0; length];
    }
    ensure!(offsets.len() == scales.len(), "scale and offset differ in length");
    Ok(Arc::new(Scaler { offsets, scales }))
}

impl Kernel for Scaler {
    fn name(&self) -> &'static str {
        "Scaler"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        if let ([input], true) = (inputs, self.scales.len() > 1) {
            input.rows_of(self.scales.len())?;
        }
        floats_like(inputs)
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (input, columns) = shaped(inputs)?;
        let length = self.scales.len();
        ensure!(
            length == columns || length == 1,
            "a row has {columns} values, and there are {length} scales"
        );
        let scales = self.offsets.iter().zip(&self.scales).cycle();
        let scaled: Vec<f32> = if input.datum_type() == DatumType::F64 {
            let scale = |(value, (offset, scale)): (&f64, (&f32, &f32))| {
                ((value - f64::from(*offset)) * f64::from(*scale)) as f32
            };
            elements::<f64>(input)?.iter().zip(scales).map(scale).collect()
        } else {
            let scale = |(value, (offset, scale)): (&f32, (&f32, &f32))| (value - offset) * scale;
            elements::<f32>(&*input.cast_to::<f32>()?)?.iter().zip(scales).map(scale).collect()
        };
        Ok(tvec!(tensor(input.shape(), scaled)?))
    }
}

#[derive(Debug, Clone, Copy)]
enum Normalizer {
    Largest,
    Sum,
    Length,
}

pub(super) fn normalizer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(match attributes.text("norm")?.as_deref() {
        None | Some("MAX") => Normalizer::Largest,
        Some("L1") => Normalizer::Sum,
        Some("L2") => Normalizer::Length,
        Some(other) => bail!("norm `{other}` is unknown"),
    }))
}

impl Kernel for Normalizer {
    fn name(&self) -> &'static str {
        "Normalizer"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        floats_like(inputs)
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (input, columns) = shaped(inputs)?;
        let mut values = elements::<f32>(&*input.cast_to::<f32>()?)?.to_vec();
        for row in values.chunks_exact_mut(columns.max(1)) {
            let norm = match self {
                Normalizer::Largest => row.iter().copied().fold(f32::MIN, f32::max),
                Normalizer::Sum => row.iter().map(|value| value.abs()).sum(),
                Normalizer::Length => row.iter().map(|value| value * value).sum::<f32>().sqrt(),
            };
            if norm != 0.0 {
                row.iter_mut().for_each(|value| *value /= norm);
            }
        }
        Ok(tvec!(tensor(input.shape(), values)?))
    }
}

#[derive(Debug)]
struct Binarizer {
    threshold: f32,
}

pub(super) fn binarizer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Binarizer { threshold: attributes.float("threshold")?.unwrap_or(0.0) }))
}

impl Kernel for Binarizer {
    fn name(&self) -> &'static str {
        "Binarizer"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        Ok(tvec!(input.clone()))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let input = &inputs[0];
        if input.datum_type() == DatumType::F32 {
            let bits =
                elements::<f32>(input)?.iter().map(|value| f32::from(*value > self.threshold));
            return Ok(tvec!(tensor(input.shape(), bits.collect::<Vec<f32>>())?));
        }
        let threshold = f64::from(self.threshold);
        let wide = input.cast_to::<f64>()?;
        let bits = elements::<f64>(&wide)?.iter().map(|value| f32::from(*value > threshold));
        let bits = tensor(input.shape(), bits.collect::<Vec<f32>>())?;
        Ok(tvec!(bits.cast_to_dt(input.datum_type())?.into_owned()))
    }
}

#[derive(Debug)]
struct Imputer {
    floats: Vec<f32>,
    replaced_float: f32,
    integers: Vec<i64>,
    replaced_integer: i64,
}

pub(super) fn imputer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let imputer = Imputer {
        floats: attributes.floats("imputed_value_floats")?.to_vec(),
        replaced_float: attributes.float("replaced_value_float")?.unwrap_or(0.0),
        integers: attributes.ints("imputed_value_int64s")?.to_vec(),
        replaced_integer: attributes.int("replaced_value_int64")?.unwrap_or(0),
    };
    ensure!(
        imputer.floats.is_empty() != imputer.integers.is_empty(),
        "there should be either imputed_value_floats or imputed_value_int64s"
    );
    Ok(Arc::new(imputer))
}

impl Kernel for Imputer {
    fn name(&self) -> &'static str {
        "Imputer"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        let floats = matches!(input.element, DatumType::F32 | DatumType::F64);
        ensure!(
            floats != self.floats.is_empty(),
            "the values to impute have another type than the input, {:?}",
            input.element
        );
        Ok(tvec!(input.clone()))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (input, columns) = shaped(inputs)?;
        let imputed = if self.integers.is_empty() {
            let replaced = f64::from(self.replaced_float);
            let wide = input.cast_to::<f64>()?;
            let missing = |value: &f64| *value == replaced || (value.is_nan() && replaced.is_nan());
            let floats: Vec<f64> = self.floats.iter().map(|value| f64::from(*value)).collect();
            tensor(input.shape(), impute(elements::<f64>(&wide)?, &floats, columns, missing))?
        } else {
            let wide = input.cast_to::<i64>()?;
            let missing = |value: &i64| *value == self.replaced_integer;
            let values = impute(elements::<i64>(&wide)?, &self.integers, columns, missing);
            tensor(input.shape(), values)?
        };
        Ok(tvec!(imputed.cast_to_dt(input.datum_type())?.into_owned()))
    }
}

/// One value for each column, or the first for all.
fn impute<T: Copy>(
    values: &[T],
    imputed: &[T],
    columns: usize,
    missing: impl Fn(&T) -> bool,
) -> Vec<T> {
    let each = imputed.len() == columns;
    let place = |index: usize| if each { index % columns } else { 0 };
    let values = values.iter().enumerate();
    values
        .map(|(index, value)| if missing(value) { imputed[place(index)] } else { *value })
        .collect()
}

fn floats_like(inputs: &[Wire]) -> TractResult<TVec<Wire>> {
    let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
    number(input.element)?;
    Ok(tvec!(Wire { element: DatumType::F32, shape: input.shape.clone() }))
}

fn shaped(inputs: &[Arc<Tensor>]) -> TractResult<(&Tensor, usize)> {
    let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
    let (_, columns) = rows_and_columns(input)?;
    Ok((input, columns))
}
