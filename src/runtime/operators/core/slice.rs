//! `Slice` by bounds that are only known while the model runs.

// tract takes such bounds as they stand: it knows no negative ones, none beyond the end, ignores
// a step, and gives the result a length by a name that nothing resolves.

use super::{TRACTS_SLICE, tracts};
use tract_onnx::model::{ParsingContext, optional_inputs};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::StridedSlice;
use tract_onnx::tract_hir::infer::InferenceNode;
use tract_onnx::tract_hir::internal::{
    InferenceOp, InferenceResult, InferenceRulesOp, Solver, TensorProxy,
};

pub(super) fn slice(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    if context.onnx_operator_set_version < 10 {
        return tracts(context, node, TRACTS_SLICE); // its bounds are written down
    }
    let mut optional = optional_inputs(node).skip(3);
    let slice = StridedSlice {
        begin_mask: 0,
        end_mask: 0,
        shrink_axis_mask: 0,
        optional_axes_input: optional.next().flatten(),
        optional_steps_input: optional.next().flatten(),
    };
    Ok((Box::new(Slice(slice)), Vec::new()))
}

/// Tract's, until its bounds are known or are known not to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slice(StridedSlice);

impl Op for Slice {
    fn name(&self) -> StaticName {
        "Slice".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Slice {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(ctx, inputs)
    }
}

impl InferenceRulesOp for Slice {
    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.0.rules(solver, inputs, outputs)
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        let mut known = Vec::new();
        for input in &inputs[1..] {
            known.push(target.outlet_fact(*input)?.konst.clone());
        }
        if known.iter().all(Option::is_some) {
            return target.wire_node(&node.name, self.0.clone(), &inputs);
        }
        let fact = target.outlet_fact(inputs[0])?.clone();
        let axes = match self.0.optional_axes_input.map(|place| known[place - 1].as_ref()) {
            // Without axes they are the first ones, as many as there are bounds.
            None => Some((0..target.outlet_fact(inputs[1])?.shape[0].to_usize()?).collect()),
            Some(Some(axes)) => Some(axes_of(axes, fact.rank())?),
            Some(None) => None, // any may be cut
        };
        let cut = |axis: usize| axes.as_ref().is_none_or(|axes: &Vec<usize>| axes.contains(&axis));
        let dims = fact.shape.iter().enumerate().map(|(axis, dim)| match cut(axis) {
            true => target.symbols.new_with_prefix("cut").to_dim(),
            false => dim.clone(),
        });
        let cut = Cut {
            shape: dims.collect(),
            axes: self.0.optional_axes_input,
            steps: self.0.optional_steps_input,
        };
        target.wire_node(&node.name, cut, &inputs)
    }

    as_op!();
}

fn axes_of(axes: &Tensor, rank: usize) -> TractResult<Vec<usize>> {
    let axes = axes.cast_to::<i64>()?;
    let axes = axes.try_as_plain_ram()?;
    let own = axes.as_slice::<i64>()?.iter().map(|axis| {
        let own = usize::try_from(if *axis < 0 { axis + rank as i64 } else { *axis });
        match own {
            Ok(own) if own < rank => Ok(own),
            Ok(_) | Err(_) => bail!("it cuts along the axis {axis} of {rank}"),
        }
    });
    own.collect()
}

/// The same in a typed graph, where a bound is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cut {
    /// With names for the extents that come of the bounds.
    shape: TVec<TDim>,
    axes: Option<usize>,
    steps: Option<usize>,
}

impl Op for Cut {
    fn name(&self) -> StaticName {
        "Cut".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Cut {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let integers = |place: usize| -> TractResult<Vec<i64>> {
            if inputs[place].datum_type() != DatumType::TDim {
                // Not by way of a dimension, which keeps 32 bits: an end is often the largest integer.
                let values = inputs[place].cast_to::<i64>()?;
                return Ok(values.try_as_plain_ram()?.as_slice::<i64>()?.to_vec());
            }
            let values = inputs[place].try_as_plain_ram()?;
            let values = values.as_slice::<TDim>()?.iter();
            values.map(|value| Ok(value.eval(ctx.symbols).to_i64()?)).collect()
        };
        let (starts, ends) = (integers(1)?, integers(2)?);
        let rank = inputs[0].rank();
        let axes = match self.axes {
            Some(place) => axes_of(&inputs[place], rank)?,
            None => (0..starts.len()).collect(),
        };
        let steps = self.steps.map_or_else(|| Ok(vec![1; starts.len()]), integers)?;
        ensure!(
            [ends.len(), axes.len(), steps.len()] == [starts.len(); 3] && starts.len() <= rank,
            "it has {} beginnings, {} ends, {} axes and {} steps for {rank} dimensions",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        );
        let mut value = inputs[0].clone();
        for (place, axis) in axes.into_iter().enumerate() {
            let extent = value.shape()[axis];
            let (from, to) = span(starts[place], ends[place], steps[place], extent as i64)?;
            if from == to {
                let mut shape = value.shape().to_vec();
                shape[axis] = 0;
                value = Tensor::zero_dt(value.datum_type(), &shape)?.into_tvalue();
                continue;
            }
            if (from, to) != (0, extent) {
                value = value.slice(axis, from, to)?.into_tvalue();
            }
            if steps[place] != 1 {
                let every = Downsample::new(axis, isize::try_from(steps[place])?, 0);
                value = args_1!(every.eval(ctx, tvec!(value))?);
            }
        }
        Ok(tvec!(value))
    }
}

/// The places from which and to which a span of steps reaches, the first below the second; by
/// <https://github.com/onnx/onnx/blob/main/docs/Operators.md#Slice>.
fn span(start: i64, end: i64, step: i64, extent: i64) -> TractResult<(usize, usize)> {
    ensure!(step != 0, "it steps by 0");
    let own = |place: i64| if place < 0 { place.saturating_add(extent) } else { place };
    let (from, to) = match step > 0 {
        true => (own(start).clamp(0, extent), own(end).clamp(0, extent)),
        // Backwards: from behind the end to behind the start.
        false => (own(end).clamp(-1, extent - 1) + 1, own(start).clamp(-1, extent - 1) + 1),
    };
    Ok((from.min(to) as usize, to as usize))
}

impl TypedOp for Cut {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].datum_type.fact(&*self.shape)))
    }

    fn set_symbols(
        &self,
        _source: &TypedModel,
        node: &TypedNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
        substitutions: &HashMap<Symbol, TDim>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        let shape = self.shape.iter().map(|dim| dim.substitute_all(substitutions));
        let cut = Cut { shape: shape.collect::<TractResult<_>>()?, ..self.clone() };
        target.wire_node(&node.name, cut, &inputs)
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_python_reads_them() {
        let cases = [
            ((0, 3, 1), (0, 3)),
            ((-2, i64::MAX, 1), (3, 5)),
            ((1, -1, 2), (1, 4)),
            ((4, 2, 1), (2, 2)),
            ((7, 9, 1), (5, 5)),
            ((-1, i64::MIN, -1), (0, 5)),
            ((3, 0, -2), (1, 4)),
            ((0, 3, -1), (1, 1)),
        ];
        for ((start, end, step), wanted) in cases {
            assert_eq!(span(start, end, step, 5).unwrap(), wanted, "{start}:{end}:{step}");
        }
        assert_eq!(span(0, 3, -1, 0).unwrap(), (0, 0));
        assert!(span(0, 1, 0, 5).is_err());
    }
}
