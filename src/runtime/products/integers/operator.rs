//! Kernels of integers as operators of tract's graph: integers of 8 bits in, codes, floats or counts out.

use super::super::operator::{Compute, shaped};
use crate::runtime::kernels::Crew;
use crate::runtime::kernels::integers::{Added, Code, Coded, Crossed, Product, Rows};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Multiplications of integers that are worth waking a thread for: some 60 microseconds of one.
const SHARED_MIN: usize = 32 << 20;

/// What stands for zero in the rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zero {
    Known(i32),
    /// By the place of the input that has it.
    Given(usize),
}

/// What is made of the counts.
#[derive(Debug)]
pub(super) enum Made {
    Counts,
    /// In steps for each column, from this zero point, and what is added to these codes then.
    Codes {
        steps: Vec<f32>,
        code: i32,
        added: Option<Added>,
    },
    /// Times factors, which an input has where it is told, plus what is added to each column where
    /// something is, but no less than `least`.
    Floats {
        factors: Vec<f32>,
        given: Option<usize>,
        added: Vec<f32>,
        least: f32,
    },
}

/// A product with weights that are known.
#[derive(Debug)]
pub(super) struct Parts {
    /// Shared with the plans that have the same.
    pub(super) product: Arc<Product>,
    pub(super) zero: Zero,
    pub(super) made: Made,
}

/// Integers of 8 bits as the operator makes them: bytes of this type.
pub(super) fn of_bytes(made: &TypedFact, bytes: Vec<u8>) -> TractResult<Tensor> {
    match made.datum_type == DatumType::I8 {
        true => shaped(made, bytes.into_iter().map(u8::cast_signed).collect()),
        false => shaped(made, bytes),
    }
}

impl Compute for Parts {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn info(&self) -> Vec<String> {
        let made = match self.made {
            Made::Counts => "counts",
            Made::Codes { .. } => "codes",
            Made::Floats { .. } => "floats",
        };
        let (kind, bytes) = (self.product.kind().name(), self.product.bytes());
        vec![format!("{made} in {kind}, {bytes} bytes of weights")]
    }

    fn work(&self, made: usize) -> usize {
        self.product.work(made)
    }

    fn shared_from(&self) -> usize {
        SHARED_MIN
    }

    fn weights(&self) -> (DatumType, usize) {
        (DatumType::I8, self.product.bytes())
    }

    fn run(&self, inputs: &[TValue], fact: &TypedFact, crew: &dyn Crew) -> TractResult<Tensor> {
        let Parts { product, zero, made } = self;
        let is_signed = inputs[0].datum_type() == DatumType::I8;
        let zero = match zero {
            Zero::Known(zero) => *zero,
            Zero::Given(place) => inputs[*place].cast_to_scalar::<i32>()?,
        };
        let plain = inputs[0].try_as_plain_ram()?;
        let rows = Rows { bytes: plain.as_bytes(), is_signed, zero };
        match made {
            Made::Counts => shaped(fact, product.counts(rows, crew)),
            Made::Codes { steps, code, added } => {
                let sign = if fact.datum_type == DatumType::I8 { 128 } else { 0 };
                let zero = u8::try_from(code + i32::from(sign))?;
                let code = (Code::of(zero), sign);
                of_bytes(fact, product.codes(rows, steps, code, added.as_ref(), crew))
            }
            Made::Floats { factors, given, added, least } => {
                let plain = given.map(|place| inputs[place].try_as_plain_ram()).transpose()?;
                let factors = match &plain {
                    Some(given) => given.as_slice::<f32>()?,
                    None => factors,
                };
                shaped(fact, product.floats(rows, factors, (added, *least), crew))
            }
        }
    }
}

impl Compute for Crossed {
    fn name(&self) -> &'static str {
        "Crossed"
    }

    fn info(&self) -> Vec<String> {
        vec![format!("codes in {}", self.kind().name())]
    }

    fn work(&self, _made: usize) -> usize {
        Crossed::work(self)
    }

    fn shared_from(&self) -> usize {
        SHARED_MIN
    }

    fn weights(&self) -> (DatumType, usize) {
        (DatumType::I8, 0)
    }

    fn run(&self, inputs: &[TValue], made: &TypedFact, crew: &dyn Crew) -> TractResult<Tensor> {
        let [one, other] = [inputs[0].try_as_plain_ram()?, inputs[1].try_as_plain_ram()?];
        of_bytes(made, Crossed::run(self, [one.as_bytes(), other.as_bytes()], crew))
    }
}

impl Compute for Coded {
    fn name(&self) -> &'static str {
        "Coded"
    }

    fn run(&self, inputs: &[TValue], made: &TypedFact, crew: &dyn Crew) -> TractResult<Tensor> {
        of_bytes(made, Coded::run(self, inputs[0].try_as_plain_ram()?.as_bytes(), crew))
    }
}
