//! Convolutions of each channel by itself: a vector holds one pixel's channels, and each has weights of its own.

use super::activation::Activation;
use super::aligned::Aligned;
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::Lanes;
use super::map::Map;
use super::window::Window;

/// Pixels of a row that are computed together, at most: with a sum for each and a row of weights there
/// are registers left on any processor.
const PIXELS_MAX: usize = 14;

/// Rows of one block that are a part of the work; one is too little to hand over.
const ROWS: usize = 16;

/// A depthwise convolution of one channel each, with weights packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Depthwise {
    kind: Kind,
    input: Map,
    pub(super) output: Map,
    pub(super) window: Window,
    /// Block by block, and in each row by row and column by column, those of its channels.
    weights: Aligned,
    bias: Aligned,
    after: Activation,
}

/// What some rows of one block are computed from and into.
pub(super) struct Job {
    input: *const f32,
    weights: *const f32,
    bias: *const f32,
    output: *mut f32,
    height: usize,
    /// Floats from one row's first window to the next row's, and from one row of the output to the next.
    input_line: usize,
    output_line: usize,
    width: usize,
    rows: usize,
    row: usize,
    columns: usize,
    column: usize,
    stride: usize,
    after: Activation,
}

impl Depthwise {
    /// Whether these maps fit each other, the window, and so many weights and biases.
    pub(in crate::runtime) fn fits(
        kind: Kind,
        [input, output]: [Map; 2],
        window: &Window,
        [weights, biases]: [usize; 2],
    ) -> bool {
        let lanes = kind.lanes();
        input.channels == output.channels
            && (input.lanes, output.lanes) == (lanes, lanes)
            && window.fits(&input, &output)
            && weights == output.channels * window.taps()
            && biases == output.channels
    }

    /// Packs the weights, given channel by channel; none when the parts do not fit together.
    pub(in crate::runtime) fn new(
        kind: Kind,
        [input, output]: [Map; 2],
        window: Window,
        weights: &[f32],
        bias: &[f32],
        after: Activation,
    ) -> Option<Depthwise> {
        let (lanes, taps) = (kind.lanes(), window.taps());
        if !Depthwise::fits(kind, [input, output], &window, [weights.len(), bias.len()]) {
            return None;
        }
        let padded = output.blocks() * lanes;
        let mut packed = Aligned::zeros(padded * taps);
        for (channel, weights) in weights.chunks_exact(taps).enumerate() {
            for (tap, weight) in weights.iter().enumerate() {
                packed[(channel / lanes * taps + tap) * lanes + channel % lanes] = *weight;
            }
        }
        let mut biases = Aligned::zeros(padded);
        biases[..bias.len()].copy_from_slice(bias);
        Some(Depthwise { kind, input, output, window, weights: packed, bias: biases, after })
    }

    /// Floats that are kept beside the buffers.
    pub(in crate::runtime) fn floats(&self) -> usize {
        self.weights.len() + self.bias.len()
    }

    /// Computes the output, whose frame stays as it is, with the crew.
    ///
    /// # Panics
    /// When a buffer is shorter than its map.
    pub(in crate::runtime) fn run(&self, input: &[f32], output: &mut [f32], crew: &dyn Crew) {
        assert!(self.input.floats() <= input.len() && self.output.floats() <= output.len());
        let (blocks, stretches) = (self.output.blocks(), self.output.height.div_ceil(ROWS));
        Output::new(output).in_parts(crew, blocks * stretches, |part, output| {
            let first = part % stretches * ROWS;
            let rows = first..self.output.height.min(first + ROWS);
            self.part(part / stretches, rows, input, output);
        });
    }

    fn part(&self, block: usize, rows: std::ops::Range<usize>, input: &[f32], output: &Output<'_>) {
        let lanes = self.kind.lanes();
        let compute = self.kind.depthwise(self.window.stride[1]);
        let from = block * self.input.block() + self.window.first(&self.input, rows.start, 0);
        let to = block * self.output.block() + self.output.at(rows.start, 0);
        let floats = (rows.len() - 1) * self.output.row() + self.output.width * lanes;
        // SAFETY: the buffers are as long as their maps (`run`), under the window of each pixel is
        // the input with its frame (`Window::fits`), and weights and biases are whole blocks,
        // packed so by `new`. No other part has these rows of this block, of which there is one at least.
        unsafe {
            compute(&Job {
                input: input.as_ptr().add(from),
                weights: self.weights.as_ptr().add(block * self.window.taps() * lanes),
                bias: self.bias.as_ptr().add(block * lanes),
                output: output.at(to, floats),
                height: rows.len(),
                input_line: self.window.stride[0] * self.input.row(),
                output_line: self.output.row(),
                width: self.output.width,
                rows: self.window.size[0],
                row: self.window.dilation[0] * self.input.row(),
                columns: self.window.size[1],
                column: self.window.dilation[1] * lanes,
                stride: self.window.stride[1] * lanes,
                after: self.after,
            });
        }
    }
}

/// Some rows of one block, whose input pixels are `STRIDE` apart, or as far as the job says where that
/// is 0.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there.
#[inline(always)]
pub(super) unsafe fn rows<V: Lanes, const STRIDE: usize>(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe {
        match job.columns {
            3 if V::TAKES_LANES && STRIDE > 0 && job.column == V::LANES => {
                rows_of::<V, STRIDE, 3>(job)
            }
            5 if V::TAKES_LANES && STRIDE > 0 && job.column == V::LANES => {
                rows_of::<V, STRIDE, 5>(job)
            }
            _ => rows_of::<V, STRIDE, 0>(job),
        }
    }
}

/// The same; windows have `COLUMNS` columns, side by side, or as many as the job says where that is 0.
///
/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn rows_of<V: Lanes, const STRIDE: usize, const COLUMNS: usize>(job: &Job) {
    let stride = if STRIDE == 0 { job.stride } else { STRIDE * V::LANES };
    for line in 0..job.height {
        let mut column = 0;
        // Parts of a row are all about as wide: sums of few pixels wait for each other.
        while column < job.width {
            let left = job.width - column;
            let wide = left.div_ceil(left.div_ceil(PIXELS_MAX));
            // SAFETY: the caller's promise; no pixel is computed beyond the width.
            unsafe {
                let from = job.input.add(line * job.input_line + column * stride);
                let to = job.output.add(line * job.output_line + column * V::LANES);
                match wide {
                    1 => pixels::<V, 1, STRIDE, COLUMNS>(job, from, to),
                    2 => pixels::<V, 2, STRIDE, COLUMNS>(job, from, to),
                    3 => pixels::<V, 3, STRIDE, COLUMNS>(job, from, to),
                    4 => pixels::<V, 4, STRIDE, COLUMNS>(job, from, to),
                    5 => pixels::<V, 5, STRIDE, COLUMNS>(job, from, to),
                    6 => pixels::<V, 6, STRIDE, COLUMNS>(job, from, to),
                    7 => pixels::<V, 7, STRIDE, COLUMNS>(job, from, to),
                    8 => pixels::<V, 8, STRIDE, COLUMNS>(job, from, to),
                    9 => pixels::<V, 9, STRIDE, COLUMNS>(job, from, to),
                    10 => pixels::<V, 10, STRIDE, COLUMNS>(job, from, to),
                    11 => pixels::<V, 11, STRIDE, COLUMNS>(job, from, to),
                    12 => pixels::<V, 12, STRIDE, COLUMNS>(job, from, to),
                    13 => pixels::<V, 13, STRIDE, COLUMNS>(job, from, to),
                    _ => pixels::<V, PIXELS_MAX, STRIDE, COLUMNS>(job, from, to),
                }
            }
            column += wide;
        }
        if !matches!(job.after, Activation::Clip(..)) {
            // Once for each row: code for each function behind each number of pixels would be long.
            for column in 0..job.width {
                // SAFETY: the caller's promise.
                unsafe {
                    let at = job.output.add(line * job.output_line + column * V::LANES);
                    job.after.of(V::load(at)).store(at);
                }
            }
        }
    }
}

/// # Safety
/// As [`rows`], from the first window of so many pixels of one row on.
#[inline(always)]
unsafe fn pixels<V: Lanes, const PIXELS: usize, const STRIDE: usize, const COLUMNS: usize>(
    job: &Job,
    from: *const f32,
    to: *mut f32,
) {
    let stride = if STRIDE == 0 { job.stride } else { STRIDE * V::LANES };
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::load(job.bias); PIXELS];
        let mut weights = job.weights;
        for row in 0..job.rows {
            let mut input = from.add(row * job.row);
            if COLUMNS > 0 {
                // Written out, so that a value that several pixels look at is loaded once.
                let mut at = [V::splat(0.0); COLUMNS];
                for (column, at) in at.iter_mut().enumerate() {
                    *at = V::load(weights.add(column * V::LANES));
                }
                weights = weights.add(COLUMNS * V::LANES);
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    for (column, weight) in at.iter().enumerate() {
                        let value = V::load(input.add(pixel * stride + column * V::LANES));
                        *sum = sum.plus_product(value, *weight);
                    }
                }
                continue;
            }
            for _ in 0..job.columns {
                let weight = V::load(weights);
                weights = weights.add(V::LANES);
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.plus_product(V::load(input.add(pixel * stride)), weight);
                }
                input = input.wrapping_add(job.column); // behind the last one may be nothing
            }
        }
        if let Activation::Clip(low, high) = job.after {
            let (low, high) = (V::splat(low), V::splat(high));
            for (pixel, sum) in sums.iter().enumerate() {
                sum.at_least(low).at_most(high).store(to.add(pixel * V::LANES));
            }
            return;
        }
        for (pixel, sum) in sums.iter().enumerate() {
            sum.store(to.add(pixel * V::LANES));
        }
    }
}
