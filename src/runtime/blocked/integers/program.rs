//! A stretch of integers as it runs: kernels in turn, on a few buffers of bytes that are made once and used again.

use crate::runtime::kernels::integers::{
    self as kernels, Code, Convolution, Depthwise, Kind, SLACK, Sum,
};
use crate::runtime::kernels::{Alone, Crew, Gang, Map, Window};
use crate::runtime::{Deadline, profile};
use std::sync::{Mutex, PoisonError};

/// Buffers that wait for a run, at most: one for each core of a large board.
const IDLE_MAX: usize = 16;

/// Products, or values where there are none, from which on a step is shared among threads: some ten
/// microseconds of one thread.
const SHARED_MIN: usize = 1 << 20;

/// What runs, with all weights packed.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) values: Vec<Value>,
    /// How many values, the first ones, are brought in before the first step.
    pub(super) inputs: usize,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<usize>,
    /// Bytes of each buffer, with [`SLACK`].
    pub(super) buffers: Vec<usize>,
    pub(super) idle: Mutex<Vec<Vec<Vec<u8>>>>,
}

/// A value, and the buffer that it is in from the step that makes it to the last that takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) map: Map,
    /// What its frame holds.
    pub(super) zero: u8,
    /// What its codes are beyond the integers that they stand for.
    pub(super) moved: u8,
    pub(super) buffer: usize,
}

/// One kernel, from values to a value.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// Products and values of one run.
    pub(super) size: usize,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Work {
    /// With a second input, that is the residual.
    Convolution(Convolution),
    Depthwise(Depthwise),
    Sum(Sum),
    Mean(u8, f32, Code),
    Largest(Window),
    Same,
}

impl Step {
    /// Bytes that its weights take.
    pub(super) fn bytes(&self) -> usize {
        match &self.work {
            Work::Convolution(convolution) => convolution.bytes(),
            Work::Depthwise(depthwise) => depthwise.bytes(),
            Work::Sum(_) | Work::Mean(_, _, _) | Work::Largest(_) | Work::Same => 0,
        }
    }
}

impl Program {
    /// Bytes that all weights take together, and those of the buffers of one run.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.steps.iter().map(Step::bytes).sum(), self.buffers.iter().sum())
    }

    /// Runs once for each row of a batch; false when the deadline passed meanwhile.
    ///
    /// # Panics
    /// When an input or an output is not of the extents it was made for.
    pub(super) fn run(&self, rows: usize, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> bool {
        let (deadline, gang) = (Deadline::here(), Gang::here());
        let crew: &dyn Crew = match &gang {
            Some(gang) => gang.as_ref(),
            None => &Alone,
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffers =
            idle.unwrap_or_else(|| self.buffers.iter().map(|bytes| vec![0; *bytes]).collect());
        for row in 0..rows {
            for (number, input) in (0..self.inputs).zip(inputs) {
                let Value { map, zero, moved, buffer } = &self.values[number];
                let bytes = input.len() / rows;
                let image = &input[row * bytes..][..bytes];
                let to = &mut buffers[*buffer][..map.floats()];
                let bring_in = || kernels::bring_in(map, *zero, image, *moved, to);
                profile::part(bring_in, || self.told_of_layout(number));
            }
            for step in &self.steps {
                if deadline.has_passed() {
                    return false;
                }
                profile::part(|| self.step(step, &mut buffers, crew), || self.told(step));
            }
            for (value, output) in self.outputs.iter().zip(outputs.iter_mut()) {
                let Value { map, moved, buffer, .. } = &self.values[*value];
                let bytes = output.len() / rows;
                let image = &mut output[row * bytes..][..bytes];
                let from = &buffers[*buffer][..map.floats()];
                let take_out = || kernels::take_out(map, from, *moved, image);
                profile::part(take_out, || self.told_of_layout(*value));
            }
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(buffers);
        }
        true
    }

    fn step(&self, step: &Step, buffers: &mut [Vec<u8>], crew: &dyn Crew) {
        // What little there is to do is done before a helper has come.
        let crew: &dyn Crew = if step.size < SHARED_MIN { &Alone } else { crew };
        let Value { map: to, zero, buffer, .. } = self.values[step.output];
        // No input of a step is in its output's buffer, so it can be taken out meanwhile.
        let mut made = std::mem::take(&mut buffers[buffer]);
        let output = &mut made[..to.floats()];
        kernels::clear_frame(&to, zero, output);
        let input = |place: usize| {
            let Value { map, buffer, .. } = &self.values[step.inputs[place]];
            (map, &buffers[*buffer][..map.floats() + SLACK])
        };
        match &step.work {
            Work::Convolution(convolution) => {
                let residual = (1 < step.inputs.len()).then(|| input(1).1);
                convolution.run(input(0).1, residual, output, crew);
            }
            Work::Depthwise(depthwise) => depthwise.run(input(0).1, output, crew),
            Work::Sum(sum) => {
                kernels::sum(self.kind, [input(0), input(1)], *sum, (&to, output), crew);
            }
            Work::Mean(zero, step, code) => {
                kernels::mean(input(0), (*zero, *step, *code), (&to, output));
            }
            Work::Largest(window) => kernels::largest(input(0), *window, (&to, output)),
            Work::Same => {
                let (from, codes) = input(0);
                for block in 0..to.blocks() {
                    let lanes = to.lanes.min(from.lanes);
                    let (from, to) = (from.pixel(block), to.pixel(block));
                    output[to..to + lanes].copy_from_slice(&codes[from..from + lanes]);
                }
            }
        }
        buffers[buffer] = made;
    }
}
