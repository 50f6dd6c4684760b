//! A program of bytes as an operator of tract's graph: tensors of integers in, such tensors out.

use super::program::Program;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// A stretch of a quantised net that stays in integers.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Integers {
    pub(super) program: Arc<Program>,
    pub(super) facts: TVec<TypedFact>,
    pub(super) rows: usize,
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Integers {
    fn eq(&self, other: &Integers) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }
}

impl Eq for Integers {}

impl Hash for Integers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.program).hash(state);
    }
}

impl Op for Integers {
    fn name(&self) -> StaticName {
        "Integers".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let (weights, buffers) = self.program.bytes();
        Ok(vec![format!(
            "{} steps in {}, {weights} bytes of weights, {buffers} bytes of buffers",
            self.program.steps.len(),
            self.program.kind.name(),
        )])
    }

    op_as_typed_op!();
}

impl EvalOp for Integers {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let plain: Vec<_> =
            inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<_>>()?;
        let bytes: Vec<&[u8]> = plain.iter().map(|input| input.as_bytes()).collect();
        let mut outputs = Vec::new();
        for fact in &self.facts {
            let shape = fact.shape.as_concrete().context("the shape of an image")?;
            outputs.push(Tensor::zero_dt(fact.datum_type, shape)?);
        }
        let mut plain: Vec<_> = outputs
            .iter_mut()
            .map(|output| output.try_as_plain_ram_mut())
            .collect::<TractResult<_>>()?;
        let mut slices: Vec<&mut [u8]> =
            plain.iter_mut().map(|output| output.as_bytes_mut()).collect();
        if !self.program.run(self.rows, &bytes, &mut slices) {
            bail!("the deadline has passed");
        }
        Ok(outputs.into_iter().map(Tensor::into_tvalue).collect())
    }
}

impl TypedOp for Integers {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    as_op!();
}
