//! A program as an operator of tract's graph: tensors in, tensors out.

use super::program::{Program, Work};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// A stretch of a net that runs in blocks of channels.
#[derive(Debug)]
pub(super) struct Blocked<W: Work> {
    pub(super) program: Arc<Program<W>>,
    pub(super) facts: TVec<TypedFact>,
    pub(super) rows: usize,
}

impl<W: Work> Clone for Blocked<W> {
    fn clone(&self) -> Blocked<W> {
        let Blocked { program, facts, rows } = self;
        Blocked { program: program.clone(), facts: facts.clone(), rows: *rows }
    }
}

// tract compares operators to join what is the same: each of these is its own.
impl<W: Work> PartialEq for Blocked<W> {
    fn eq(&self, other: &Blocked<W>) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }
}

impl<W: Work> Eq for Blocked<W> {}

impl<W: Work> Op for Blocked<W> {
    fn name(&self) -> StaticName {
        W::NAME.into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let (weights, buffers) = self.program.bytes();
        Ok(vec![format!(
            "{} steps in {}, {weights} bytes of weights, {buffers} bytes of buffers",
            self.program.steps.len(),
            W::vectors(self.program.kind),
        )])
    }

    op_as_typed_op!();
}

impl<W: Work> EvalOp for Blocked<W> {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let given: Vec<&[W::Element]> =
            inputs.iter().map(|input| W::given(input)).collect::<TractResult<_>>()?;
        let mut outputs = Vec::new();
        for fact in &self.facts {
            let shape = fact.shape.as_concrete().context("the shape of an image")?;
            outputs.push(Tensor::zero_dt(fact.datum_type, shape)?);
        }
        let mut plain: Vec<_> = outputs
            .iter_mut()
            .map(|output| output.try_as_plain_ram_mut())
            .collect::<TractResult<_>>()?;
        let mut made: Vec<&mut [W::Element]> =
            plain.iter_mut().map(W::made).collect::<TractResult<_>>()?;
        if !self.program.run(self.rows, &given, &mut made) {
            bail!("the deadline has passed");
        }
        Ok(outputs.into_iter().map(Tensor::into_tvalue).collect())
    }
}

impl<W: Work> TypedOp for Blocked<W> {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    as_op!();
}
