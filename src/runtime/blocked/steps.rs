//! The steps of a stretch of floats: which kernel each is, and what it is given.

use super::program::{self, Program, Value};
use crate::runtime::kernels::{
    self, Activation, Aligned, Convolution, Crew, Depthwise, Kind, Map, Pooling, Window, With,
};
use crate::runtime::profile;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::PlainViewMut;

/// What a step does with floats.
#[derive(Debug)]
pub(super) enum Work {
    /// With a second input if there is a residual, and with one more if the first one is gated.
    Convolution(Convolution),
    Depthwise(Depthwise),
    Activation(Activation),
    /// Factors and terms, padded to whole blocks.
    Scale(Vec<f32>, Vec<f32>, Activation),
    Sum(Activation),
    Product(Activation),
    Gate(Activation),
    Pool(Window, Pooling),
    Concat,
    Slice(usize),
    Enlarge([usize; 2]),
    Spread([usize; 2]),
}

impl Work {
    /// Floats that its weights take.
    fn floats(&self) -> usize {
        match self {
            Work::Convolution(convolution) => convolution.floats(),
            Work::Depthwise(depthwise) => depthwise.floats(),
            Work::Scale(factors, terms, _) => factors.len() + terms.len(),
            Work::Activation(_)
            | Work::Sum(_)
            | Work::Product(_)
            | Work::Gate(_)
            | Work::Pool(_, _)
            | Work::Concat
            | Work::Slice(_)
            | Work::Enlarge(_)
            | Work::Spread(_) => 0,
        }
    }
}

impl Program<Work> {
    /// Multiplications of a row, by its convolutions.
    pub(super) fn work(&self) -> usize {
        let steps = self.steps.iter().map(|step| match &step.work {
            Work::Convolution(convolution) => convolution.work(),
            Work::Depthwise(_)
            | Work::Scale(_, _, _)
            | Work::Activation(_)
            | Work::Sum(_)
            | Work::Product(_)
            | Work::Gate(_)
            | Work::Pool(_, _)
            | Work::Concat
            | Work::Slice(_)
            | Work::Enlarge(_)
            | Work::Spread(_) => {
                let map = &self.values[step.output].map;
                map.height * map.width * step.work.floats()
            }
        });
        steps.sum()
    }
}

impl program::Work for Work {
    const NAME: &'static str = "Blocked";
    /// Floats of an output.
    const SHARED_MIN: usize = 4 << 10;
    const SLACK: usize = 0;
    type Kind = Kind;
    type Element = f32;
    type Buffer = Aligned;
    type Codes = ();

    fn vectors(kind: Kind) -> &'static str {
        kind.name()
    }

    fn buffer(floats: usize) -> Aligned {
        Aligned::zeros(floats)
    }

    fn given(tensor: &Tensor) -> TractResult<&[f32]> {
        tensor.try_as_plain_ram()?.as_slice()
    }

    fn made<'v>(view: &'v mut PlainViewMut<'_>) -> TractResult<&'v mut [f32]> {
        view.as_slice_mut()
    }

    fn bring_in(value: &Value<Work>, image: &[f32], to: &mut [f32]) {
        value.map.bring_in(image, to);
    }

    fn take_out(value: &Value<Work>, from: &[f32], image: &mut [f32]) {
        value.map.take_out(from, image);
    }

    fn clear_frame(value: &Value<Work>, to: &mut [f32]) {
        value.map.clear_frame(to);
    }

    fn run(
        &self,
        kind: Kind,
        inputs: &[(&Map, &[f32])],
        (to, output): (&Map, &mut [f32]),
        crew: &dyn Crew,
    ) {
        let mut blend = |with: With<'_>, after: Activation| {
            kernels::blend(kind, inputs[0], with, after, (to, &mut *output), crew);
        };
        match self {
            Work::Convolution(convolution) => {
                let added = usize::from(convolution.has_residual());
                let residual = (added == 1).then(|| inputs[1].1);
                let from = inputs[0].1;
                match inputs.len() == 2 + added {
                    true => {
                        convolution.run_gated(from, inputs[1 + added].1, residual, output, crew);
                    }
                    false => convolution.run(from, residual, output, crew),
                }
            }
            Work::Depthwise(depthwise) => depthwise.run(inputs[0].1, output, crew),
            Work::Activation(after) => blend(With::Nothing, *after),
            Work::Scale(factors, terms, after) => blend(With::Scale(factors, terms), *after),
            Work::Sum(after) => blend(With::Sum(inputs[1].0, inputs[1].1), *after),
            Work::Product(after) => blend(With::Product(inputs[1].0, inputs[1].1), *after),
            Work::Gate(after) => blend(With::Gate(inputs[1].0, inputs[1].1), *after),
            Work::Pool(window, pooling) => {
                kernels::pool(kind, inputs[0], *window, *pooling, (to, output), crew);
            }
            Work::Enlarge(times) => kernels::enlarge(kind, inputs[0], *times, (to, output), crew),
            Work::Spread(times) => kernels::spread(kind, inputs[0], *times, (to, output), crew),
            Work::Slice(first) => {
                let (from, values) = inputs[0];
                to.take_in(0, from, from.part_from(*first, values), output);
            }
            Work::Concat => {
                let mut first = 0;
                for (from, values) in inputs {
                    to.take_in(first, from, values, output);
                    first += from.channels;
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        self.floats() * size_of::<f32>()
    }

    fn told(&self) -> (String, profile::Work) {
        let (name, products) = match self {
            Work::Convolution(convolution) => (convolution.form(), convolution.products()),
            Work::Depthwise(depthwise) => {
                ("depthwise convolution".to_owned(), depthwise.products())
            }
            Work::Activation(_) => ("function of each value".to_owned(), 0),
            Work::Scale(_, _, _) => ("scale".to_owned(), 0),
            Work::Sum(_) => ("sum".to_owned(), 0),
            Work::Product(_) => ("product of two images".to_owned(), 0),
            Work::Gate(_) => ("gate".to_owned(), 0),
            Work::Pool(_, _) => ("pool".to_owned(), 0),
            Work::Concat => ("concatenation".to_owned(), 0),
            Work::Slice(_) => ("slice".to_owned(), 0),
            Work::Enlarge(_) => ("enlargement".to_owned(), 0),
            Work::Spread(_) => ("spreading".to_owned(), 0),
        };
        (name, profile::Work { floats: products, ..profile::Work::default() })
    }
}
