//! Between floats and the integers of a quantised model: `QuantizeLinear` and `DequantizeLinear`.

use super::integer;
use super::spread::Spread;
use super::steps::Steps;
use super::words::{Saying, Words};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

pub(super) fn quantize_linear(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let told = match integer(node, "output_dtype", 0) {
        0 => None,
        told => Some(DataType::try_from(i32::try_from(told)?)?.try_into()?),
    };
    Ok((expand(Linear { way: Way::Quantize(told), ..linear(node)? }), Vec::new()))
}

pub(super) fn dequantize_linear(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(linear(node)?), Vec::new()))
}

/// As [`dequantize_linear`], of stored integers with a scale that is known.
pub(super) fn spread(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Linear { way: Way::Spread, ..linear(node)? }), Vec::new()))
}

fn linear(node: &NodeProto) -> TractResult<Linear> {
    ensure!(integer(node, "block_size", 0) == 0, "scales for blocks are not supported");
    let zero_point = node.input.get(2).is_some_and(|name| !name.is_empty());
    Ok(Linear { way: Way::Dequantize, axis: integer(node, "axis", 1), zero_point })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// To integers, of this type if there is no zero point to tell it.
    Quantize(Option<DatumType>),
    Dequantize,
    /// The same, but by nobody before a plan asks for it.
    Spread,
}

#[derive(Debug, Clone, Copy)]
struct Linear {
    way: Way,
    axis: i64,
    zero_point: bool,
}

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        match self.way {
            Way::Quantize(_) => "QuantizeLinear".into(),
            Way::Dequantize | Way::Spread => "DequantizeLinear".into(),
        }
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, if self.zero_point { 3 } else { 2 })?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        match (self.way, self.zero_point) {
            (Way::Dequantize | Way::Spread, zero_point) => {
                solver.equals(&outputs[0].datum_type, &inputs[1].datum_type)?;
                if zero_point {
                    solver.equals(&inputs[0].datum_type, &inputs[2].datum_type)?;
                }
                Ok(())
            }
            (Way::Quantize(_), true) => {
                solver.equals(&outputs[0].datum_type, &inputs[2].datum_type)
            }
            (Way::Quantize(told), false) => {
                solver.equals(&outputs[0].datum_type, told.unwrap_or(DatumType::U8))
            }
        }
    }

    // tract computes what has known inputs while it infers, and keeps it.
    fn runs_out_of_plan(&self) -> bool {
        self.way != Way::Spread
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = if self.axis < 0 { self.axis + rank as i64 } else { self.axis };
        let single = |fact: &TypedFact| fact.shape.volume().is_one();
        if !single(model.outlet_fact(inputs[1])?) {
            ensure!((0..rank as i64).contains(&axis), "there is no axis {} to scale", self.axis);
        }
        let axis = usize::try_from(axis).unwrap_or(0);
        let stored = |outlet: &OutletId| -> TractResult<Option<Arc<Tensor>>> {
            Ok(model.outlet_fact(*outlet)?.konst.clone())
        };
        let zero_point = inputs.get(2).map(stored).transpose()?;
        let known = match (stored(&inputs[1])?, zero_point) {
            (Some(scales), None) => Some(Steps::read(axis, &scales, None)?),
            (Some(scales), Some(Some(zero_points))) => {
                Some(Steps::read(axis, &scales, Some(&zero_points))?)
            }
            (None, _) | (Some(_), Some(None)) => None,
        };
        let known = known.map(Arc::new);
        let fed = if known.is_some() { &inputs[..1] } else { inputs };
        match self.way {
            Way::Dequantize => {
                let to = model.outlet_fact(inputs[1])?.datum_type;
                model.wire_node(prefix, Dequantize { axis, to, known }, fed)
            }
            Way::Spread => {
                let to = model.outlet_fact(inputs[1])?.datum_type;
                ensure!(known.is_some(), "the scale of stored integers is not known");
                model.wire_node(prefix, Spread(Dequantize { axis, to, known }), fed)
            }
            Way::Quantize(told) => {
                let to = match inputs.get(2) {
                    Some(zero_point) => model.outlet_fact(*zero_point)?.datum_type,
                    None => told.unwrap_or(DatumType::U8),
                };
                model.wire_node(prefix, quantize(axis, to, known)?, fed)
            }
        }
    }
}

/// The operator to integers of type `to`; its inputs are values, and scale and maybe zero point
/// where they are not known yet.
fn quantize(axis: usize, to: DatumType, known: Option<Arc<Steps>>) -> TractResult<Quantize> {
    let ours = [DatumType::U8, DatumType::I8, DatumType::U16, DatumType::I16];
    ensure!(ours.contains(&to), "quantising to {to:?} is not supported");
    Ok(Quantize { axis, to, known })
}

/// Between floats and integers, value by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scaled<const TO_INTEGERS: bool> {
    pub(super) axis: usize,
    /// The integers, or the floats, which have the type of the scale.
    pub(super) to: DatumType,
    /// There when scale and zero point are written in the file: they are no inputs then.
    pub(super) known: Option<Arc<Steps>>,
}

/// To integers: `saturate(round_half_to_even(value / scale) + zero point)`.
pub(super) type Quantize = Scaled<true>;

/// To floats: `(value - zero point) * scale`.
pub(super) type Dequantize = Scaled<false>;

/// The steps that an operator knows, or that its inputs hold.
fn steps(known: Option<&Arc<Steps>>, axis: usize, inputs: &[TValue]) -> TractResult<Arc<Steps>> {
    match known {
        Some(known) => Ok(known.clone()),
        None => Ok(Arc::new(Steps::read(axis, &inputs[1], inputs.get(2).map(|one| &**one))?)),
    }
}

/// An axis, and the steps that may be known.
fn said(from: &mut Saying) -> Option<(usize, Option<Arc<Steps>>)> {
    let axis = from.size()?;
    let known = match from.size()? {
        0 => None,
        1 => Some(Arc::new(Steps::said(from)?)),
        _ => return None,
    };
    Some((axis, known))
}

impl<const TO_INTEGERS: bool> Scaled<TO_INTEGERS> {
    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        to.types.push(self.to);
        to.size(self.axis);
        to.size(usize::from(self.known.is_some()));
        if let Some(steps) = &self.known {
            steps.say(to);
        }
    }
}

impl Quantize {
    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Quantize> {
        let to = from.datum_type()?;
        let (axis, known) = said(from)?;
        quantize(axis, to, known).ok()
    }
}

impl Dequantize {
    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Dequantize> {
        let to = from.datum_type().filter(|it| it.is_float())?;
        let (axis, known) = said(from)?;
        Some(Dequantize { axis, to, known })
    }
}

/// Values may be moved about where all have one scale.
pub(super) fn is_elementwise(known: Option<&Arc<Steps>>) -> bool {
    known.is_some_and(|steps| steps.single().is_some())
}

impl<const TO_INTEGERS: bool> Op for Scaled<TO_INTEGERS> {
    fn name(&self) -> StaticName {
        if TO_INTEGERS { "Quantize" } else { "Dequantize" }.into()
    }

    op_as_typed_op!();
}

impl<const TO_INTEGERS: bool> EvalOp for Scaled<TO_INTEGERS> {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let steps = steps(self.known.as_ref(), self.axis, &inputs)?;
        let made = match TO_INTEGERS {
            true => steps.quantized(&inputs[0], self.to)?,
            false => steps.dequantized(&inputs[0], self.to)?,
        };
        Ok(tvec!(made.into_tvalue()))
    }
}

impl<const TO_INTEGERS: bool> TypedOp for Scaled<TO_INTEGERS> {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.to.fact(inputs[0].shape.clone())))
    }

    fn axes_mapping(
        &self,
        inputs: &[&TypedFact],
        outputs: &[&TypedFact],
    ) -> TractResult<AxesMapping> {
        match is_elementwise(self.known.as_ref()) {
            true => AxesMapping::natural(inputs, outputs),
            false => AxesMapping::disconnected(inputs, outputs),
        }
    }

    fn change_axes(
        &self,
        model: &TypedModel,
        node: &TypedNode,
        _io: InOut,
        change: &AxisOp,
    ) -> TractResult<Option<AxisChangeConsequence>> {
        Ok(is_elementwise(self.known.as_ref())
            .then(|| AxisChangeConsequence::new(model, node, None, change)))
    }

    as_op!();
}
