//! A product of integers as an operator of tract's graph: rows of integers of 8 bits in, codes, floats or counts out.

use super::super::operator::put;
use crate::runtime::kernels::integers::{Code, Product, Rows};
use crate::runtime::kernels::{Alone, Crew, Gang};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// What stands for zero in the rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zero {
    Known(i32),
    /// By the place of the input that has it.
    Given(usize),
}

/// What is made of the counts.
#[derive(Debug)]
pub(super) enum Made {
    Counts,
    /// In steps for each column, from this zero point.
    Codes {
        steps: Vec<f32>,
        code: i32,
    },
    /// Times factors, which an input has where it is told, plus what is added to each column where
    /// something is, and no less than `least`.
    Floats {
        factors: Vec<f32>,
        given: Option<usize>,
        added: Vec<f32>,
        least: f32,
    },
}

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) product: Product,
    pub(super) zero: Zero,
    pub(super) made: Made,
}

/// A product of integers, and what it makes.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Counted {
    parts: Arc<Parts>,
    fact: TypedFact,
}

impl Counted {
    /// Puts this in the place of all that lies between these inputs and the outlet.
    pub(super) fn put(
        parts: Parts,
        model: &mut TypedModel,
        inputs: &[OutletId],
        outlet: OutletId,
    ) -> TractResult<()> {
        let parts = Arc::new(parts);
        put(|fact| Counted { parts, fact }, model, inputs, outlet)
    }

    /// Multiplications.
    pub(in crate::runtime) fn work(&self) -> usize {
        let elements = self.fact.shape.as_concrete().map_or(0, |shape| shape.iter().product());
        self.parts.product.work(elements)
    }
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Counted {
    fn eq(&self, other: &Counted) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.parts).hash(state);
    }
}

impl Op for Counted {
    fn name(&self) -> StaticName {
        "Counted".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let product = &self.parts.product;
        let made = match self.parts.made {
            Made::Counts => "counts",
            Made::Codes { .. } => "codes",
            Made::Floats { .. } => "floats",
        };
        let (kind, bytes) = (product.kind().name(), product.bytes());
        Ok(vec![format!("{made} in {kind}, {bytes} bytes of weights")])
    }

    op_as_typed_op!();
}

impl EvalOp for Counted {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Parts { product, zero, made } = &*self.parts;
        let is_signed = inputs[0].datum_type() == DatumType::I8;
        let zero = match zero {
            Zero::Known(zero) => *zero,
            Zero::Given(place) => inputs[*place].cast_to_scalar::<i32>()?,
        };
        let plain = inputs[0].try_as_plain_ram()?;
        let rows = Rows { bytes: plain.as_bytes(), is_signed, zero };
        let gang = Gang::here();
        let crew: &dyn Crew = match &gang {
            Some(gang) => &**gang,
            None => &Alone,
        };
        let shape: TVec<usize> =
            self.fact.shape.as_concrete().context("the shape of a product")?.into();
        let shape = shape.as_slice();
        let made = match made {
            Made::Counts => shaped(shape, product.counts(rows, crew))?,
            Made::Codes { steps, code } => {
                let is_signed = self.fact.datum_type == DatumType::I8;
                let sign = if is_signed { 128 } else { 0 };
                let zero = u8::try_from(code + i32::from(sign))?;
                let codes = product.codes(rows, steps, (Code::of(zero), sign), crew);
                match is_signed {
                    true => shaped(shape, codes.into_iter().map(u8::cast_signed).collect())?,
                    false => shaped(shape, codes)?,
                }
            }
            Made::Floats { factors, given, added, least } => {
                let plain = given.map(|place| inputs[place].try_as_plain_ram()).transpose()?;
                let factors = match &plain {
                    Some(given) => given.as_slice::<f32>()?,
                    None => factors,
                };
                shaped(shape, product.floats(rows, factors, (added, *least), crew))?
            }
        };
        Ok(tvec!(made.into_tvalue()))
    }
}

fn shaped<T: Datum>(shape: &[usize], values: Vec<T>) -> TractResult<Tensor> {
    Ok(tract_ndarray::ArrayD::from_shape_vec(shape, values)?.into_tensor())
}

impl TypedOp for Counted {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.fact.clone()))
    }

    fn cost(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let byte = i8::datum_type();
        let weights = self.parts.product.bytes();
        Ok(tvec!((Cost::FMA(byte), self.work().to_dim()), (Cost::Params(byte), weights.to_dim())))
    }

    as_op!();
}
