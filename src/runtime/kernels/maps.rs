//! What else is done to whole maps: sums, products, scales, pools and means, a row at a time.

use super::activation::Activation;
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::Lanes;
use super::map::Map;
use super::window::Window;

/// What a map is blended with.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) enum With<'w> {
    /// Nothing.
    Nothing,
    /// A map of the same extents that is added.
    Sum(&'w Map, &'w [f32]),
    /// A map of the same extents that it is multiplied by.
    Product(&'w Map, &'w [f32]),
    /// A map of one pixel that each pixel is multiplied by.
    Gate(&'w Map, &'w [f32]),
    /// A factor and a term for each channel, padded to whole blocks.
    Scale(&'w [f32], &'w [f32]),
}

/// What one row is computed from and into.
pub(super) struct Job {
    input: *const f32,
    output: *mut f32,
    width: usize,
    other: Other,
    after: Activation,
}

enum Other {
    Nothing,
    Sum(*const f32),
    Product(*const f32),
    Scale(*const f32, *const f32),
}

/// Computes `after` of the input blended with something; frames stay as they are.
///
/// # Panics
/// When the maps are not alike, or a buffer is shorter than its map.
pub(in crate::runtime) fn blend(
    kind: Kind,
    (from, input): (&Map, &[f32]),
    with: With<'_>,
    after: Activation,
    (to, output): (&Map, &mut [f32]),
    crew: &dyn Crew,
) {
    let alike = |one: &Map, other: &Map| {
        (one.channels, one.height, one.width, one.lanes)
            == (other.channels, other.height, other.width, other.lanes)
    };
    let lanes = kind.lanes();
    assert!(to.lanes == lanes && alike(from, to));
    assert!(from.floats() <= input.len() && to.floats() <= output.len());
    match with {
        With::Nothing => {}
        With::Sum(map, other) | With::Product(map, other) => {
            assert!(alike(map, to) && map.floats() <= other.len());
        }
        With::Gate(map, gate) => {
            let one = Map { height: 1, width: 1, ..*to };
            assert!(alike(map, &one) && map.floats() <= gate.len());
        }
        With::Scale(factors, terms) => {
            assert!(to.blocks() * lanes <= factors.len().min(terms.len()));
        }
    }
    let (zero, compute) = ([0.0_f32; 16], kind.blend());
    Output::new(output).in_parts(crew, to.blocks(), |block, output| {
        for row in 0..to.height {
            // SAFETY: buffers, factors and terms are as long as was found above, `zero` is as long as
            // any vector; a part writes the rows of its own block.
            unsafe {
                let there = |map: &Map, buffer: &[f32], row: usize| {
                    buffer.as_ptr().add(block * map.block() + map.at(row, 0))
                };
                let other = match with {
                    With::Nothing => Other::Nothing,
                    With::Sum(map, other) => Other::Sum(there(map, other, row)),
                    With::Product(map, other) => Other::Product(there(map, other, row)),
                    With::Gate(map, gate) => Other::Scale(there(map, gate, 0), zero.as_ptr()),
                    With::Scale(factors, terms) => Other::Scale(
                        factors.as_ptr().add(block * lanes),
                        terms.as_ptr().add(block * lanes),
                    ),
                };
                compute(&Job {
                    input: there(from, input, row),
                    output: output.at(block * to.block() + to.at(row, 0), to.width * lanes),
                    width: to.width,
                    other,
                    after,
                });
            }
        }
    });
}

/// # Safety
/// The processor has these vectors, and what the job points to is there: `width` vectors of maps, one
/// of factors and terms.
#[inline(always)]
pub(super) unsafe fn row<V: Lanes>(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe {
        for at in (0..job.width).map(|pixel| pixel * V::LANES) {
            let value = V::load(job.input.add(at));
            let value = match job.other {
                Other::Nothing => value,
                Other::Sum(other) => value.plus(V::load(other.add(at))),
                Other::Product(other) => value.times(V::load(other.add(at))),
                Other::Scale(factor, term) => V::load(term).plus_product(value, V::load(factor)),
            };
            job.after.of(value).store(job.output.add(at));
        }
    }
}

/// What one row of repeated pixels is copied from and to.
pub(super) struct Enlarging {
    input: *const f32,
    output: *mut f32,
    /// Pixels of the input's row.
    width: usize,
    times: usize,
}

/// Repeats each pixel so many times down and to the right; frames stay as they are.
///
/// # Panics
/// When the maps do not fit each other, or a buffer is shorter than its map.
pub(in crate::runtime) fn enlarge(
    kind: Kind,
    (from, input): (&Map, &[f32]),
    times: [usize; 2],
    (to, output): (&Map, &mut [f32]),
    crew: &dyn Crew,
) {
    let lanes = kind.lanes();
    assert!((from.lanes, to.lanes) == (lanes, lanes) && from.channels == to.channels);
    assert!([to.height, to.width] == [from.height * times[0], from.width * times[1]]);
    assert!(from.floats() <= input.len() && to.floats() <= output.len());
    let compute = kind.enlarge();
    Output::new(output).in_parts(crew, to.blocks(), |block, output| {
        for row in 0..to.height {
            // SAFETY: buffers are as long as their maps, of which the output's is as many times larger;
            // a part writes the rows of its own block.
            unsafe {
                compute(&Enlarging {
                    input: input.as_ptr().add(block * from.block() + from.at(row / times[0], 0)),
                    output: output.at(block * to.block() + to.at(row, 0), to.width * lanes),
                    width: from.width,
                    times: times[1],
                });
            }
        }
    });
}

/// # Safety
/// The processor has these vectors, and the rows that the job points to are there.
#[inline(always)]
pub(super) unsafe fn enlarge_row<V: Lanes>(job: &Enlarging) {
    // SAFETY: the caller's promise.
    unsafe {
        for pixel in 0..job.width {
            let value = V::load(job.input.add(pixel * V::LANES));
            for at in pixel * job.times..(pixel + 1) * job.times {
                value.store(job.output.add(at * V::LANES));
            }
        }
    }
}

/// What one row of pixels is gathered from and to.
pub(super) struct Spreading {
    input: *const f32,
    /// Floats from the pixels of one tap to those of the next.
    step: usize,
    output: *mut f32,
    /// Pixels of the input's row.
    width: usize,
    times: usize,
}

/// Puts so many pixels down and to the right in the place of each, which the input has one after the
/// other as channels, in whole blocks each; frames stay as they are.
///
/// # Panics
/// When the maps do not fit each other, or a buffer is shorter than its map.
pub(in crate::runtime) fn spread(
    kind: Kind,
    (from, input): (&Map, &[f32]),
    times: [usize; 2],
    (to, output): (&Map, &mut [f32]),
    crew: &dyn Crew,
) {
    let lanes = kind.lanes();
    let blocks = to.blocks() * times[0] * times[1];
    assert!((from.lanes, to.lanes) == (lanes, lanes) && from.channels == blocks * lanes);
    assert!([to.height, to.width] == [from.height * times[0], from.width * times[1]]);
    assert!(from.floats() <= input.len() && to.floats() <= output.len());
    let compute = kind.spread();
    Output::new(output).in_parts(crew, to.blocks(), |block, output| {
        for row in 0..to.height {
            let first = row % times[0] * times[1] * to.blocks() + block;
            // SAFETY: buffers are as long as their maps, of which the input's has the blocks of all
            // taps; a part writes the rows of its own block.
            unsafe {
                compute(&Spreading {
                    input: input.as_ptr().add(first * from.block() + from.at(row / times[0], 0)),
                    step: to.blocks() * from.block(),
                    output: output.at(block * to.block() + to.at(row, 0), to.width * lanes),
                    width: from.width,
                    times: times[1],
                });
            }
        }
    });
}

/// # Safety
/// The processor has these vectors, and the rows that the job points to are there.
#[inline(always)]
pub(super) unsafe fn spread_row<V: Lanes>(job: &Spreading) {
    // SAFETY: the caller's promise.
    unsafe {
        for pixel in 0..job.width {
            for tap in 0..job.times {
                let value = V::load(job.input.add(tap * job.step + pixel * V::LANES));
                value.store(job.output.add((pixel * job.times + tap) * V::LANES));
            }
        }
    }
}

/// What a pool makes of the values under its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Pooling {
    /// The largest of those inside of the image.
    Max,
    /// Their sum.
    Sum,
    /// Their mean; zeros beyond the image's edges are among them if this is so.
    Mean {
        /// Whether what is beyond the edges counts.
        counts_padding: bool,
    },
}

/// What one row of a pool is computed from and into.
pub(super) struct PoolJob {
    /// The first pixel of the block's image.
    input: *const f32,
    output: *mut f32,
    row_floats: usize,
    width: usize,
    input_width: usize,
    /// Where the window begins, above the image by its padding.
    first_row: usize,
    /// Its rows that are inside of the image: the first, and behind the last.
    rows: (usize, usize),
    window: Window,
    pooling: Pooling,
}

/// Pools a map; frames stay as they are.
///
/// # Panics
/// When the maps do not fit each other, or a buffer is shorter than its map.
pub(in crate::runtime) fn pool(
    kind: Kind,
    (from, input): (&Map, &[f32]),
    window: Window,
    pooling: Pooling,
    (to, output): (&Map, &mut [f32]),
    crew: &dyn Crew,
) {
    let lanes = kind.lanes();
    assert!((from.lanes, to.lanes) == (lanes, lanes) && from.channels == to.channels);
    assert!(from.floats() <= input.len() && to.floats() <= output.len());
    let compute = kind.pool();
    Output::new(output).in_parts(crew, to.blocks(), |block, output| {
        for row in 0..to.height {
            // SAFETY: buffers are as long as their maps, and taps outside of the image are left out;
            // a part writes the rows of its own block.
            unsafe {
                compute(&PoolJob {
                    input: input.as_ptr().add(block * from.block() + from.at(0, 0)),
                    output: output.at(block * to.block() + to.at(row, 0), to.width * lanes),
                    row_floats: from.row(),
                    width: to.width,
                    input_width: from.width,
                    first_row: row * window.stride[0],
                    rows: taps(&window, 0, row, from.height),
                    window,
                    pooling,
                });
            }
        }
    });
}

/// The taps along an axis, first and behind the last, that are inside of an image, for one pixel of
/// the output.
#[inline(always)]
fn taps(window: &Window, axis: usize, place: usize, extent: usize) -> (usize, usize) {
    let (padding, dilation) = (window.padding[axis], window.dilation[axis]);
    let start = place * window.stride[axis];
    let first = padding.saturating_sub(start).div_ceil(dilation);
    let behind = (extent + padding).saturating_sub(start).div_ceil(dilation);
    let behind = behind.min(window.size[axis]);
    (first.min(behind), behind)
}

/// What a pool makes of what it has and one value more.
///
/// # Safety
/// The processor has these vectors.
#[inline(always)]
unsafe fn pooled<V: Lanes>(pooling: Pooling, sum: V, value: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        match pooling {
            Pooling::Max => value.at_least(sum),
            Pooling::Sum | Pooling::Mean { .. } => sum.plus(value),
        }
    }
}

/// # Safety
/// The processor has these vectors, and the image and the row that the job points to are there.
#[inline(always)]
pub(super) unsafe fn pool_row<V: Lanes>(job: &PoolJob) {
    let window = &job.window;
    let (top, bottom) = job.rows;
    // SAFETY: the caller's promise; `taps` names pixels of the image alone.
    unsafe {
        for column in 0..job.width {
            let (left, right) = taps(window, 1, column, job.input_width);
            let nothing = V::splat(match job.pooling {
                Pooling::Max => f32::NEG_INFINITY,
                Pooling::Sum | Pooling::Mean { .. } => 0.0,
            });
            // Four at a time, or each sum would wait for the one before it.
            let mut sums = [nothing; 4];
            for tap in top..bottom {
                let row = tap * window.dilation[0] + job.first_row - window.padding[0];
                let first = (column * window.stride[1] + left * window.dilation[1])
                    .wrapping_sub(window.padding[1]);
                let first = first.wrapping_mul(V::LANES); // meaningless where nothing is under it
                let mut at = job.input.wrapping_add((row * job.row_floats).wrapping_add(first));
                let step = window.dilation[1] * V::LANES;
                let whole = (right - left) / 4;
                for _ in 0..whole {
                    for sum in &mut sums {
                        *sum = pooled(job.pooling, *sum, V::load(at));
                        at = at.wrapping_add(step);
                    }
                }
                for _ in left + 4 * whole..right {
                    sums[0] = pooled(job.pooling, sums[0], V::load(at));
                    at = at.wrapping_add(step);
                }
            }
            let [one, two, three, four] = sums;
            let (one, three) = (pooled(job.pooling, one, two), pooled(job.pooling, three, four));
            let mut sum = pooled(job.pooling, one, three);
            if let Pooling::Mean { counts_padding } = job.pooling {
                let inside = (bottom - top) * (right - left);
                let count = if counts_padding { window.taps() } else { inside.max(1) };
                sum = sum.over(V::splat(count as f32));
            }
            sum.store(job.output.add(column * V::LANES));
        }
    }
}
