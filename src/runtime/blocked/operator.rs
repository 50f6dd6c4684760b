//! A program as an operator of tract's graph: tensors in, tensors out.

use super::program::Program;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// A stretch of a net that runs in blocks of channels.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Blocked {
    pub(super) program: Arc<Program>,
    pub(super) facts: TVec<TypedFact>,
    pub(super) rows: usize,
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Blocked {
    fn eq(&self, other: &Blocked) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }
}

impl Eq for Blocked {}

impl Hash for Blocked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.program).hash(state);
    }
}

impl Op for Blocked {
    fn name(&self) -> StaticName {
        "Blocked".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let (weights, buffers) = self.program.floats();
        Ok(vec![format!(
            "{} steps in {}, {} bytes of weights, {} bytes of buffers",
            self.program.steps.len(),
            self.program.kind.name(),
            weights * size_of::<f32>(),
            buffers * size_of::<f32>()
        )])
    }

    op_as_typed_op!();
}

impl EvalOp for Blocked {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let plain: Vec<_> =
            inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<_>>()?;
        let plain: Vec<&[f32]> =
            plain.iter().map(|input| input.as_slice::<f32>()).collect::<TractResult<_>>()?;
        let mut outputs = Vec::new();
        for fact in &self.facts {
            let shape = fact.shape.as_concrete().context("the shape of an image")?;
            outputs.push(vec![0.0_f32; shape.iter().product()]);
        }
        let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        if !self.program.run(self.rows, &plain, &mut slices) {
            bail!("the deadline has passed");
        }
        let tensors = outputs.into_iter().zip(&self.facts).map(|(values, fact)| {
            let shape = fact.shape.as_concrete().context("the shape of an image")?;
            Ok(tract_ndarray::ArrayD::from_shape_vec(shape, values)?.into_tensor().into_tvalue())
        });
        tensors.collect()
    }
}

impl TypedOp for Blocked {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    as_op!();
}
