//! Runs a model once on whole tensors, without the rows and columns of a request.

use super::Deadline;
use super::error::{RunError, contained};
use super::load::{Extent, Model};
use super::values;
use crate::tensor::{Misfit, MisfitKind, NamedTensor, Port, Tensor};
use std::collections::HashMap;
use tract_onnx::prelude::{IntoTValue, TVec};
use tract_onnx::tract_core::internal::Symbol;

impl Model {
    /// Computes the outputs for these inputs, given in the order of [`inputs`](Self::inputs).
    ///
    /// Nothing is converted, cut into parts or joined: each tensor is the model's input as it
    /// stands, and it runs on the calling thread. Known answers and conformance are asked so.
    ///
    /// # Errors
    /// When the tensors are not what the model takes, or it cannot compute these values.
    pub fn compute(
        &self,
        inputs: &[Tensor<'_>],
        deadline: Deadline,
    ) -> Result<Vec<NamedTensor<'static>>, RunError> {
        if inputs.len() != self.inputs().len() {
            let sentence = format!(
                "the model takes {} tensors, not {}: send one for each input",
                self.inputs().len(),
                inputs.len()
            );
            return Err(Misfit::new(MisfitKind::MissingColumn, sentence).into());
        }
        let mut open: HashMap<Symbol, usize> = HashMap::new();
        for ((port, extents), tensor) in self.inputs().iter().zip(&self.extents).zip(inputs) {
            settle(port, extents, tensor, &mut open)?;
        }
        let values: TVec<_> = contained(|| {
            inputs
                .iter()
                .map(|tensor| Ok(values::into_tract(tensor.shape(), tensor.data())?.into_tvalue()))
                .collect()
        })?;
        let outputs = match &self.late {
            Some(late) => late.run(None, None, values, deadline)?,
            None => self.plan_for(None, |symbol| open[symbol])?.run(values, deadline)?,
        };
        let outputs: Vec<Tensor<'static>> =
            contained(|| outputs.iter().map(|output| values::from_tract(output)).collect())?;
        let names = self.outputs().iter().map(|port| port.name.clone());
        Ok(names.zip(outputs).map(|(name, tensor)| NamedTensor { name, tensor }).collect())
    }
}

/// Whether `tensor` is what `port` takes; what its open dimensions are is noted in `open`.
fn settle(
    port: &Port,
    extents: &[Extent],
    tensor: &Tensor<'_>,
    open: &mut HashMap<Symbol, usize>,
) -> Result<(), RunError> {
    let fits = |(extent, told): (&Extent, &usize)| match extent {
        Extent::Fixed(fixed) => fixed == told,
        Extent::Free(symbol) => *open.entry(symbol.clone()).or_insert(*told) == *told,
    };
    let shape = tensor.shape();
    if tensor.element() == port.element
        && shape.len() == extents.len()
        && extents.iter().zip(shape).all(fits)
    {
        return Ok(());
    }
    let found = format!("{} of shape {shape:?}", tensor.element());
    let sentence = format!("input `{}` is {found} where the model takes {port}", port.name);
    let misfit = Misfit::new(MisfitKind::WrongShape, sentence).column(&port.name);
    Err(misfit.expected(port.to_string(), found).into())
}
