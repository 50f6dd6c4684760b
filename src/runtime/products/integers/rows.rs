//! Norms and softmax between codes: what an exporter writes between `DequantizeLinear` and `QuantizeLinear` along a row.

use super::super::Means;
use super::super::chain;
use super::super::operator::Ours;
use crate::runtime::kernels::integers::{By, Coded, Kind, Step};
use crate::runtime::operators::{self, Counting, Steps};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};

/// Codes before something and after it.
pub(in crate::runtime::products) struct Around {
    codes: OutletId,
    made: OutletId,
    from: Step,
    to: Step,
    kind: Kind,
}

impl Around {
    /// Where the floats at `input` are codes before, and those at `made` become codes at once.
    pub(in crate::runtime::products) fn of(
        model: &TypedModel,
        input: OutletId,
        made: OutletId,
    ) -> Option<Around> {
        let kind = Kind::best();
        let spreading = model.node(input.node);
        let Counting::Spread { steps } = operators::counting(spreading.op.as_op())? else {
            return None;
        };
        let codes = *spreading.inputs.first()?;
        let from = step(model, codes, steps)?;
        let rounding = chain::user(model, chain::past_units(model, made))?;
        let Counting::Coded { steps } = operators::counting(rounding.op.as_op())? else {
            return None;
        };
        let made = OutletId::new(rounding.id, 0);
        let to = step(model, made, steps)?;
        kind.is_quick().then_some(Around { codes, made, from, to, kind })
    }

    /// Puts this in the place of all that lies between.
    pub(in crate::runtime::products) fn put(
        self,
        by: By,
        model: &mut TypedModel,
    ) -> TractResult<()> {
        let Around { codes, made, from, to, kind } = self;
        Ours::put(Coded { kind, by, from, to }, model, &[codes], made)
    }
}

/// The one step that all codes at an outlet have.
pub(super) fn step(model: &TypedModel, outlet: OutletId, steps: &Steps) -> Option<Step> {
    let element = model.outlet_fact(outlet).ok()?.datum_type;
    let moved = match element == DatumType::I8 {
        true => 128,
        false if element == DatumType::U8 => 0,
        false => return None,
    };
    let (scale, zero) = steps.single()?;
    let zero = u8::try_from(zero.checked_add(i32::from(moved))?).ok()?;
    Some(Step { scale, zero, moved })
}

/// Puts ours in the place of a softmax along the last axis that is between codes.
pub(in crate::runtime::products) fn replace(
    means: Means<'_>,
    model: &mut TypedModel,
    id: usize,
) -> TractResult<bool> {
    let Some((around, values)) = softmax(model, id) else { return Ok(false) };
    around.put(By::Softmax(means.kind, values), model)?;
    Ok(true)
}

fn softmax(model: &TypedModel, id: usize) -> Option<(Around, usize)> {
    let node = model.node(id);
    let Softmax { axes, quant_output_dt: None, kind: SoftmaxKind::Softmax } = node.op_as()? else {
        return None;
    };
    let made = OutletId::new(id, 0);
    let shape = chain::shape(model, made)?;
    let values = *shape.last()?;
    let is_last = axes.as_slice() == [shape.len() - 1];
    let around = Around::of(model, *node.inputs.first()?, made)?;
    is_last.then_some((around, values))
}
