//! Stored integers that a graph spreads to floats: they stay integers until a plan has taken those that it counts itself.

use super::scaling::Dequantize;
use super::words::{Saying, Words};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// [`Dequantize`] of what is known, which is computed by no pass of tract's: as floats it takes four times the
/// room, and is in no file to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spread(pub(super) Dequantize);

impl Spread {
    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        self.0.say(to);
    }

    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Spread> {
        let known = Dequantize::said(from)?;
        known.known.is_some().then_some(Spread(known))
    }
}

impl Op for Spread {
    fn name(&self) -> StaticName {
        "Spread".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Spread {
    not_out_of_plan!();

    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(context, inputs)
    }
}

impl TypedOp for Spread {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    fn axes_mapping(
        &self,
        inputs: &[&TypedFact],
        outputs: &[&TypedFact],
    ) -> TractResult<AxesMapping> {
        self.0.axes_mapping(inputs, outputs)
    }

    fn change_axes(
        &self,
        model: &TypedModel,
        node: &TypedNode,
        io: InOut,
        change: &AxisOp,
    ) -> TractResult<Option<AxisChangeConsequence>> {
        self.0.change_axes(model, node, io, change)
    }

    as_op!();
}

/// Stored integers of 8 bits.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Integers {
    tensor: Arc<Tensor>,
    /// The zero point, which each is meant less.
    zero: i32,
}

impl Integers {
    /// Those that an outlet is known to spread to the whole numbers that they are, less a zero point.
    pub(in crate::runtime) fn spread(model: &TypedModel, outlet: OutletId) -> Option<Integers> {
        let node = model.node(outlet.node);
        let (1.0, zero) = node.op_as::<Spread>()?.0.known.as_deref()?.single()? else {
            return None;
        };
        let fact = model.outlet_fact(*node.inputs.first()?).ok()?;
        Integers::of(fact.konst.clone().filter(|_| fact.exotic_fact.is_none())?, zero)
    }

    /// Those of a tensor of 8 bits, less this zero point.
    pub(in crate::runtime) fn of(tensor: Arc<Tensor>, zero: i32) -> Option<Integers> {
        let is_of_bytes = [DatumType::I8, DatumType::U8].contains(&tensor.datum_type());
        (is_of_bytes && tensor.is_plain_ram()).then_some(Integers { tensor, zero })
    }

    pub(in crate::runtime) fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    /// The one at this place, from -255 to 255.
    pub(in crate::runtime) fn at(&self, place: usize) -> i16 {
        let byte = self.tensor.as_bytes()[place];
        let is_signed = self.tensor.datum_type() == DatumType::I8;
        let integer = if is_signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
        (integer - self.zero) as i16 // a zero point is of 8 bits, too
    }

    /// All of them.
    pub(in crate::runtime) fn values(&self) -> impl ExactSizeIterator<Item = i16> + Clone + '_ {
        (0..self.tensor.len()).map(|place| self.at(place))
    }
}

/// Computes the floats of all stored integers that are spread yet, but for those of which `is_left` holds.
pub(in crate::runtime) fn spread_stored(
    model: &mut TypedModel,
    is_left: impl Fn(&TypedModel, OutletId) -> bool,
) -> TractResult<()> {
    let mut is_changed = false;
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(Spread(spread)) = node.op_as() else { continue };
        let known = model.outlet_fact(node.inputs[0])?.konst.clone();
        let outlet = OutletId::new(id, 0);
        let Some(known) = known.filter(|_| !is_left(model, outlet)) else { continue };
        let mut made = spread.eval(&EvalContext::out_of_plan(), tvec!(known.into_tvalue()))?;
        let floats = made.pop().context("an operator that makes nothing")?.into_arc_tensor();
        let mut patch = TypedModelPatch::default();
        let constant = patch.add_const(&node.name, floats)?;
        patch.shunt_outside(model, outlet, constant)?;
        patch.apply(model)?;
        is_changed = true;
    }
    if is_changed {
        model.compact()?; // the integers go
    }
    Ok(())
}
