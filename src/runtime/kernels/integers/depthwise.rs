//! Convolutions of codes where each channel is by itself: four pixels side by side are one product of each channel.

use super::super::aligned::Aligned;
use super::super::crew::{Crew, Output};
use super::super::map::Map;
use super::super::window::Window;
use super::convolution::{begun, padded};
use super::kind::Kind;
use super::lanes::{Code, Counts, LANES, QUAD, SLACK, WEIGHTS};
use std::ops::Range;

/// Rows of one block that are a part of the work; one is too little to hand over.
const ROWS: usize = 16;

/// Quads of taps of a window that are kept in registers: up to 3 x 4, which most nets have.
const QUADS_KEPT: usize = 3;

/// A convolution of each channel by itself, with weights packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Depthwise {
    kind: Kind,
    input: Map,
    output: Map,
    window: Window,
    /// Block by block, row by row of the window and in steps of four columns, four for each channel.
    weights: Aligned<i8>,
    /// The same with each weight one column further, where a quad that is read for one pixel serves the
    /// next one, too: windows of three columns at most that move by one.
    further: Option<Vec<i8>>,
    begun: Vec<i32>,
    steps: Vec<f32>,
    code: Code,
}

/// What one row is computed from and into.
pub(super) struct Job {
    input: *const u8,
    weights: *const i8,
    /// Null where there are none.
    further: *const i8,
    begun: *const i32,
    steps: *const f32,
    output: *mut u8,
    width: usize,
    rows: usize,
    row: usize,
    /// Quads of columns.
    quads: usize,
    stride: usize,
    code: Code,
}

impl Depthwise {
    /// Whether there is a kernel between these images, with so many weights, biases and steps.
    pub(in crate::runtime) fn fits(
        [input, output]: [&Map; 2],
        window: &Window,
        [weights, biases, steps]: [usize; 3],
    ) -> bool {
        input.channels == output.channels
            && (input.lanes, output.lanes) == (LANES, LANES)
            && window.fits(input, output)
            && window.dilation[1] == 1
            && weights == output.channels * window.taps()
            && (biases, steps) == (output.channels, output.channels)
    }

    /// Packs the weights, given channel by channel; none when the parts do not fit together.
    pub(in crate::runtime) fn new(
        kind: Kind,
        (input, zero): (Map, u8),
        output: Map,
        window: Window,
        weights: &[i8],
        (bias, steps): (&[i32], &[f32]),
        code: Code,
    ) -> Option<Depthwise> {
        let counts = [weights.len(), bias.len(), steps.len()];
        if !Depthwise::fits([&input, &output], &window, counts) {
            return None;
        }
        let taps = window.taps();
        let [rows, columns] = window.size;
        let quads = columns.div_ceil(QUAD);
        let mut packed = Aligned::zeros(output.blocks() * rows * quads * WEIGHTS);
        for (channel, weights) in weights.chunks_exact(taps).enumerate() {
            let (block, lane) = (channel / LANES, channel % LANES);
            for (tap, weight) in weights.iter().enumerate() {
                let (row, column) = (tap / columns, tap % columns);
                let quad = (block * rows + row) * quads + column / QUAD;
                packed[quad * WEIGHTS + lane * QUAD + column % QUAD] = *weight;
            }
        }
        let is_paired = rows == QUADS_KEPT && columns < QUAD && window.stride[1] == 1;
        let further = is_paired.then(|| {
            let quads = packed.as_chunks::<QUAD>().0.iter();
            quads.flat_map(|[a, b, c, _]| [0, *a, *b, *c]).collect()
        });
        Some(Depthwise {
            kind,
            input,
            output,
            window,
            weights: packed,
            further,
            begun: begun(i32::from(zero) - kind.moved(), weights, bias),
            steps: padded(steps),
            code,
        })
    }

    /// Bytes that are kept beside the buffers.
    pub(in crate::runtime) fn bytes(&self) -> usize {
        let further = self.further.as_ref().map_or(0, Vec::len);
        self.weights.len() + further + size_of_val(&*self.begun) + size_of_val(&*self.steps)
    }

    /// Multiplications without those of lanes that mean nothing.
    pub(in crate::runtime) fn products(&self) -> usize {
        self.window.taps() * self.output.values()
    }

    /// Computes the output, whose frame stays as it is, with the crew.
    ///
    /// # Panics
    /// When a buffer is shorter than its map and [`SLACK`].
    pub(in crate::runtime) fn run(&self, input: &[u8], output: &mut [u8], crew: &dyn Crew) {
        assert!(self.input.floats() + SLACK <= input.len() && self.output.floats() <= output.len());
        let (blocks, stretches) = (self.output.blocks(), self.output.height.div_ceil(ROWS));
        Output::new(output).in_parts(crew, blocks * stretches, |part, output| {
            let first = part % stretches * ROWS;
            let rows = first..self.output.height.min(first + ROWS);
            self.part(part / stretches, rows, input, output);
        });
    }

    fn part(&self, block: usize, rows: Range<usize>, input: &[u8], output: &Output<'_, u8>) {
        let quads = self.window.size[1].div_ceil(QUAD);
        let per_block = self.window.size[0] * quads * WEIGHTS;
        let compute = self.kind.depthwise(self.window.size[0] * quads == QUADS_KEPT);
        for row in rows {
            let from = block * self.input.block() + self.window.first(&self.input, row, 0);
            let to = block * self.output.block() + self.output.at(row, 0);
            // SAFETY: the buffers are as long as their maps (`run`), under the window of each pixel is
            // the input with its frame (`Window::fits`), behind the last one `SLACK`, which covers
            // the pixels of a quad that are no taps (`new`). Weights, beginnings and steps are whole
            // blocks, packed so by `new`. No other part has these rows of this block.
            unsafe {
                compute(&Job {
                    input: input.as_ptr().add(from),
                    weights: self.weights.as_ptr().add(block * per_block),
                    further: match &self.further {
                        Some(further) => further.as_ptr().add(block * per_block),
                        None => std::ptr::null(),
                    },
                    begun: self.begun.as_ptr().add(block * LANES),
                    steps: self.steps.as_ptr().add(block * LANES),
                    output: output.at(to, self.output.width * LANES),
                    width: self.output.width,
                    rows: self.window.size[0],
                    row: self.window.dilation[0] * self.input.row(),
                    quads,
                    stride: self.window.stride[1] * LANES,
                    code: self.code,
                });
            }
        }
    }
}

/// One row of one block; with `IS_KEPT`, of a window of [`QUADS_KEPT`] quads.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there.
#[inline(always)]
pub(super) unsafe fn row<V: Counts, const IS_KEPT: bool>(job: &Job) {
    let mut column = 0;
    // SAFETY: the caller's promise; no pixel is computed beyond the width.
    unsafe {
        if IS_KEPT && !job.further.is_null() {
            while 4 <= job.width - column {
                paired::<V>(job, column);
                column += 4;
            }
        }
        if IS_KEPT {
            while 4 <= job.width - column {
                kept::<V, 4>(job, column);
                column += 4;
            }
            for column in column..job.width {
                kept::<V, 1>(job, column);
            }
            return;
        }
        while 4 <= job.width - column {
            pixels::<V, 4>(job, column);
            column += 4;
        }
        for column in column..job.width {
            pixels::<V, 1>(job, column);
        }
    }
}

/// # Safety
/// As [`row`]; so many pixels from this column on are inside of the width.
#[inline(always)]
unsafe fn kept<V: Counts, const PIXELS: usize>(job: &Job, first: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let step = if job.quads == 1 { job.row } else { QUAD * LANES };
        let weights = [
            V::weights(job.weights),
            V::weights(job.weights.add(WEIGHTS)),
            V::weights(job.weights.add(2 * WEIGHTS)),
        ];
        let begun = V::load(job.begun);
        let mut sums = [begun; PIXELS];
        for (pixel, sum) in sums.iter_mut().enumerate() {
            let input = job.input.add((first + pixel) * job.stride);
            for (quad, weights) in weights.iter().enumerate() {
                *sum = sum.plus_products(V::across(input.add(quad * step)), *weights);
            }
        }
        put(job, first, sums);
    }
}

/// Four pixels, of which two share each quad that is read.
///
/// # Safety
/// As [`row`]; four pixels from this column on are inside of the width, and the weights are there one
/// column further, too.
#[inline(always)]
unsafe fn paired<V: Counts>(job: &Job, first: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::load(job.begun); QUAD];
        for row in 0..QUADS_KEPT {
            let weights = V::weights(job.weights.add(row * WEIGHTS));
            let further = V::weights(job.further.add(row * WEIGHTS));
            let input = job.input.add(first * LANES + row * job.row);
            let (near, far) = (V::across(input), V::across(input.add(2 * LANES)));
            sums[0] = sums[0].plus_products(near, weights);
            sums[1] = sums[1].plus_products(near, further);
            sums[2] = sums[2].plus_products(far, weights);
            sums[3] = sums[3].plus_products(far, further);
        }
        put(job, first, sums);
    }
}

/// # Safety
/// As [`row`]; so many pixels from this column on are inside of the width.
#[inline(always)]
unsafe fn put<V: Counts, const PIXELS: usize>(job: &Job, first: usize, sums: [V; PIXELS]) {
    let (fours, rest) = sums.as_chunks::<QUAD>();
    // SAFETY: the caller's promise.
    unsafe {
        for (at, four) in fours.iter().enumerate() {
            let to = job.output.add((first + at * QUAD) * LANES);
            V::store_four(*four, job.steps, job.code, to);
        }
        for (at, sum) in rest.iter().enumerate() {
            let to = job.output.add((first + fours.len() * QUAD + at) * LANES);
            V::store(sum.coded(job.steps, job.code), to);
        }
    }
}

/// # Safety
/// As [`row`]; so many pixels from this column on are inside of the width.
#[inline(always)]
unsafe fn pixels<V: Counts, const PIXELS: usize>(job: &Job, first: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::load(job.begun); PIXELS];
        let mut weights = job.weights;
        for row in 0..job.rows {
            let mut input = job.input.add(first * job.stride + row * job.row);
            for _ in 0..job.quads {
                let at = V::weights(weights);
                weights = weights.add(WEIGHTS);
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.plus_products(V::across(input.add(pixel * job.stride)), at);
                }
                input = input.add(QUAD * LANES);
            }
        }
        put(job, first, sums);
    }
}
