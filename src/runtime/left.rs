//! Weights of a graph that is typed for each request, left in the model's file: each new plan reads them, and drops them once they are packed.

use super::onnx::Places;
use crate::disk::Picking;
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::Factoid;

/// Bytes of a tensor from which on it is left, and those of all that are worth it.
const LONG_BYTES_MIN: usize = 4 << 10;
const WEIGHTS_BYTES_MIN: usize = 256 << 10;

/// The weights that a graph lacks.
#[derive(Debug)]
pub(super) struct Left {
    file: Arc<Picking>,
    weights: Vec<Weight>,
    /// With all of them, for the first plan.
    first: Mutex<Option<InferenceModel>>,
}

/// One of them: its node, its form, and where in the file it is.
#[derive(Debug)]
struct Weight {
    node: usize,
    datum: DatumType,
    shape: TVec<usize>,
    offset: u64,
    /// Whether the node's fact tells the value, too.
    is_told: bool,
}

impl Left {
    /// Takes the weights that are in the file from a graph; none when they are few. In their place it has tensors
    /// of another shape: who takes these for weights fails.
    pub(super) fn of(graph: &mut InferenceModel, places: &Places) -> TractResult<Option<Left>> {
        let Some(file) = places.file().cloned() else { return Ok(None) };
        let mut weights = Vec::new();
        let mut bytes = 0;
        for (node, it) in graph.nodes().iter().enumerate() {
            let Some(tensor) = it.op_as::<Const>().map(Const::val) else { continue };
            let Some(offset) = places.of(tensor) else { continue };
            let tensor_bytes = tensor.len() * tensor.datum_type().size_of();
            if tensor_bytes < LONG_BYTES_MIN || !tensor.is_plain_ram() {
                continue;
            }
            bytes += tensor_bytes;
            weights.push(Weight {
                node,
                datum: tensor.datum_type(),
                shape: tensor.shape().into(),
                offset,
                is_told: it.outputs[0].fact.value.is_concrete(),
            });
        }
        if bytes < WEIGHTS_BYTES_MIN {
            return Ok(None);
        }
        let first = Mutex::new(Some(graph.clone()));
        let nothing = Arc::new(Tensor::zero_dt(DatumType::F32, &[0])?);
        for weight in &weights {
            let Weight { node, datum, shape, .. } = weight;
            let node = graph.node_mut(*node);
            node.op = Box::new(Const::new(nothing.clone())?);
            if weight.is_told {
                node.outputs[0].fact = InferenceFact::dt_shape(*datum, shape);
            }
        }
        Ok(Some(Left { file, weights, first }))
    }

    /// The graph with all weights; none when the file cannot be read, or was written to since it was opened.
    pub(super) fn fill(&self, graph: &InferenceModel) -> TractResult<Option<InferenceModel>> {
        if let Some(first) = self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(Some(first));
        }
        let mut graph = graph.clone();
        for Weight { node, datum, shape, offset, is_told } in &self.weights {
            let mut tensor = Tensor::zero_dt(*datum, shape)?;
            if self.file.read_exact_at(tensor.as_bytes_mut(), *offset).is_err() {
                return Ok(None);
            }
            let (tensor, node) = (Arc::new(tensor), graph.node_mut(*node));
            node.op = Box::new(Const::new(tensor.clone())?);
            if *is_told {
                node.outputs[0].fact = InferenceFact::try_from(tensor)?;
            }
        }
        // After all were read: what was written before that shows.
        let is_unchanged = self.file.is_unchanged().unwrap_or(false);
        Ok(is_unchanged.then_some(graph))
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::tests::weighted::{answer, shaped};
    use crate::runtime::{Model, RunError};

    #[test]
    fn plans_read_the_weights_that_nodes_hold_again_and_answer_as_those_that_have_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), shaped()).unwrap();
        let left = Model::load(file.path()).unwrap();
        let whole = Model::from_bytes(shaped()).unwrap();
        assert!(left.late.as_ref().unwrap().is_left() && !whole.late.as_ref().unwrap().is_left());
        for rows in [1, 8, 3, 1] {
            assert_eq!(answer(&left, rows).unwrap(), answer(&whole, rows).unwrap(), "{rows} rows");
        }
        std::fs::write(file.path(), vec![0; shaped().len() + 1]).unwrap();
        let error = answer(&left, 2).unwrap_err();
        assert!(matches!(error, RunError::Unread), "{error}");
        assert_eq!(answer(&left, 3).unwrap(), answer(&whole, 3).unwrap(), "a plan is there");
    }
}
