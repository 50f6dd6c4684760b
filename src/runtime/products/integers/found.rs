//! A product of integers as a graph has it: spread to floats that hold them, or in an operator for integers.

use super::super::chain;
use super::super::product::{Laid, laid};
use super::operator::Zero;
use crate::runtime::operators::{self, Counting, Integers};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, OutletId};
use tract_onnx::tract_core::ops::einsum::EinSum;

/// Rows of integers of 8 bits, what stands for zero in them, and the weights.
pub(super) struct Found {
    pub(super) rows: OutletId,
    pub(super) zero: Zeros,
    pub(super) weights: Weights,
}

/// The zero point of the rows, where it is known, or where it comes from.
pub(super) enum Zeros {
    Known(i32),
    Of(OutletId),
}

/// Weights, what those of each column are meant less, or all of them, and where those of each term, and of
/// each column, lie.
pub(super) struct Weights {
    numbers: Numbers,
    zeros: Vec<i16>,
    pub(super) terms: Vec<usize>,
    pub(super) columns: Vec<usize>,
}

/// Whole numbers of few bits.
enum Numbers {
    Stored(Integers),
    Of(Vec<i16>),
}

impl Weights {
    pub(super) fn at(&self, term: usize, column: usize) -> i32 {
        let place = self.terms[term] + self.columns[column];
        let number = match &self.numbers {
            Numbers::Stored(integers) => integers.at(place),
            Numbers::Of(numbers) => numbers[place],
        };
        let zero = if self.zeros.len() == 1 { self.zeros[0] } else { self.zeros[column] };
        i32::from(number) - i32::from(zero)
    }
}

impl Zeros {
    /// As the operator knows it, behind these inputs.
    pub(super) fn of(self, inputs: &mut TVec<OutletId>) -> Zero {
        match self {
            Zeros::Known(zero) => Zero::Known(zero),
            Zeros::Of(outlet) => {
                inputs.push(outlet);
                Zero::Given(inputs.len() - 1)
            }
        }
    }
}

impl Found {
    pub(super) fn of(model: &TypedModel, id: usize) -> Option<Found> {
        let node = model.node(id);
        let product = node.op_as::<EinSum>()?;
        match *product {
            EinSum { operating_dt: DatumType::F32, q_params: None, .. } => {
                spread(model, node, product)
            }
            EinSum { operating_dt: DatumType::I32, q_params: Some(DatumType::I32), .. } => {
                plain(model, node, product)
            }
            _ => None,
        }
    }
}

/// A product of floats that are whole numbers, as those of integers less their zero point.
fn spread(model: &TypedModel, node: &TypedNode, product: &EinSum) -> Option<Found> {
    let [one, other] = *node.inputs.as_slice() else { return None };
    let (side, input, weights) = match [is_known(model, one), is_known(model, other)] {
        [false, true] => (0, one, other),
        [true, false] => (1, other, one),
        [false, false] | [true, true] => return None,
    };
    let before = model.node(input.node);
    let Counting::Spread { steps } = operators::counting(before.op.as_op())? else { return None };
    let (1.0, zero) = steps.single()? else { return None };
    let rows = *before.inputs.first()?;
    if !is_of_bytes(model, rows) {
        return None;
    }
    let shapes = [input, weights, OutletId::new(node.id, 0)].map(|outlet| extents(model, outlet));
    let [Some(given), Some(shape), Some(made)] = shapes else { return None };
    let Laid { terms, columns } = laid(&product.axes, side, [&given, &shape, &made])?;
    let weights = Weights { numbers: numbers(model, weights)?, zeros: vec![0], terms, columns };
    Some(Found { rows, zero: Zeros::Known(zero), weights })
}

/// A product of integers as `MatMulInteger` has it: behind both come a bias, then zero points and scales of
/// both and of what is made.
fn plain(model: &TypedModel, node: &TypedNode, product: &EinSum) -> Option<Found> {
    let [rows, weights, bias, zero, scale, zero_of_weights, scale_of_weights, last @ ..] =
        node.inputs.as_slice()
    else {
        return None;
    };
    let are = |outlet: &OutletId, wanted: f32| {
        known(model, *outlet)
            .and_then(|values| all(&values))
            .is_some_and(|values| values.iter().all(|value| *value as f32 == wanted))
    };
    let [last_zero, last_scale] = last else { return None };
    let is_bare = are(bias, 0.0)
        && are(scale, 1.0)
        && are(scale_of_weights, 1.0)
        && are(last_zero, 0.0)
        && are(last_scale, 1.0);
    if !is_bare || !is_of_bytes(model, *rows) || known(model, *rows).is_some() {
        return None;
    }
    let weights = Integers::of(known(model, *weights)?, 0)?;
    let shapes = [*rows, OutletId::new(node.id, 0)].map(|outlet| extents(model, outlet));
    let [Some(given), Some(made)] = shapes else { return None };
    let Laid { terms, columns } = laid(&product.axes, 0, [&given, weights.shape(), &made])?;
    let zeros = all(&*known(model, *zero_of_weights)?)?;
    let zeros = zeros.into_iter().map(i16::try_from).collect::<Result<Vec<i16>, _>>().ok()?;
    if ![1, columns.len()].contains(&zeros.len()) {
        return None;
    }
    let zero = match known(model, *zero).and_then(|zeros| all(&zeros)) {
        Some(zeros) => match *zeros.as_slice() {
            [one] => Zeros::Known(one),
            _ => return None,
        },
        None => {
            let is_one = extents(model, *zero)?.iter().all(|extent| *extent == 1);
            let fact = model.outlet_fact(*zero).ok()?;
            let is_alike = fact.datum_type == model.outlet_fact(*rows).ok()?.datum_type;
            if !is_one || !is_alike {
                return None;
            }
            Zeros::Of(*zero)
        }
    };
    let weights = Weights { numbers: Numbers::Stored(weights), zeros, terms, columns };
    Some(Found { rows: *rows, zero, weights })
}

/// Whether there are floats at this outlet, one for each of the last axis or one for all.
pub(super) fn is_per_column(model: &TypedModel, outlet: OutletId, columns: usize) -> bool {
    let Some(shape) = chain::shape(model, outlet) else { return false };
    let values = shape.iter().product::<usize>();
    values == 1 || (values == columns && shape.last() == Some(&columns))
}

/// Floats that are whole numbers.
pub(super) fn whole(values: &[f32]) -> Option<Vec<i32>> {
    let whole = |value: &f32| {
        let is_it = value.fract() == 0.0 && value.abs() < i32::MAX as f32;
        is_it.then_some(*value as i32)
    };
    values.iter().map(whole).collect()
}

/// All of a small tensor, or of one of 8 bits, as whole numbers.
fn all(tensor: &Tensor) -> Option<Vec<i32>> {
    let wide = tensor.cast_to::<i32>().ok()?;
    Some(wide.try_as_plain_ram().ok()?.as_slice::<i32>().ok()?.to_vec())
}

/// Whether it is known what is at an outlet, as it is or as stored integers.
pub(super) fn is_known(model: &TypedModel, outlet: OutletId) -> bool {
    known(model, outlet).is_some() || stored(model, outlet).is_some()
}

/// The stored integers that an outlet spreads to floats, in their order.
fn stored(model: &TypedModel, mut outlet: OutletId) -> Option<Integers> {
    while let Some(AxisOp::Add(_) | AxisOp::Rm(_)) = model.node(outlet.node).op_as() {
        outlet = *model.node(outlet.node).inputs.first()?;
    }
    Integers::spread(model, outlet)
}

/// The whole numbers that are known at an outlet of floats; none when one is none, or is a large one.
fn numbers(model: &TypedModel, outlet: OutletId) -> Option<Numbers> {
    if let Some(stored) = stored(model, outlet) {
        return Some(Numbers::Stored(stored));
    }
    let known = known(model, outlet)?;
    let floats = known.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
    let numbers = whole(floats)?.into_iter().map(|value| i16::try_from(value).ok());
    numbers.collect::<Option<_>>().map(Numbers::Of)
}

fn known(model: &TypedModel, outlet: OutletId) -> Option<Arc<Tensor>> {
    let fact = model.outlet_fact(outlet).ok()?;
    fact.konst.clone().filter(|_| fact.exotic_fact.is_none())
}

fn is_of_bytes(model: &TypedModel, outlet: OutletId) -> bool {
    let is_it = |fact: &TypedFact| {
        [DatumType::U8, DatumType::I8].contains(&fact.datum_type) && fact.exotic_fact.is_none()
    };
    model.outlet_fact(outlet).is_ok_and(is_it)
}

/// The extents of an outlet, which are known and none of which is zero.
fn extents(model: &TypedModel, outlet: OutletId) -> Option<TVec<usize>> {
    let shape: TVec<usize> = model.outlet_fact(outlet).ok()?.shape.as_concrete()?.into();
    (!shape.contains(&0)).then_some(shape)
}
