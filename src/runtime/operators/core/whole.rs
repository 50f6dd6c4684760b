//! Quantised operators that count in whole numbers and round once at the end, as onnxruntime's do.

// Exporters do not know the names of these: `onnx/whole` puts them in the place of what they write.

use super::integer;
use super::scaling::{Dequantize, Quantize, is_elementwise};
use super::steps::{Integer, Limits, Steps, by_integer, kernel, shaped};
use super::words::{Saying, Words};
use crate::runtime::kernels::{Gang, integers};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::broadcast::multi_broadcast;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};
use tract_onnx::tract_hir::ops::binary::wire_rank_broadcast;

/// Counts, what one of them is in steps of the result, the result's zero point, and maybe a bias.
pub(super) fn requantize(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Whole { kind: Kind::Counts { axis: integer(node, "axis", 1) } }), Vec::new()))
}

/// Two values and the result, each with scale and zero point.
pub(super) fn sum(
    _context: &ParsingContext<'_>,
    _node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Whole { kind: Kind::Sum }), Vec::new()))
}

/// A value and the result, each with scale and zero point.
pub(super) fn mean(
    _context: &ParsingContext<'_>,
    _node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Whole { kind: Kind::Mean }), Vec::new()))
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counts { axis: i64 },
    Sum,
    Mean,
}

#[derive(Debug, Clone)]
struct Whole {
    kind: Kind,
}

impl Expansion for Whole {
    fn name(&self) -> StaticName {
        match self.kind {
            Kind::Counts { .. } => "Requantize".into(),
            Kind::Sum => "QuantizedSum".into(),
            Kind::Mean => "QuantizedMean".into(),
        }
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        let made = &outputs[0];
        match self.kind {
            Kind::Counts { .. } => {
                check_input_arity(inputs, if inputs.len() == 4 { 4 } else { 3 })?;
                solver.equals(&made.datum_type, &inputs[2].datum_type)?;
                solver.equals(&made.shape, &inputs[0].shape)
            }
            Kind::Sum => {
                check_input_arity(inputs, 8)?;
                solver.equals(&made.datum_type, &inputs[7].datum_type)?;
                solver.given_2(&inputs[0].shape, &inputs[3].shape, move |solver, one, other| {
                    solver.equals(&made.shape, multi_broadcast(&[one, other])?)
                })
            }
            Kind::Mean => {
                check_input_arity(inputs, 5)?;
                solver.equals(&made.datum_type, &inputs[4].datum_type)?;
                solver.given(&inputs[0].shape, move |solver, shape| {
                    solver.equals(&made.shape, mean_shape(&shape)?)
                })
            }
        }
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let stored = |place: usize| -> TractResult<Arc<Tensor>> {
            let fact = model.outlet_fact(inputs[place])?;
            fact.konst.clone().context("its scales and zero points are not stored")
        };
        let steps = |axis: usize, scale: usize| -> TractResult<Steps> {
            Steps::read(axis, &*stored(scale)?, Some(&*stored(scale + 1)?))
        };
        let one = |scale: usize| -> TractResult<(f32, i32)> {
            steps(0, scale)?.single().context("it has more than one scale")
        };
        let to = |place: usize| -> TractResult<DatumType> {
            let to = model.outlet_fact(inputs[place])?.datum_type;
            ensure!([DatumType::U8, DatumType::I8].contains(&to), "it makes {to:?}");
            Ok(to)
        };
        match self.kind {
            Kind::Counts { axis } => {
                let rank = model.outlet_fact(inputs[0])?.rank() as i64;
                let axis = if axis < 0 { axis + rank } else { axis };
                let axis = usize::try_from(axis).ok().context("there is no such axis")?;
                let biases = match inputs.len() {
                    3 => vec![0],
                    _ => stored(3)?.try_as_plain_ram()?.as_slice::<i32>()?.to_vec(),
                };
                let op = Requantize { steps: steps(axis, 1)?, biases, to: to(2)? };
                model.wire_node(prefix, op, &inputs[..1])
            }
            Kind::Sum => {
                let op = Sum { terms: [one(1)?, one(4)?], made: one(6)?, to: to(7)? };
                let both = wire_rank_broadcast(prefix, model, &[inputs[0], inputs[3]])?;
                model.wire_node(prefix, op, &both)
            }
            Kind::Mean => {
                let op = Mean { from: one(1)?, made: one(3)?, to: to(4)? };
                model.wire_node(prefix, op, &inputs[..1])
            }
        }
    }
}

/// What an operator of whole numbers computes, for kernels that do so another way.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) enum Counting<'o> {
    /// From counts and biases to integers, in steps that go along the axis.
    Rounded { steps: &'o Steps, biases: &'o [i32] },
    /// The sum of two, each with scale and zero point, as the sum has.
    Sum { terms: [(f32, i32); 2], made: (f32, i32) },
    /// The mean of each channel, with scale and zero point before and after.
    Mean { from: (f32, i32), made: (f32, i32) },
    /// From integers to floats.
    Spread { steps: &'o Steps },
    /// From floats to integers.
    Coded { steps: &'o Steps },
}

/// What this operator computes, if it is one of those and all of it is known.
pub(in crate::runtime) fn counting(op: &dyn Op) -> Option<Counting<'_>> {
    if let Some(Requantize { steps, biases, .. }) = op.downcast_ref() {
        return Some(Counting::Rounded { steps, biases });
    }
    if let Some(Sum { terms, made, .. }) = op.downcast_ref() {
        return Some(Counting::Sum { terms: *terms, made: *made });
    }
    if let Some(Mean { from, made, .. }) = op.downcast_ref() {
        return Some(Counting::Mean { from: *from, made: *made });
    }
    if let Some(Dequantize { known, .. }) = op.downcast_ref() {
        return Some(Counting::Spread { steps: known.as_deref()? });
    }
    let steps = op.downcast_ref::<Quantize>()?.known.as_deref()?;
    Some(Counting::Coded { steps })
}

/// Whether an operator goes between floats and integers by one step that is known, each value for itself.
pub(in crate::runtime) fn is_of_single_values(op: &dyn Op) -> bool {
    let known = match (op.downcast_ref::<Quantize>(), op.downcast_ref::<Dequantize>()) {
        (Some(quantize), _) => quantize.known.as_ref(),
        (None, Some(dequantize)) => dequantize.known.as_ref(),
        (None, None) => None,
    };
    is_elementwise(known)
}

/// What two ratios and all that is constant come to, where a sum is computed.
pub(in crate::runtime) fn sum_ratios(
    terms: [(f32, i32); 2],
    (scale, zero_point): (f32, i32),
) -> ([f32; 2], f32) {
    let [(one_scale, one_zero), (other_scale, other_zero)] = terms;
    let [one_ratio, other_ratio] = [one_scale / scale, other_scale / scale];
    let rest = other_ratio * other_zero as f32;
    let rest = (f64::from(one_ratio) * f64::from(one_zero) + f64::from(rest)) as f32;
    ([one_ratio, other_ratio], zero_point as f32 - rest)
}

/// What one count of a mean over so many values is in steps of the result.
pub(in crate::runtime) fn mean_step((scale, _): (f32, i32), made: (f32, i32), area: usize) -> f32 {
    scale / (made.0 * area as f32)
}

/// Each channel becomes one value.
fn mean_shape(shape: &[TDim]) -> TractResult<TVec<TDim>> {
    ensure!(shape.len() > 2, "a mean over channels has more than {} axes", shape.len());
    let kept = shape[..2].iter().cloned();
    Ok(kept.chain(shape[2..].iter().map(|_| 1.to_dim())).collect())
}

/// From counts to integers of 8 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requantize {
    steps: Steps,
    biases: Vec<i32>,
    to: DatumType,
}

impl Requantize {
    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        to.types.push(self.to);
        to.list(&self.biases);
        self.steps.say(to);
    }

    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Requantize> {
        let (to, biases, steps) = (from.eight_bits()?, from.list()?, Steps::said(from)?);
        let length = steps.len().max(biases.len());
        let fits = |count: usize| [1, length].contains(&count);
        (fits(steps.len()) && fits(biases.len())).then_some(Requantize { steps, biases, to })
    }
}

impl Op for Requantize {
    fn name(&self) -> StaticName {
        "Requantize".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Requantize {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        Ok(tvec!(self.steps.requantized(&inputs[0], &self.biases, self.to)?.into_tvalue()))
    }
}

impl TypedOp for Requantize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.to.fact(inputs[0].shape.clone())))
    }

    as_op!();
}

/// The sum of two quantised tensors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sum {
    /// Scale and zero point of each.
    terms: [(f32, i32); 2],
    /// Those of the sum.
    made: (f32, i32),
    to: DatumType,
}

impl Eq for Sum {} // see `Steps`

impl Sum {
    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        to.types.push(self.to);
        self.terms.into_iter().chain([self.made]).for_each(|scale| to.scale(scale));
    }

    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Sum> {
        let to = from.eight_bits()?;
        Some(Sum { terms: [from.scale()?, from.scale()?], made: from.scale()?, to })
    }

    /// The sum of integers of 8 bits by kernels of ours, where the second is as long, or one row of it is for
    /// all of the first's.
    fn by_kernel(&self, one: &Tensor, other: &Tensor) -> TractResult<Option<Tensor>> {
        let Some(kind) = kernel() else { return Ok(None) };
        let shapes = [one.shape(), other.shape()];
        let extents = shapes[0].iter().zip(shapes[1]);
        // Behind axes of one, all others are those of the first.
        let mut rest = extents.skip_while(|(_, extent)| **extent == 1);
        let is_repeated = shapes[0].len() == shapes[1].len()
            && rest.all(|(extent, other)| extent == other)
            && !shapes[0].contains(&0);
        if !is_repeated {
            return Ok(None);
        }
        let (ratios, constant) = sum_ratios(self.terms, self.made);
        let moved = if self.to == DatumType::I8 { 128 } else { 0 };
        let sum = integers::Sum { ratios, constant, moved };
        let plain = [one.try_as_plain_ram()?, other.try_as_plain_ram()?];
        let bytes = [plain[0].as_bytes(), plain[1].as_bytes()];
        let made = Gang::with(|crew| integers::added(kind, bytes, sum, crew));
        Ok(Some(match self.to == DatumType::I8 {
            true => shaped(shapes[0], made.into_iter().map(u8::cast_signed).collect())?,
            false => shaped(shapes[0], made)?,
        }))
    }

    /// onnxruntime takes scales relative to the sum's, gathers all that is constant, and adds with
    /// one rounding for each product and its sum. In double precision the products are exact, so
    /// that narrowing each sum rounds as its fused multiplication does.
    fn of<T: Integer>(&self, one: &Tensor, other: &Tensor) -> TractResult<Tensor> {
        let (ratios, constant) = sum_ratios(self.terms, self.made);
        let constant = f64::from(constant);
        let [one_ratio, other_ratio] = ratios.map(f64::from);
        let mut sum = Tensor::zero::<T>(one.shape())?;
        let limits = Limits::of::<T>(0); // the zero point is in the constant
        let [one, other] = [one.try_as_plain_ram()?, other.try_as_plain_ram()?];
        let mut to = sum.try_as_plain_ram_mut()?;
        let to = to.as_slice_mut::<T>()?;
        for ((one, other), to) in one.as_slice::<T>()?.iter().zip(other.as_slice::<T>()?).zip(to) {
            let begun = (f64::from(other.wide()) * other_ratio + constant) as f32;
            let whole = (f64::from(one.wide()) * one_ratio + f64::from(begun)) as f32;
            *to = limits.integer(whole);
        }
        Ok(sum)
    }
}

impl Op for Sum {
    fn name(&self) -> StaticName {
        "QuantizedSum".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Sum {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        fn sum<T: Integer>(op: &Sum, one: &Tensor, other: &Tensor) -> TractResult<Tensor> {
            op.of::<T>(one, other)
        }
        let [one, other] = [&*inputs[0], &*inputs[1]];
        if let Some(made) = self.by_kernel(one, other)? {
            return Ok(tvec!(made.into_tvalue()));
        }
        if one.shape() == other.shape() {
            return Ok(tvec!(by_integer!(self.to, sum(self, one, other))?.into_tvalue()));
        }
        let shape = multi_broadcast(&[one.shape(), other.shape()])?;
        let [one, other] = [one.broadcast_to_shape(&shape)?, other.broadcast_to_shape(&shape)?];
        if let Some(made) = self.by_kernel(&one, &other)? {
            return Ok(tvec!(made.into_tvalue()));
        }
        Ok(tvec!(by_integer!(self.to, sum(self, &one, &other))?.into_tvalue()))
    }
}

impl TypedOp for Sum {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        for input in inputs {
            ensure!(input.datum_type == self.to, "a sum of other integers than {:?}", self.to);
        }
        let shape = multi_broadcast(&[&inputs[0].shape, &inputs[1].shape])?;
        Ok(tvec!(self.to.fact(shape)))
    }

    as_op!();
}

/// The mean of each channel of a quantised tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mean {
    from: (f32, i32),
    made: (f32, i32),
    to: DatumType,
}

impl Eq for Mean {} // see `Steps`

impl Mean {
    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        to.types.push(self.to);
        [self.from, self.made].into_iter().for_each(|scale| to.scale(scale));
    }

    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Mean> {
        let to = from.eight_bits()?;
        Some(Mean { from: from.scale()?, made: from.scale()?, to })
    }

    fn of<T: Integer>(&self, values: &Tensor) -> TractResult<Tensor> {
        let shape = values.shape();
        ensure!(shape.len() > 2, "a mean over channels has more than {} axes", shape.len());
        let area: usize = shape[2..].iter().product();
        let ((_, zero_point), (_, made_zero)) = (self.from, self.made);
        let mut made: TVec<usize> = shape.into();
        made[2..].fill(1);
        let mut means = Tensor::zero::<T>(&made)?;
        let limits = Limits::of::<T>(made_zero);
        let step = mean_step(self.from, self.made, area);
        let from = values.try_as_plain_ram()?;
        let mut to = means.try_as_plain_ram_mut()?;
        let channels = from.as_slice::<T>()?.chunks(area.max(1));
        for (channel, to) in channels.zip(to.as_slice_mut::<T>()?) {
            let count = channel
                .iter()
                .fold(0_i32, |sum, one| sum.wrapping_add(one.wide().wrapping_sub(zero_point)));
            *to = limits.integer(count as f32 * step);
        }
        Ok(means)
    }
}

impl Op for Mean {
    fn name(&self) -> StaticName {
        "QuantizedMean".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Mean {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        fn mean<T: Integer>(op: &Mean, values: &Tensor) -> TractResult<Tensor> {
            op.of::<T>(values)
        }
        Ok(tvec!(by_integer!(self.to, mean(self, &inputs[0]))?.into_tvalue()))
    }
}

impl TypedOp for Mean {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].datum_type == self.to, "a mean of other integers than {:?}", self.to);
        Ok(tvec!(self.to.fact(mean_shape(&inputs[0].shape.to_tvec())?)))
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_rounded_once() {
        let op = Sum { terms: [(0.5, 10), (0.25, 0)], made: (1.0, 100), to: DatumType::U8 };
        let [one, other] = [[10_u8, 11, 255, 12], [0_u8, 0, 255, 2]].map(|it| tensor1(&it));
        // 0, 0.5 which is even below, more than there is, 1.5 which is even above
        assert_eq!(op.of::<u8>(&one, &other).unwrap(), tensor1(&[100_u8, 100, 255, 102]));
    }

    #[test]
    fn a_mean_counts_the_whole_channel() {
        let op = Mean { from: (0.5, 1), made: (0.25, -3), to: DatumType::I8 };
        let values = Tensor::from_shape(&[1, 2, 2], &[1_i8, 3, -5, -2]).unwrap();
        // (0 + 2) / 2 * 0.5 / 0.25 = 2, and (-6 - 3) / 2 * 2 = -9
        let wanted = Tensor::from_shape(&[1, 2, 1], &[-1_i8, -12]).unwrap();
        assert_eq!(op.of::<i8>(&values).unwrap(), wanted);
    }

    #[test]
    fn counts_become_integers_by_the_scale_of_their_channel() {
        let steps = Steps::read(1, &tensor1(&[0.5_f32, 2.0]), Some(&tensor0(1_u8))).unwrap();
        let counts = Tensor::from_shape(&[2, 2], &[3_i32, 3, -9, 200]).unwrap();
        let wanted = Tensor::from_shape(&[2, 2], &[3_u8, 7, 0, 255]).unwrap();
        assert_eq!(steps.requantized(&counts, &[0], DatumType::U8).unwrap(), wanted);
        let floats = counts.cast_to::<f32>().unwrap();
        assert_eq!(steps.requantized(&floats, &[0], DatumType::U8).unwrap(), wanted);
        let wanted = Tensor::from_shape(&[2, 2], &[6_u8, 9, 0, 255]).unwrap();
        assert_eq!(steps.requantized(&counts, &[7, 1], DatumType::U8).unwrap(), wanted);
        let single = Steps::read(1, &tensor0(1.0_f32), Some(&tensor0(0_u8))).unwrap();
        let tall = Tensor::from_shape(&[1, 2, 2], &[1_i32, 2, 3, 4]).unwrap();
        let wanted = Tensor::from_shape(&[1, 2, 2], &[6_u8, 7, 9, 10]).unwrap();
        assert_eq!(single.requantized(&tall, &[5, 6], DatumType::U8).unwrap(), wanted);
    }
}
