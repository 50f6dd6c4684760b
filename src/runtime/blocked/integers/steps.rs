//! The steps of a stretch of integers: which kernel each is, and what it is given.

use super::super::account::LAYOUT;
use super::super::program::{self, Value};
use crate::runtime::kernels::integers::{
    self as kernels, Code, Convolution, Depthwise, Kind, SLACK, Sum,
};
use crate::runtime::kernels::{Crew, Map, Window};
use crate::runtime::profile;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::PlainViewMut;

/// What a step does with codes.
#[derive(Debug)]
pub(in super::super) enum Work {
    /// With a second input, that is the residual.
    Convolution(Convolution),
    Depthwise(Depthwise),
    Sum(Sum),
    Mean(u8, f32, Code),
    Largest(Window),
    Same,
}

/// What the codes of a value stand for.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Codes {
    /// What its frame holds.
    pub(super) zero: u8,
    /// What its codes are beyond the integers that they stand for.
    pub(super) moved: u8,
}

impl program::Work for Work {
    const NAME: &'static str = "Integers";
    /// Products, or values where there are none: some ten microseconds of one thread.
    const SHARED_MIN: usize = 1 << 20;
    const SLACK: usize = SLACK;
    type Kind = Kind;
    type Element = u8;
    type Buffer = Vec<u8>;
    type Codes = Codes;

    fn vectors(kind: Kind) -> &'static str {
        kind.name()
    }

    fn buffer(bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn given(tensor: &Tensor) -> TractResult<&[u8]> {
        Ok(tensor.try_as_plain_ram()?.as_bytes())
    }

    fn made<'v>(view: &'v mut PlainViewMut<'_>) -> TractResult<&'v mut [u8]> {
        Ok(view.as_bytes_mut())
    }

    fn bring_in(value: &Value<Work>, image: &[u8], to: &mut [u8]) {
        kernels::bring_in(&value.map, value.codes.zero, image, value.codes.moved, to);
    }

    fn take_out(value: &Value<Work>, from: &[u8], image: &mut [u8]) {
        kernels::take_out(&value.map, from, value.codes.moved, image);
    }

    fn clear_frame(value: &Value<Work>, to: &mut [u8]) {
        kernels::clear_frame(&value.map, value.codes.zero, to);
    }

    fn run(
        &self,
        kind: Kind,
        inputs: &[(&Map, &[u8])],
        (to, output): (&Map, &mut [u8]),
        crew: &dyn Crew,
    ) {
        match self {
            Work::Convolution(convolution) => {
                let residual = inputs.get(1).map(|input| input.1);
                convolution.run(inputs[0].1, residual, output, crew);
            }
            Work::Depthwise(depthwise) => depthwise.run(inputs[0].1, output, crew),
            Work::Sum(sum) => {
                kernels::sum(kind, [inputs[0], inputs[1]], *sum, (to, output), crew);
            }
            Work::Mean(zero, step, code) => {
                kernels::mean(inputs[0], (*zero, *step, *code), (to, output));
            }
            Work::Largest(window) => kernels::largest(inputs[0], *window, (to, output)),
            Work::Same => {
                let (from, codes) = inputs[0];
                for block in 0..to.blocks() {
                    let lanes = to.lanes.min(from.lanes);
                    let (from, to) = (from.pixel(block), to.pixel(block));
                    output[to..to + lanes].copy_from_slice(&codes[from..from + lanes]);
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Work::Convolution(convolution) => convolution.bytes(),
            Work::Depthwise(depthwise) => depthwise.bytes(),
            Work::Sum(_) | Work::Mean(_, _, _) | Work::Largest(_) | Work::Same => 0,
        }
    }

    fn told(&self) -> (String, profile::Work) {
        let (name, products) = match self {
            Work::Convolution(convolution) => (convolution.form(), convolution.products()),
            Work::Depthwise(depthwise) => {
                ("depthwise convolution in integers".to_owned(), depthwise.products())
            }
            Work::Sum(_) => ("sum of integers".to_owned(), 0),
            Work::Mean(_, _, _) => ("mean of integers".to_owned(), 0),
            Work::Largest(_) => ("largest of integers".to_owned(), 0),
            Work::Same => (LAYOUT.to_owned(), 0),
        };
        (name, profile::Work { integers: products, ..profile::Work::default() })
    }
}
