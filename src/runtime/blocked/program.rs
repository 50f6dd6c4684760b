//! A stretch of a net as it runs: kernels in turn, on a few buffers that are made once and used again.

use crate::runtime::kernels::{
    self, Activation, Aligned, Alone, Convolution, Crew, Depthwise, Gang, Kind, Map, Pooling,
    Window, With,
};
use crate::runtime::{Deadline, profile};
use std::sync::{Mutex, PoisonError};

/// Buffers that wait for a run, at most: one for each core of a large board.
const IDLE_MAX: usize = 16;

/// Floats of an output from which on a step is shared among threads.
const SHARED_FLOATS_MIN: usize = 4 << 10;

/// What runs, with all weights packed.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) values: Vec<Value>,
    /// Values that are brought in before the first step.
    pub(super) inputs: Vec<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<usize>,
    /// Floats of each buffer.
    pub(super) buffers: Vec<usize>,
    pub(super) idle: Mutex<Vec<Vec<Aligned>>>,
}

/// A value, and the buffer that it is in from the step that makes it to the last that takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) map: Map,
    pub(super) buffer: usize,
}

/// One kernel, from values to a value.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
}

/// What a step does.
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

impl Step {
    /// Floats that its weights take.
    pub(super) fn floats(&self) -> usize {
        match &self.work {
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

impl Program {
    /// Floats that all weights take together, and those of the buffers of one run.
    pub(super) fn floats(&self) -> (usize, usize) {
        (self.steps.iter().map(Step::floats).sum(), self.buffers.iter().sum())
    }

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
                map.height * map.width * step.floats()
            }
        });
        steps.sum()
    }

    /// Runs once for each row of a batch; false when the deadline passed meanwhile.
    ///
    /// # Panics
    /// When an input or an output is not of the extents it was made for.
    pub(super) fn run(&self, rows: usize, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> bool {
        let (deadline, gang) = (Deadline::here(), Gang::here());
        let crew: &dyn Crew = match &gang {
            Some(gang) => gang.as_ref(),
            None => &Alone,
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffers =
            idle.unwrap_or_else(|| self.buffers.iter().copied().map(Aligned::zeros).collect());
        for row in 0..rows {
            for (value, input) in self.inputs.iter().zip(inputs) {
                let Value { map, buffer } = self.values[*value];
                let floats = input.len() / rows;
                let image = &input[row * floats..][..floats];
                let bring_in = || map.bring_in(image, &mut buffers[buffer][..map.floats()]);
                profile::part(bring_in, || self.told_of_layout(*value));
            }
            for step in &self.steps {
                if deadline.has_passed() {
                    return false;
                }
                profile::part(|| self.step(step, &mut buffers, crew), || self.told(step));
            }
            for (value, output) in self.outputs.iter().zip(outputs.iter_mut()) {
                let Value { map, buffer } = self.values[*value];
                let floats = output.len() / rows;
                let image = &mut output[row * floats..][..floats];
                let take_out = || map.take_out(&buffers[buffer][..map.floats()], image);
                profile::part(take_out, || self.told_of_layout(*value));
            }
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(buffers);
        }
        true
    }

    fn step(&self, step: &Step, buffers: &mut [Aligned], crew: &dyn Crew) {
        // What little there is to do is done before a helper has come.
        let is_little = self.values[step.output].map.floats() < SHARED_FLOATS_MIN;
        let crew: &dyn Crew = if is_little { &Alone } else { crew };
        let Value { map: to, buffer } = self.values[step.output];
        // No input of a step is in its output's buffer, so it can be taken out meanwhile.
        let mut made = std::mem::take(&mut buffers[buffer]);
        let output = &mut made[..to.floats()];
        to.clear_frame(output);
        let input = |place: usize| {
            let Value { map, buffer } = &self.values[step.inputs[place]];
            (map, &buffers[*buffer][..map.floats()])
        };
        let mut blend = |with: With<'_>, after: Activation| {
            kernels::blend(self.kind, input(0), with, after, (&to, &mut *output), crew);
        };
        match &step.work {
            Work::Convolution(convolution) => {
                let added = usize::from(convolution.has_residual());
                let residual = (added == 1).then(|| input(1).1);
                let from = input(0).1;
                match step.inputs.len() == 2 + added {
                    true => {
                        convolution.run_gated(from, input(1 + added).1, residual, output, crew);
                    }
                    false => convolution.run(from, residual, output, crew),
                }
            }
            Work::Depthwise(depthwise) => depthwise.run(input(0).1, output, crew),
            Work::Activation(after) => blend(With::Nothing, *after),
            Work::Scale(factors, terms, after) => blend(With::Scale(factors, terms), *after),
            Work::Sum(after) => {
                let (map, other) = input(1);
                blend(With::Sum(map, other), *after);
            }
            Work::Product(after) => {
                let (map, other) = input(1);
                blend(With::Product(map, other), *after);
            }
            Work::Gate(after) => {
                let (map, other) = input(1);
                blend(With::Gate(map, other), *after);
            }
            Work::Pool(window, pooling) => {
                let to = (&to, output);
                kernels::pool(self.kind, input(0), *window, *pooling, to, crew);
            }
            Work::Enlarge(times) => {
                kernels::enlarge(self.kind, input(0), *times, (&to, output), crew);
            }
            Work::Spread(times) => {
                kernels::spread(self.kind, input(0), *times, (&to, output), crew);
            }
            Work::Slice(first) => {
                let (from, values) = input(0);
                to.take_in(0, from, from.part_from(*first, values), output);
            }
            Work::Concat => {
                let mut first = 0;
                for place in 0..step.inputs.len() {
                    let (from, values) = input(place);
                    to.take_in(first, from, values, output);
                    first += from.channels;
                }
            }
        }
        buffers[buffer] = made;
    }
}
