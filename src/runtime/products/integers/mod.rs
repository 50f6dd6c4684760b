//! Products of integers of 8 bits with weights that are known: counted as they are, and rounded or scaled along with it.
//!
//! ```text
//! integers ──(spread to floats, or not)──▶ product ──(bias, cast, scale)──▶ codes, floats or counts
//! ```
//! What comes out is what the operators give, bit for bit, as long as floats hold their counts exactly:
//! the same sums, scaled in the same order, rounded the same way.

mod crossed;
mod found;
mod operator;
pub(super) mod rows;
pub(super) mod table;

use super::chain;
use super::operator::Ours;
use super::packed::Packed;
use crate::allocator;
use crate::runtime::kernels::integers::{Added, Kind, Product, Sum};
use crate::runtime::operators::{self, Counting};
use crate::runtime::spent;
use found::Found;
use operator::{Made, Parts};
pub(super) use rows::Around;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::cast::Cast;

/// Puts ours in the place of a product of integers, and of what follows it.
pub(super) fn replace(
    (kind, packed): (Kind, &Packed),
    model: &mut TypedModel,
    id: usize,
) -> TractResult<bool> {
    let Some(found) = Found::of(model, id) else { return crossed::replace(kind, model, id) };
    let Found { rows, zero, weights } = found;
    let count = weights.columns.len();
    let mut end = OutletId::new(id, 0);
    let mut bias = vec![0; count];
    let is_of_floats = model.outlet_fact(end)?.datum_type == DatumType::F32;
    if is_of_floats
        && let Some((sum, term)) = chain::with(model, chain::past_units(model, end), "Add")
        && let Some(values) = chain::per_column(model, term, sum, count)
        && let Some(values) = found::whole(&values)
    {
        (end, bias) = (sum, values);
    }
    let mut inputs = tvec!(rows);
    let zero = zero.of(&mut inputs);
    let made = match rounded(model, end, count) {
        Some((codes, steps, more, code)) if is_of_floats => {
            end = codes;
            let sums = bias.iter().zip(more).map(|(bias, more)| bias.checked_add(more));
            let Some(sums) = sums.collect() else { return Ok(false) };
            bias = sums;
            let added = added(model, codes, count).map(|(sum, added)| {
                end = sum;
                added
            });
            Made::Codes { steps, code, added }
        }
        Some(_) | None => floats(model, &mut end, count, &mut inputs),
    };
    let Some(product) =
        Product::new(kind, [weights.terms.len(), count], |term, at| weights.at(term, at), &bias)
    else {
        return Ok(false);
    };
    let product = packed.or_same(product);
    drop(weights);
    for input in model.node(id).inputs.clone() {
        if found::is_known(model, input) {
            spent::drop_value(model, input, |node| node == id);
        }
    }
    allocator::give_back();
    Ours::put(Parts { product, zero, made }, model, &inputs, end)?;
    Ok(true)
}

/// What rounds these counts: its outlet, its steps and biases for each column, and its zero point.
type Rounded = (OutletId, Vec<f32>, Vec<i32>, i32);

fn rounded(model: &TypedModel, counts: OutletId, columns: usize) -> Option<Rounded> {
    let node = chain::user(model, chain::past_units(model, counts))?;
    let Counting::Rounded { steps, biases } = operators::counting(node.op.as_op())? else {
        return None;
    };
    let (scales, axis) = steps.scales();
    let fact = &node.outputs[0].fact;
    let shape = fact.shape.as_concrete()?;
    let is_8_bits = [DatumType::U8, DatumType::I8].contains(&fact.datum_type);
    // Columns are those of this axis, behind which there are no others.
    let is_last =
        shape.get(axis) == Some(&columns) && shape[axis..].iter().product::<usize>() == columns;
    let fits = |length: usize| length == 1 || (length == columns && is_last);
    if !is_8_bits || !fits(scales.len()) || !fits(biases.len()) {
        return None;
    }
    let each = |at: usize, length: usize| if length == 1 { 0 } else { at };
    let scales = (0..columns).map(|at| scales[each(at, scales.len())]).collect();
    let biases = (0..columns).map(|at| biases[each(at, biases.len())]).collect();
    Some((OutletId::new(node.id, 0), scales, biases, steps.zero_point()?))
}

/// The sum that codes are a part of, whose other part is known and the same for each row.
fn added(model: &TypedModel, codes: OutletId, columns: usize) -> Option<(OutletId, Added)> {
    let codes = chain::past_units(model, codes);
    let node = chain::user(model, codes)?;
    let Counting::Sum { terms, made } = operators::counting(node.op.as_op())? else { return None };
    let [one, other] = *node.inputs.as_slice() else { return None };
    let is_first = other == codes;
    let fact = model.outlet_fact(if is_first { one } else { other }).ok()?;
    let known = fact.konst.as_ref().filter(|_| fact.exotic_fact.is_none())?;
    let sum = OutletId::new(node.id, 0);
    let [from, to] = [model.outlet_fact(codes).ok()?, model.outlet_fact(sum).ok()?];
    let is_same = from.shape == to.shape && from.datum_type == fact.datum_type;
    let is_per_column = known.len() == columns && known.shape().last() == Some(&columns);
    if !is_same || !(is_per_column || known.len() == 1) {
        return None;
    }
    let plain = known.try_as_plain_ram().ok()?;
    let bytes = match *plain.as_bytes() {
        [one] => vec![one; columns],
        ref bytes => bytes.to_vec(),
    };
    let (ratios, constant) = operators::sum_ratios(terms, made);
    let moved = if fact.datum_type == DatumType::I8 { 128 } else { 0 };
    Some((sum, Added::new(&bytes, Sum { ratios, constant, moved }, is_first)))
}

/// What is made of counts that are not rounded: floats where they are scaled, and all that is added then.
fn floats(
    model: &TypedModel,
    end: &mut OutletId,
    columns: usize,
    inputs: &mut TVec<OutletId>,
) -> Made {
    let mut counts = chain::past_units(model, *end);
    let is_whole = model.outlet_fact(counts).is_ok_and(|fact| fact.datum_type == DatumType::I32);
    if is_whole {
        let cast = chain::user(model, counts)
            .filter(|node| node.op_as::<Cast>().is_some_and(|cast| cast.to == DatumType::F32));
        let Some(cast) = cast else { return Made::Counts };
        counts = chain::past_units(model, OutletId::new(cast.id, 0));
        *end = counts;
    }
    let mut factors = vec![1.0];
    let mut given = None;
    if let Some((scaled, factor)) = chain::with(model, counts, "Mul") {
        if let Some(values) = chain::per_column(model, factor, scaled, columns) {
            (*end, factors) = (scaled, values);
        } else if found::is_per_column(model, factor, columns) {
            given = Some(inputs.len());
            inputs.push(factor);
            *end = scaled;
        }
    }
    let mut added = Vec::new();
    if let Some((sum, term)) = chain::with(model, chain::past_units(model, *end), "Add")
        && let Some(values) = chain::per_column(model, term, sum, columns)
    {
        (*end, added) = (sum, values);
    }
    let mut least = f32::NEG_INFINITY;
    if let Some((most, bound)) = chain::with(model, chain::past_units(model, *end), "Max")
        && let Some(bound) = chain::number(model, bound)
    {
        (*end, least) = (most, bound);
    }
    Made::Floats { factors, given, added, least }
}

#[cfg(test)]
mod tests;
