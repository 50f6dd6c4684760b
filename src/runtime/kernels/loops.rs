//! The innermost loops of tiles: values of the rows times weights, one value of each row after the other, or four read at once.

use super::convolution;
use super::lanes::Lanes;
use super::product::{self, VECTORS};

/// Values that are read at once where [`Lanes::TAKES_LANES`] is so: a vector of them.
pub(super) const FOUR: usize = 4;

/// All products of a tile of a convolution, with pixels `stride` floats apart, in blocks of one channel if
/// `IS_PLANAR`.
///
/// # Safety
/// As [`convolution::compute`].
#[inline(always)]
pub(super) unsafe fn pixels<
    V: Lanes,
    const PIXELS: usize,
    const BLOCKS: usize,
    const STRIDE: usize,
    const IS_PLANAR: bool,
>(
    job: &convolution::Job,
    stride: usize,
    sums: &mut [[V; BLOCKS]; PIXELS],
) {
    // SAFETY: the caller's promise.
    unsafe {
        match IS_PLANAR {
            false if V::TAKES_LANES => pixels_by_four(job, stride, sums),
            false => pixels_by_one(job, V::LANES, stride, sums),
            true if V::TAKES_LANES && STRIDE == 2 && PIXELS > 2 => planes_by_four(job, sums),
            true => pixels_by_one(job, 1, stride, sums),
        }
    }
}

/// By one value of each pixel at a time, of which a block has so many lanes.
///
/// # Safety
/// As [`convolution::compute`].
#[inline(always)]
unsafe fn pixels_by_one<V: Lanes, const PIXELS: usize, const BLOCKS: usize>(
    job: &convolution::Job,
    lanes: usize,
    stride: usize,
    sums: &mut [[V; BLOCKS]; PIXELS],
) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut weights = job.weights;
        for block in 0..job.blocks {
            // Lanes behind the last channel have weights of zero, which need not be multiplied.
            let there = if block + 1 == job.blocks { job.last_input } else { lanes };
            let skipped = (lanes - there) * BLOCKS * V::LANES;
            for row in 0..job.rows {
                let mut input = job.input.add(block * job.block + row * job.row);
                for _ in 0..job.columns {
                    for lane in 0..there {
                        let mut at = [V::splat(0.0); BLOCKS];
                        for (block, at) in at.iter_mut().enumerate() {
                            *at = V::load(weights.add(block * V::LANES));
                        }
                        weights = weights.add(BLOCKS * V::LANES);
                        for (pixel, sums) in sums.iter_mut().enumerate() {
                            let value = V::splat(*input.add(pixel * stride + lane));
                            for (sum, weight) in sums.iter_mut().zip(at) {
                                *sum = sum.plus_product(value, weight);
                            }
                        }
                    }
                    weights = weights.wrapping_add(skipped);
                    input = input.wrapping_add(job.column);
                }
            }
        }
    }
}

/// By four values of each pixel: a block has four channels. Lanes behind the last channel hold finite values (see
/// [`Map`](super::map::Map)), and have weights of zero.
///
/// # Safety
/// As [`convolution::compute`].
#[inline(always)]
unsafe fn pixels_by_four<V: Lanes, const P: usize, const B: usize>(
    job: &convolution::Job,
    stride: usize,
    sums: &mut [[V; B]; P],
) {
    let wide = B * V::LANES;
    // Under a window of one place the innermost loop goes over blocks, or it would be left each time.
    let (blocks, rows, columns, column) = match (job.rows, job.columns) {
        (1, 1) => (1, 1, job.blocks, job.block),
        (rows, columns) => (job.blocks, rows, columns, job.column),
    };
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut weights = job.weights;
        for block in 0..blocks {
            for row in 0..rows {
                let mut input = job.input.add(block * job.block + row * job.row);
                for _ in 0..columns {
                    let mut values = [V::splat(0.0); P];
                    for (pixel, value) in values.iter_mut().enumerate() {
                        *value = V::load(input.add(pixel * stride));
                    }
                    four(sums, &values, weights, wide);
                    weights = weights.add(FOUR * wide);
                    input = input.wrapping_add(column);
                }
            }
        }
    }
}

/// Of blocks of one channel, with pixels two floats apart: a vector has the values of two of them.
///
/// # Safety
/// As [`convolution::compute`], with more than two pixels.
#[inline(always)]
unsafe fn planes_by_four<V: Lanes, const P: usize, const B: usize>(
    job: &convolution::Job,
    sums: &mut [[V; B]; P],
) {
    const STRIDE: usize = 2;
    let last = (P - 1) * STRIDE + 1 - FOUR; // no vector ends behind the last pixel
    let wide = B * V::LANES;
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut weights = job.weights;
        for block in 0..job.blocks {
            for row in 0..job.rows {
                let mut input = job.input.add(block * job.block + row * job.row);
                for _ in 0..job.columns {
                    let mut at = [V::splat(0.0); B];
                    for (block, at) in at.iter_mut().enumerate() {
                        *at = V::load(weights.add(block * V::LANES));
                    }
                    weights = weights.add(wide);
                    for (pixel, sums) in sums.iter_mut().enumerate() {
                        let from = (pixel * STRIDE / FOUR * FOUR).min(last);
                        let values = V::load(input.add(from)); // once for both of its pixels
                        for (sum, weight) in sums.iter_mut().zip(at) {
                            *sum = match pixel * STRIDE - from {
                                0 => sum.plus_lane::<0>(values, weight),
                                1 => sum.plus_lane::<1>(values, weight),
                                2 => sum.plus_lane::<2>(values, weight),
                                _ => sum.plus_lane::<3>(values, weight),
                            };
                        }
                    }
                    input = input.wrapping_add(job.column);
                }
            }
        }
    }
}

/// All products of a tile of rows.
///
/// # Safety
/// As [`product::tile`].
#[inline(always)]
pub(super) unsafe fn rows<V: Lanes, const ROWS: usize, const WIDE: usize>(
    job: &product::Job,
    sums: &mut [[V; WIDE]; ROWS],
) {
    let (mut input, mut weights) = (job.input, job.weights);
    let fours = if V::TAKES_LANES { job.terms / FOUR } else { 0 };
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        if V::TAKES_LANES {
            // Of weights that were packed, the places are known beforehand.
            match job.weights_row == WIDE * V::LANES {
                true => rows_by_four(job, fours, WIDE * V::LANES, sums),
                false => rows_by_four(job, fours, job.weights_row, sums),
            }
            input = input.wrapping_add(FOUR * fours);
            weights = weights.wrapping_add(FOUR * fours * job.weights_row);
        }
        for _ in FOUR * fours..job.terms {
            one(sums, (input, job.input_row), weights);
            weights = weights.wrapping_add(job.weights_row);
            input = input.wrapping_add(1);
        }
    }
}

/// Of so many times four terms, whose weights are so many floats apart.
///
/// # Safety
/// As [`product::tile`].
#[inline(always)]
unsafe fn rows_by_four<V: Lanes, const ROWS: usize, const WIDE: usize>(
    job: &product::Job,
    fours: usize,
    weights_row: usize,
    sums: &mut [[V; WIDE]; ROWS],
) {
    let mut weights = job.weights;
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut inputs: [*const f32; ROWS] =
            std::array::from_fn(|row| V::apart(job.input.add(row * job.input_row)));
        for _ in 0..fours {
            let mut values = [V::splat(0.0); ROWS];
            for (value, input) in values.iter_mut().zip(&mut inputs) {
                *value = V::load(*input);
                *input = input.add(FOUR);
            }
            four(sums, &values, weights, weights_row);
            weights = weights.wrapping_add(FOUR * weights_row);
        }
    }
}

/// All products of a row alone.
///
/// # Safety
/// As [`product::single`].
#[inline(always)]
pub(super) unsafe fn row<V: Lanes, const GROUPS: usize>(
    job: &product::Job,
    sums: &mut [[V; VECTORS]; GROUPS],
) {
    let wide = VECTORS * V::LANES;
    let fours = if V::TAKES_LANES { job.terms / FOUR * FOUR } else { 0 };
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let at = |term: usize, group: usize| job.weights.add(group * job.weights_row + term * wide);
        for term in (0..fours).step_by(FOUR) {
            let value = [V::load(job.input.add(term))];
            for (group, sums) in sums.iter_mut().enumerate() {
                four(std::array::from_mut(sums), &value, at(term, group), wide);
            }
        }
        for term in fours..job.terms {
            for (group, sums) in sums.iter_mut().enumerate() {
                one(std::array::from_mut(sums), (job.input.add(term), 0), at(term, group));
            }
        }
    }
}

/// The products of four values of each row, with as many rows of weights.
///
/// # Safety
/// The processor has these vectors, and `B` vectors of weights are at each of four places, `row` floats apart.
#[inline(always)]
pub(super) unsafe fn four<V: Lanes, const P: usize, const B: usize>(
    sums: &mut [[V; B]; P],
    values: &[V; P],
    weights: *const f32,
    row: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        lane::<V, 0, P, B>(sums, values, weights);
        lane::<V, 1, P, B>(sums, values, weights.add(row));
        lane::<V, 2, P, B>(sums, values, weights.add(2 * row));
        lane::<V, 3, P, B>(sums, values, weights.add(3 * row));
    }
}

/// # Safety
/// As [`four`], for one of its places.
#[inline(always)]
unsafe fn lane<V: Lanes, const LANE: i32, const P: usize, const B: usize>(
    sums: &mut [[V; B]; P],
    values: &[V; P],
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut at = [V::splat(0.0); B];
        for (vector, at) in at.iter_mut().enumerate() {
            *at = V::load(weights.add(vector * V::LANES));
        }
        for (sums, value) in sums.iter_mut().zip(values) {
            for (sum, weight) in sums.iter_mut().zip(at) {
                *sum = sum.plus_lane::<LANE>(*value, weight);
            }
        }
    }
}

/// The products of one value of each row, `step` floats apart.
///
/// # Safety
/// The processor has these vectors, the values are there, and `B` vectors of weights.
#[inline(always)]
unsafe fn one<V: Lanes, const P: usize, const B: usize>(
    sums: &mut [[V; B]; P],
    (values, step): (*const f32, usize),
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut at = [V::splat(0.0); B];
        for (vector, at) in at.iter_mut().enumerate() {
            *at = V::load(weights.add(vector * V::LANES));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = V::splat(*values.add(row * step));
            for (sum, weight) in sums.iter_mut().zip(at) {
                *sum = sum.plus_product(value, weight);
            }
        }
    }
}
