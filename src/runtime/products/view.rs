//! Where the values of a tensor lie in one before it, when all that is between only moves, cuts and names axes.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, OutletId};
use tract_onnx::tract_core::ops::array::{Gather, Slice};
use tract_onnx::tract_core::ops::change_axes::AxisOp;

/// A tensor's axes over another's values.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) source: OutletId,
    pub(super) offset: usize,
    pub(super) shape: TVec<usize>,
    pub(super) strides: TVec<usize>,
}

impl View {
    /// A tensor as it lies itself.
    pub(super) fn whole(model: &TypedModel, outlet: OutletId) -> Option<View> {
        let shape = shape(model, outlet)?;
        let mut strides: TVec<usize> = shape.iter().map(|_| 1).collect();
        for at in (1..shape.len()).rev() {
            strides[at - 1] = strides[at] * shape[at];
        }
        Some(View { source: outlet, offset: 0, shape, strides })
    }

    /// A tensor over the values of the one that is farthest before it.
    pub(super) fn of(model: &TypedModel, outlet: OutletId) -> Option<View> {
        View::through(model, outlet).or_else(|| View::whole(model, outlet))
    }

    fn through(model: &TypedModel, outlet: OutletId) -> Option<View> {
        let made = shape(model, outlet)?;
        let node = model.node(outlet.node);
        let input = *node.inputs.first()?;
        // Those before are other nodes, and a graph has no cycles: this ends.
        let view = if let Some(axis) = node.op_as::<AxisOp>() {
            View::of(model, input)?.changed(axis)?
        } else if let Some(Slice { axis, start, .. }) = node.op_as() {
            let mut view = View::of(model, input)?;
            view.offset += start.to_usize().ok()? * view.strides[*axis];
            view.shape[*axis] = made[*axis];
            view
        } else {
            let Gather { axis, .. } = node.op_as()?;
            let place = model.outlet_fact(*node.inputs.get(1)?).ok()?.konst.clone()?;
            let (0, Ok(place)) = (place.rank(), place.cast_to_scalar::<i64>()) else { return None };
            let mut view = View::of(model, input)?;
            let extent = view.shape.remove(*axis);
            let place = if place < 0 { place + extent as i64 } else { place };
            let place = usize::try_from(place).ok().filter(|place| *place < extent)?;
            view.offset += place * view.strides.remove(*axis);
            view
        };
        (view.shape == made).then_some(view)
    }

    /// After what happens to its axes, if values need not move for it.
    pub(super) fn changed(mut self, axis: &AxisOp) -> Option<View> {
        match axis {
            AxisOp::Add(at) => {
                self.shape.insert(*at, 1);
                self.strides.insert(*at, 0);
            }
            AxisOp::Rm(at) => {
                self.shape.remove(*at);
                self.strides.remove(*at);
            }
            AxisOp::Move(from, to) => {
                let (extent, stride) = (self.shape.remove(*from), self.strides.remove(*from));
                self.shape.insert(*to, extent);
                self.strides.insert(*to, stride);
            }
            AxisOp::Reshape(at, from, to) => {
                let to: TVec<usize> =
                    to.iter().map(|dim| dim.to_usize().ok()).collect::<Option<_>>()?;
                let strides = reshaped(
                    &self.shape[*at..at + from.len()],
                    &self.strides[*at..at + from.len()],
                    &to,
                )?;
                let after = at + from.len();
                let joined = |before: &[usize], new: &[usize], after: &[usize]| {
                    before.iter().chain(new).chain(after).copied().collect()
                };
                self.shape = joined(&self.shape[..*at], &to, &self.shape[after..]);
                self.strides = joined(&self.strides[..*at], &strides, &self.strides[after..]);
            }
        }
        Some(self)
    }
}

/// The extents of an outlet of floats or of codes, which are known and none of which is zero.
fn shape(model: &TypedModel, outlet: OutletId) -> Option<TVec<usize>> {
    let fact = model.outlet_fact(outlet).ok()?;
    let shape: TVec<usize> = fact.shape.as_concrete()?.into();
    let is_plain = [DatumType::F32, DatumType::U8, DatumType::I8].contains(&fact.datum_type)
        && fact.exotic_fact.is_none();
    (is_plain && !shape.contains(&0)).then_some(shape)
}

/// The strides of axes that take the place of others, where values need not move.
fn reshaped(from: &[usize], strides: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    // Axes that lie one in the other are one; what is left must each be split by new ones.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (extent, stride) in from.iter().zip(strides).filter(|(extent, _)| **extent > 1) {
        match runs.last_mut() {
            Some((run, last)) if *last == extent * stride => {
                (*run, *last) = (*run * extent, *stride)
            }
            _ => runs.push((*extent, *stride)),
        }
    }
    let mut made = vec![0; to.len()];
    for (at, extent) in to.iter().enumerate().rev().filter(|(_, extent)| **extent > 1) {
        let (left, stride) = runs.last_mut()?;
        if !left.is_multiple_of(*extent) {
            return None;
        }
        made[at] = *stride;
        (*left, *stride) = (*left / extent, *stride * extent);
        if *left == 1 {
            runs.pop();
        }
    }
    runs.is_empty().then_some(made)
}
