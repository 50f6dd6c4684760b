//! A stretch of a net as it runs: kernels in turn, on a few buffers that are made once and used again.

use crate::runtime::kernels::{Alone, Crew, Gang, Map};
use crate::runtime::{Deadline, profile};
use std::fmt::Debug;
use std::ops::DerefMut;
use std::sync::{Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::PlainViewMut;

/// Buffers that wait for a run, at most: one for each core of a large board.
const IDLE_MAX: usize = 16;

/// What a step does, and to what: floats, or integers of 8 bits.
pub(super) trait Work: Debug + Send + Sync + Sized + 'static {
    /// What the operator that runs such steps is called.
    const NAME: &'static str;
    /// From which [`Step::size`] on a step is shared among threads.
    const SHARED_MIN: usize;
    /// Elements behind a buffer's last value that a kernel may read.
    const SLACK: usize;
    type Kind: Copy + Debug + Send + Sync;
    type Element: Copy;
    type Buffer: DerefMut<Target = [Self::Element]> + Debug + Default + Send;
    /// What the elements of a value stand for.
    type Codes: Copy + Debug + Send + Sync;

    /// The name of the vectors.
    fn vectors(kind: Self::Kind) -> &'static str;
    /// So many zeros.
    fn buffer(elements: usize) -> Self::Buffer;
    /// The elements of a tensor.
    fn given(tensor: &Tensor) -> TractResult<&[Self::Element]>;
    fn made<'v>(view: &'v mut PlainViewMut<'_>) -> TractResult<&'v mut [Self::Element]>;
    fn bring_in(value: &Value<Self>, image: &[Self::Element], to: &mut [Self::Element]);
    fn take_out(value: &Value<Self>, from: &[Self::Element], image: &mut [Self::Element]);
    fn clear_frame(value: &Value<Self>, to: &mut [Self::Element]);
    /// Computes a value, whose frame is clear, from others.
    fn run(
        &self,
        kind: Self::Kind,
        inputs: &[(&Map, &[Self::Element])],
        output: (&Map, &mut [Self::Element]),
        crew: &dyn Crew,
    );
    /// Bytes that its weights take.
    fn bytes(&self) -> usize;
    /// What it is called in a profile, and what it multiplies.
    fn told(&self) -> (String, profile::Work);
}

/// What runs, with all weights packed.
#[derive(Debug)]
pub(super) struct Program<W: Work> {
    pub(super) kind: W::Kind,
    pub(super) values: Vec<Value<W>>,
    /// How many values, the first ones, are brought in before the first step.
    pub(super) inputs: usize,
    pub(super) steps: Vec<Step<W>>,
    pub(super) outputs: Vec<usize>,
    /// Elements of each buffer, with [`Work::SLACK`].
    pub(super) buffers: Vec<usize>,
    pub(super) idle: Mutex<Vec<Vec<W::Buffer>>>,
}

/// A value, and the buffer that it is in from the step that makes it to the last that takes it.
#[derive(Debug)]
pub(super) struct Value<W: Work> {
    pub(super) map: Map,
    pub(super) codes: W::Codes,
    pub(super) buffer: usize,
}

/// One kernel, from values to a value.
#[derive(Debug)]
pub(super) struct Step<W> {
    pub(super) work: W,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// How much it does in one run, for who asks whether threads are to share it.
    pub(super) size: usize,
}

impl<W: Work> Program<W> {
    /// Bytes that all weights take together, and those of the buffers of one run.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let weights = self.steps.iter().map(|step| step.work.bytes()).sum();
        (weights, self.buffers.iter().sum::<usize>() * size_of::<W::Element>())
    }

    /// Runs once for each row of a batch; false when the deadline passed meanwhile.
    ///
    /// # Panics
    /// When an input or an output is not of the extents it was made for.
    pub(super) fn run(
        &self,
        rows: usize,
        inputs: &[&[W::Element]],
        outputs: &mut [&mut [W::Element]],
    ) -> bool {
        let (deadline, gang) = (Deadline::here(), Gang::here());
        let crew: &dyn Crew = match &gang {
            Some(gang) => gang.as_ref(),
            None => &Alone,
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffers =
            idle.unwrap_or_else(|| self.buffers.iter().copied().map(W::buffer).collect());
        for row in 0..rows {
            for (value, input) in self.values.iter().take(self.inputs).zip(inputs) {
                let elements = input.len() / rows;
                let image = &input[row * elements..][..elements];
                let to = &mut buffers[value.buffer][..value.map.floats()];
                profile::part(|| W::bring_in(value, image, to), || value.told_of_layout());
            }
            for step in &self.steps {
                if deadline.has_passed() {
                    return false;
                }
                profile::part(|| self.step(step, &mut buffers, crew), || self.told(step));
            }
            for (value, output) in self.outputs.iter().zip(outputs.iter_mut()) {
                let value = &self.values[*value];
                let elements = output.len() / rows;
                let image = &mut output[row * elements..][..elements];
                let from = &buffers[value.buffer][..value.map.floats()];
                profile::part(|| W::take_out(value, from, image), || value.told_of_layout());
            }
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(buffers);
        }
        true
    }

    fn step(&self, step: &Step<W>, buffers: &mut [W::Buffer], crew: &dyn Crew) {
        // What little there is to do is done before a helper has come.
        let crew: &dyn Crew = if step.size < W::SHARED_MIN { &Alone } else { crew };
        let to = &self.values[step.output];
        // No input of a step is in its output's buffer, so it can be taken out meanwhile.
        let mut made = std::mem::take(&mut buffers[to.buffer]);
        let output = &mut made[..to.map.floats()];
        W::clear_frame(to, output);
        let input = |value: &usize| {
            let Value { map, buffer, .. } = &self.values[*value];
            (map, &buffers[*buffer][..map.floats() + W::SLACK])
        };
        let inputs: TVec<_> = step.inputs.iter().map(input).collect();
        step.work.run(self.kind, &inputs, (&to.map, output), crew);
        drop(inputs);
        buffers[to.buffer] = made;
    }
}
