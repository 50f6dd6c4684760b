//! `OneHotEncoder`, `FeatureVectorizer`, `ArrayFeatureExtractor` and `ZipMap`: what stands in which column.

use super::attributes::Attributes;
use super::kernel::{Kernel, Wire, elements, number, rows_and_columns, tensor};
use super::labels::Labels;
use std::collections::HashMap;
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Columns of a vector that features are put into, at most: its width is a number in a file, and
/// 1,024 rows of so many floats take 256 MiB.
const COLUMNS_MAX: i64 = 1 << 16;

#[derive(Debug)]
struct OneHot {
    integers: HashMap<i64, usize>,
    texts: HashMap<String, usize>,
    categories: usize,
    /// What is no category gives zeros, else an error.
    zeros: bool,
}

pub(super) fn one_hot_encoder(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let integers = attributes.ints("cats_int64s")?;
    let texts = attributes.texts("cats_strings")?;
    ensure!(
        integers.is_empty() != texts.is_empty(),
        "there should be either cats_int64s or cats_strings"
    );
    Ok(Arc::new(OneHot {
        categories: integers.len().max(texts.len()),
        integers: integers.iter().enumerate().map(|(place, key)| (*key, place)).collect(),
        texts: texts.into_iter().enumerate().map(|(place, key)| (key, place)).collect(),
        zeros: attributes.int("zeros")?.unwrap_or(1) != 0,
    }))
}

impl Kernel for OneHot {
    fn name(&self) -> &'static str {
        "OneHotEncoder"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        if input.element != DatumType::String {
            number(input.element)?;
        }
        ensure!(
            (input.element == DatumType::String) != self.texts.is_empty(),
            "the categories have another type than the input, {:?}",
            input.element
        );
        let shape = input.shape.iter().cloned().chain([self.categories.to_dim()]);
        Ok(tvec!(Wire::new(DatumType::F32, shape)))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let places: Vec<Option<usize>> = if self.integers.is_empty() {
            elements::<String>(input)?.iter().map(|text| self.texts.get(text).copied()).collect()
        } else {
            let integers = input.cast_to::<i64>()?;
            let integers = elements::<i64>(&integers)?.iter();
            integers.map(|integer| self.integers.get(integer).copied()).collect()
        };
        let mut out = vec![0.0_f32; places.len() * self.categories];
        for (row, place) in out.chunks_exact_mut(self.categories).zip(&places) {
            match place {
                Some(place) => row[*place] = 1.0,
                None => ensure!(self.zeros, "a value is none of the categories"),
            }
        }
        let shape: Vec<usize> = input.shape().iter().copied().chain([self.categories]).collect();
        Ok(tvec!(tensor(&shape, out)?))
    }
}

#[derive(Debug)]
struct Vectorizer {
    widths: Vec<usize>,
}

pub(super) fn feature_vectorizer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let widths = attributes.ints("inputdimensions")?;
    ensure!(!widths.is_empty(), "inputdimensions is missing");
    let mut total = 0_i64;
    for width in widths {
        ensure!((0..=COLUMNS_MAX).contains(width), "an input has {width} columns");
        total += width;
        ensure!(total <= COLUMNS_MAX, "the vector has more than {COLUMNS_MAX} columns");
    }
    Ok(Arc::new(Vectorizer { widths: widths.iter().map(|width| *width as usize).collect() }))
}

impl Kernel for Vectorizer {
    fn name(&self) -> &'static str {
        "FeatureVectorizer"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        ensure!(
            inputs.len() == self.widths.len(),
            "there are {} inputs, and widths for {}",
            inputs.len(),
            self.widths.len()
        );
        inputs.iter().try_for_each(|input| number(input.element))?;
        let (rows, _) = inputs[0].rows_and_columns()?;
        Ok(tvec!(Wire::new(DatumType::F32, [rows, self.widths.iter().sum::<usize>().to_dim()])))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let total = self.widths.iter().sum::<usize>();
        let (rows, _) = rows_and_columns(inputs.first().context("there is no input")?)?;
        let mut out = vec![0.0_f32; rows * total];
        let mut offset = 0;
        for (input, width) in inputs.iter().zip(&self.widths) {
            let (found, columns) = rows_and_columns(input)?;
            ensure!(found == rows, "one input has {rows} rows, and another {found}");
            let values = input.cast_to::<f32>()?;
            // What a row has too few is zero, and what it has too many is passed over.
            let taken = columns.min(*width);
            let values = elements::<f32>(&values)?.chunks_exact(columns.max(1));
            for (row, values) in out.chunks_exact_mut(total.max(1)).zip(values) {
                row[offset..offset + taken].copy_from_slice(&values[..taken]);
            }
            offset += width;
        }
        Ok(tvec!(tensor(&[rows, total], out)?))
    }
}

#[derive(Debug)]
struct Extractor;

pub(super) fn array_feature_extractor(_: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Extractor))
}

impl Kernel for Extractor {
    fn name(&self) -> &'static str {
        "ArrayFeatureExtractor"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input, places] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        let picked: TDim = places.shape.iter().product();
        let mut shape = input.shape.clone();
        *shape.last_mut().context("the input is a single value")? = picked;
        if shape.len() == 1 {
            shape.insert(0, 1.to_dim());
        }
        Ok(tvec!(Wire { element: input.element, shape }))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input, places] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        let columns = *input.shape().last().context("the input is a single value")?;
        let places = places.cast_to::<i64>()?;
        let places = elements::<i64>(&places)?.iter().map(|place| {
            let found = usize::try_from(*place).ok().filter(|place| *place < columns);
            found.with_context(|| format!("column {place} is asked for, of {columns}"))
        });
        let places = places.collect::<TractResult<Vec<usize>>>()?;
        let mut shape = input.shape().to_vec();
        shape.pop();
        shape.push(places.len());
        if shape.len() == 1 {
            shape.insert(0, 1);
        }
        fn pick<T: Datum>(
            input: &Tensor,
            columns: usize,
            places: &[usize],
            shape: &[usize],
        ) -> TractResult<Tensor> {
            let rows = elements::<T>(input)?.chunks_exact(columns.max(1));
            let picked = rows.flat_map(|row| places.iter().map(|place| row[*place].clone()));
            tensor(shape, picked.collect())
        }
        Ok(tvec!(dispatch_datum!(pick(input.datum_type())(input, columns, &places, &shape))?))
    }
}

/// The sequence of maps from label to value that the specification has is no tensor, and no answer
/// could carry it. What it would be made of goes on as it is: a row of values in the order of the
/// labels.
#[derive(Debug)]
struct ZipMap {
    labels: usize,
}

pub(super) fn zip_map(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::read(attributes, "classlabels_int64s")?.len();
    ensure!(labels > 0, "there should be either classlabels_strings or classlabels_int64s");
    Ok(Arc::new(ZipMap { labels }))
}

impl Kernel for ZipMap {
    fn name(&self) -> &'static str {
        "ZipMap"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.element == DatumType::F32, "expected float, found {:?}", input.element);
        let (rows, _) = input.rows_and_columns()?;
        Ok(tvec!(Wire::new(DatumType::F32, [rows, self.labels.to_dim()])))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let (rows, columns) = rows_and_columns(input)?;
        ensure!(columns == self.labels, "{columns} values are for {} labels", self.labels);
        Ok(tvec!(Tensor::clone(input).into_shape(&[rows, columns])?))
    }
}
