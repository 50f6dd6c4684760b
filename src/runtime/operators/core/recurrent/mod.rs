//! `LSTM`, `GRU`, `RNN` and `DynamicQuantizeLSTM` over whole sequences, where tract runs a graph for each step.
//!
//! With the usual functions at the gates they are computed by kernels, where the processor has vectors.
//! The others are computed here one value at a time, after
//! <https://github.com/onnx/onnx/blob/main/docs/Operators.md#LSTM> and its kin. Without kernels tract
//! has the plain form: forwards or both ways, all sequences of one length, the usual functions.

mod cell;
mod function;
mod layer;
mod prepared;
mod product;
mod said;

use super::{TRACTS_GRU, TRACTS_LSTM, TRACTS_RNN, float, integer, tracts};
use function::{Function, functions};
pub(in super::super) use layer::Layer;
use prepared::is_on;
pub(in crate::runtime) use prepared::prepare;
use tract_onnx::model::{ParsingContext, optional_inputs, optional_outputs};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand,
};

/// Which layer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gru {
        /// The hidden state is multiplied with its weights before it is reset, not after.
        linear_before_reset: bool,
    },
    Lstm,
    Rnn,
}

impl Kind {
    /// Blocks of rows in the weights.
    fn gates(self) -> usize {
        match self {
            Kind::Gru { .. } => 3,
            Kind::Lstm => 4,
            Kind::Rnn => 1,
        }
    }

    fn usual(self) -> &'static [Function] {
        match self {
            Kind::Gru { .. } => &[Function::Sigmoid, Function::Tanh],
            Kind::Lstm => &[Function::Sigmoid, Function::Tanh, Function::Tanh],
            Kind::Rnn => &[Function::Tanh],
        }
    }
}

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

pub(super) fn gru(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let linear_before_reset = integer(node, "linear_before_reset", 0) != 0;
    built(context, node, Kind::Gru { linear_before_reset }, TRACTS_GRU)
}

pub(super) fn lstm(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    built(context, node, Kind::Lstm, TRACTS_LSTM)
}

pub(super) fn rnn(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    built(context, node, Kind::Rnn, TRACTS_RNN)
}

pub(super) fn dynamic_quantize_lstm(_context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    Ok((expand(Recurrent { layer: Layer::read(node, Kind::Lstm, true)? }), Vec::new()))
}

fn built(context: &ParsingContext<'_>, node: &NodeProto, kind: Kind, name: &str) -> Built {
    let layer = Layer::read(node, kind, false)?;
    // What is quick has a kernel; for the others tract's way is as good where it can go it.
    match layer.is_plain() && !(is_on() && layer.is_quick()) {
        true => tracts(context, node, name),
        false => Ok((expand(Recurrent { layer }), Vec::new())),
    }
}

/// The layer in a graph that is not typed yet.
#[derive(Debug, Clone)]
struct Recurrent {
    layer: Layer,
}

impl Expansion for Recurrent {
    fn name(&self) -> StaticName {
        "Recurrent".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.layer.outputs.iter().flatten().count())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let layer = &self.layer;
        let [batch, steps] = layer.batch_and_steps();
        for input in &inputs[..3] {
            solver.equals(&input.rank, 3)?;
        }
        let direction = if layer.batch_first { 1 } else { 0 };
        let state = if layer.batch_first { 0 } else { 1 };
        for (place, output) in layer.outputs.iter().enumerate() {
            let Some(slot) = output else { continue };
            let output = &outputs[*slot];
            solver.equals(&output.datum_type, &inputs[0].datum_type)?;
            let (rank, batch_axis, direction_axis) = match (place, layer.batch_first) {
                (0, false) => (4, 2, 1),
                (0, true) => (4, 0, 2),
                (_, _) => (3, state, direction),
            };
            solver.equals(&output.rank, rank as i64)?;
            solver.equals(&output.shape[batch_axis], &inputs[0].shape[batch])?;
            solver.equals(&output.shape[direction_axis], (layer.directions() as i64).to_dim())?;
            solver.equals(&output.shape[rank - 1], &inputs[2].shape[layer.hidden_axis()])?;
            if place == 0 {
                solver.equals(&output.shape[steps], &inputs[0].shape[steps])?;
            }
        }
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        use tract_onnx::tract_core::ops::cast::cast;
        let element = model.outlet_fact(inputs[0])?.datum_type;
        ensure!(
            element == f32::datum_type() || element == f16::datum_type(),
            "it computes in {element:?}, which this runtime does in 16 and 32 bits alone"
        );
        // Sums of 16 bits lose what a long sequence adds up; onnxruntime casts in the same places.
        let mut wide = TVec::new();
        for (place, input) in inputs.iter().enumerate() {
            let narrow = model.outlet_fact(*input)?.datum_type == f16::datum_type();
            wide.push(match narrow {
                true => model.wire_node(
                    format!("{prefix}.wide_{place}"),
                    cast(f32::datum_type()),
                    &[*input],
                )?[0],
                false => *input,
            });
        }
        if element == f32::datum_type() {
            return model.wire_node(prefix, self.layer.clone(), &wide);
        }
        let outputs = model.wire_node(format!("{prefix}.layer"), self.layer.clone(), &wide)?;
        let outputs = outputs.into_iter().enumerate().map(|(slot, output)| {
            Ok(model.wire_node(format!("{prefix}.narrow_{slot}"), cast(element), &[output])?[0])
        });
        outputs.collect()
    }
}

#[cfg(test)]
mod tests;
