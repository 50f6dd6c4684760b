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

#[cfg(test)]
mod tests {
    use super::super::steps::Steps;
    use super::*;
    use tract_onnx::tract_core::ops::math::add;

    /// Rows of two values, and integers that are added to them less their zero point.
    fn graph() -> (TypedModel, OutletId) {
        let mut model = TypedModel::default();
        let x = model.add_source("x", f32::fact([3, 2])).unwrap();
        let integers = Tensor::from_shape(&[1, 2], &[-128_i8, 127]).unwrap();
        let integers = model.add_const("w", integers).unwrap();
        let steps = Steps::read(1, &tensor0(1.0_f32), Some(&tensor0(-1_i8))).unwrap();
        let op = Spread(Dequantize { axis: 1, to: DatumType::F32, known: Some(Arc::new(steps)) });
        let floats = model.wire_node("floats", op, &[integers]).unwrap()[0];
        let sum = model.wire_node("sum", add(), &[x, floats]).unwrap();
        model.select_output_outlets(&sum).unwrap();
        (model.into_decluttered().unwrap(), floats)
    }

    fn answer(model: TypedModel) -> Tensor {
        let x = Tensor::from_shape(&[3, 2], &[0.5_f32, 1.0, 2.0, 3.0, -1.0, 0.0]).unwrap();
        let made = model.into_runnable().unwrap().run(tvec!(x.into_tvalue())).unwrap();
        made[0].clone().into_tensor()
    }

    fn spread(model: &TypedModel) -> usize {
        model.nodes().iter().filter(|node| node.op_is::<Spread>()).count()
    }

    #[test]
    fn no_pass_computes_stored_integers_before_they_are_asked_for() {
        let (mut model, _) = graph();
        assert_eq!(spread(&model), 1, "decluttering leaves them");
        let wanted = [-126.5, 129.0, -125.0, 131.0, -128.0, 128.0];
        let wanted = Tensor::from_shape(&[3, 2], &wanted.map(|it| it as f32)).unwrap();
        assert_eq!(answer(model.clone()), wanted);
        spread_stored(&mut model, |_, _| true).unwrap();
        assert_eq!(spread(&model), 1);
        spread_stored(&mut model, |_, _| false).unwrap();
        assert_eq!(spread(&model), 0);
        let integers = |fact: &TypedFact| fact.datum_type == DatumType::I8;
        let left = model.nodes().iter().filter(|node| integers(&node.outputs[0].fact));
        assert_eq!(left.count(), 0, "they go when their floats are there");
        assert_eq!(answer(model), wanted);
    }

    #[test]
    fn integers_are_told_less_their_zero_point() {
        let (model, _) = graph();
        let node = model.nodes().iter().find(|node| node.op_is::<Spread>()).unwrap();
        let integers = Integers::spread(&model, OutletId::new(node.id, 0)).unwrap();
        assert_eq!(integers.values().collect::<Vec<_>>(), [-127, 128]);
        let bytes = Tensor::from_shape(&[2], &[0_u8, 255]).unwrap().into_arc_tensor();
        let integers = Integers::of(bytes, 255).unwrap();
        assert_eq!(integers.values().collect::<Vec<_>>(), [-255, 0]);
        let words = tensor1(&[1_i16]).into_arc_tensor();
        assert!(Integers::of(words, 0).is_none());
    }
}
