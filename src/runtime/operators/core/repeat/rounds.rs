//! A loop in a typed graph: its body runs round by round, within the deadline of its request.

use super::super::super::super::check::TENSOR_BYTES_MAX;
use super::super::super::super::deadline::Deadline;
use super::super::body::{Body, with_symbols};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

/// Rounds of one loop: a minute of sound with a round for each sample has a million.
const ROUNDS_MAX: usize = 4 << 20;

/// The loop in a typed graph.
#[derive(Debug, Clone)]
pub(super) struct Rounds {
    pub(super) counted: bool,
    pub(super) conditional: bool,
    pub(super) carried: usize,
    pub(super) wanted: Vec<bool>,
    /// Of each value that it ends with.
    pub(super) shapes: Vec<TypedFact>,
    pub(super) body: Body,
}

impl PartialEq for Rounds {
    fn eq(&self, _other: &Rounds) -> bool {
        false
    }
}

impl Eq for Rounds {}

impl Op for Rounds {
    fn name(&self) -> StaticName {
        "Loop".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Rounds {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut inputs = inputs.into_iter();
        let mut scalar = |given: bool| if given { inputs.next() } else { None };
        let limit = scalar(self.counted).map(|value| value.cast_to_scalar::<i64>()).transpose()?;
        let goes_on = scalar(self.conditional).map(|value| value.cast_to_scalar::<bool>());
        let mut goes_on = goes_on.transpose()?.unwrap_or(true);
        let mut carried: TVec<TValue> = inputs.by_ref().take(self.carried).collect();
        let outer: TVec<TValue> = inputs.collect();
        let plan = self.body.plan()?;
        let mut state = plan.spawn()?;
        let mut scanned: Vec<Vec<TValue>> = vec![Vec::new(); self.wanted.len() - self.carried];
        let mut bytes = 0_u64;
        let mut round = 0_usize;
        while goes_on && limit.is_none_or(|limit| (round as i64) < limit) {
            ensure!(!Deadline::here().has_passed(), "a loop was not done when the time was over");
            ensure!(
                round < ROUNDS_MAX,
                "a loop goes on after {ROUNDS_MAX} rounds, which are allowed"
            );
            let mut values: TVec<TValue> =
                tvec!(tensor0(round as i64).into_tvalue(), tensor0(goes_on).into_tvalue());
            values.extend(carried.drain(..));
            values.extend(outer.iter().cloned());
            let mut made = state.run(values)?.into_iter();
            goes_on =
                made.next().context("its body makes no condition")?.cast_to_scalar::<bool>()?;
            carried.extend(made.by_ref().take(self.carried));
            for (all, one) in scanned.iter_mut().zip(made) {
                bytes = bytes.saturating_add((one.len() * one.datum_type().size_of()) as u64);
                ensure!(
                    bytes <= TENSOR_BYTES_MAX,
                    "a loop gathers more than the {TENSOR_BYTES_MAX} bytes that are allowed"
                );
                all.push(one);
            }
            if state.op_states.iter().any(Option::is_some) {
                state = plan.spawn()?; // an inner loop of tract's would go on where it was
            }
            round += 1;
        }
        let mut outputs = TVec::new();
        let scans = scanned.into_iter().enumerate();
        let scans = scans.map(|(place, all)| self.stacked(ctx, self.carried + place, all));
        let ends = carried.into_iter().map(Ok).chain(scans);
        for (end, wanted) in ends.zip(&self.wanted) {
            if *wanted {
                outputs.push(end?);
            }
        }
        Ok(outputs)
    }
}

impl Rounds {
    /// What was made in all rounds, one after the other along a new first axis.
    fn stacked(
        &self,
        ctx: &EvalContext<'_>,
        place: usize,
        all: Vec<TValue>,
    ) -> TractResult<TValue> {
        let Some(first) = all.first() else {
            let fact = &self.shapes[place];
            let extent = |dim: &TDim| dim.eval(ctx.symbols).to_usize().unwrap_or(0);
            let own = fact.shape.iter().skip(1).map(extent);
            let shape: TVec<usize> = std::iter::once(0).chain(own).collect();
            return Ok(Tensor::zero_dt(fact.datum_type, &shape)?.into_tvalue());
        };
        let shape = first.shape().to_vec();
        ensure!(
            all.iter().all(|one| one.shape() == shape),
            "what a loop gathers has the shape {shape:?} in one round and another in another"
        );
        let mut rows = Vec::with_capacity(all.len());
        for one in all {
            let mut one = one.into_tensor();
            one.insert_axis(0)?;
            rows.push(one);
        }
        Ok(Tensor::stack_tensors(0, &rows)?.into_tvalue())
    }

    fn with(&self, body: Body, shapes: Vec<TypedFact>) -> Rounds {
        Rounds { body, shapes, ..self.clone() }
    }
}

impl TypedOp for Rounds {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let ends = self.shapes.iter().zip(&self.wanted);
        Ok(ends.filter(|(_, wanted)| **wanted).map(|(fact, _)| fact.clone()).collect())
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
        let shapes = with_symbols(&self.shapes, substitutions)?;
        let op = self.with(self.body.set_symbols(substitutions)?, shapes);
        target.wire_node(&node.name, op, &inputs)
    }

    fn codegen(
        &self,
        model: &TypedModel,
        node: &TypedNode,
    ) -> TractResult<Option<TypedModelPatch>> {
        match &self.body {
            Body::Plan(_) => Ok(None),
            Body::Graph(_) => {
                let op = self.with(Body::Plan(self.body.plan()?), self.shapes.clone());
                Ok(Some(TypedModelPatch::replace_single_op(model, node, &node.inputs, op)?))
            }
        }
    }

    as_op!();
}
