//! Winograd's transforms: patches of an image and weights of three by three go to points where they are multiplied, and come back.

use super::activation::Activation;
use super::convolution::GROUP;
use super::lanes::Lanes;

/// Rows and columns of taps.
pub(super) const TAPS: usize = 3;

/// Rows and columns of what one patch makes at most.
const SIDE_MAX: usize = 4;

/// Rows and columns of a patch at most.
const REACH_MAX: usize = 6;

/// Its numbers at most, each of which is multiplied for itself once it is transformed.
pub(super) const PLACES_MAX: usize = REACH_MAX * REACH_MAX;

/// Output channels whose weights are transformed together at most.
pub(super) const GROUP_MAX: usize = GROUP * LANES_MAX;

/// Floats of a vector at most, on any processor.
pub(super) const LANES_MAX: usize = 16;

/// The points that polynomials of large patches are taken at, beside zero and infinity: each with both
/// signs. Their powers are exact, and sums lose less by them than by one and two.
const NEAR: f32 = 0.625;
const FAR: f32 = 1.5;

/// What one patch is transformed from and to.
pub(super) struct Gather {
    pub(super) input: *const f32,
    /// Floats from one row to the next.
    pub(super) row: usize,
    pub(super) made: *mut f32,
    /// Floats from one place to the next.
    pub(super) place: usize,
}

/// What the sums of one patch are transformed from and to.
pub(super) struct Scatter {
    pub(super) sums: *const f32,
    pub(super) place: usize,
    pub(super) bias: *const f32,
    pub(super) output: *mut f32,
    pub(super) output_row: usize,
    /// Null where nothing is added.
    pub(super) residual: *const f32,
    pub(super) residual_row: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) before: Activation,
    pub(super) after: Activation,
    /// Channels in the block.
    pub(super) there: usize,
}

/// Numbers of a patch that makes so many rows and columns.
pub(super) fn places(side: usize) -> usize {
    (side + TAPS - 1) * (side + TAPS - 1)
}

/// A value of each of some output channels.
type Each = [f64; GROUP_MAX];

/// Weights of one input channel for some output channels, tap by tap, taken at the points.
pub(super) fn transformed(
    taps: &[Each; TAPS * TAPS],
    side: usize,
) -> [[f32; GROUP_MAX]; PLACES_MAX] {
    let reach = side + TAPS - 1;
    let rows = [0, 1, 2].map(|row| of_taps([0, 1, 2].map(|tap| &taps[row * TAPS + tap]), side));
    let mut made = [[0.0; GROUP_MAX]; PLACES_MAX];
    for column in 0..reach {
        let values = of_taps(rows.each_ref().map(|row| &row[column]), side);
        for (row, values) in values.iter().take(reach).enumerate() {
            for (to, value) in made[row * reach + column].iter_mut().zip(values) {
                *to = *value as f32;
            }
        }
    }
    made
}

/// Three taps at the points, each divided by what its polynomial has there.
fn of_taps([first, second, third]: [&Each; TAPS], side: usize) -> [Each; REACH_MAX] {
    let scaled = |values: &Each, by: f64| values.map(|value| value * by);
    let at = |point: f64, by: f64| -> Each {
        std::array::from_fn(|lane| {
            (first[lane] + second[lane] * point + third[lane] * (point * point)) * by
        })
    };
    if side == 2 {
        let nothing = [0.0; GROUP_MAX];
        return [*first, at(1.0, 0.5), at(-1.0, 0.5), *third, nothing, nothing];
    }
    let (near, far) = (f64::from(NEAR), f64::from(FAR));
    let (near_2, far_2) = (near * near, far * far);
    let by_near = 0.5 / (near_2 * (near_2 - far_2));
    let by_far = 0.5 / (far_2 * (far_2 - near_2));
    [
        scaled(first, 1.0 / (near_2 * far_2)),
        at(near, by_near),
        at(-near, by_near),
        at(far, by_far),
        at(-far, by_far),
        *third,
    ]
}

/// One side of a patch, taken at the points.
///
/// # Safety
/// The processor has these vectors.
#[inline(always)]
unsafe fn there<V: Lanes, const SIDE: usize>(from: [V; REACH_MAX]) -> [V; REACH_MAX] {
    let [zero, one, two, three, four, five] = from;
    const NEAR_2: f32 = NEAR * NEAR;
    const FAR_2: f32 = FAR * FAR;
    // SAFETY: the caller's promise.
    unsafe {
        if SIDE == 2 {
            let ends = [zero.minus(two), one.minus(three)];
            return [ends[0], one.plus(two), two.minus(one), ends[1], four, five];
        }
        let (near, far) = (V::splat(NEAR), V::splat(FAR));
        let (less_near, less_far) = (V::splat(-NEAR), V::splat(-FAR));
        let (near_2, far_2) = (V::splat(-NEAR_2), V::splat(-FAR_2));
        let (both, sum) = (V::splat(NEAR_2 * FAR_2), V::splat(-(NEAR_2 + FAR_2)));
        let (even_near, odd_near) = (four.plus_product(two, far_2), three.plus_product(one, far_2));
        let (even_far, odd_far) = (four.plus_product(two, near_2), three.plus_product(one, near_2));
        [
            four.plus_product(two, sum).plus_product(zero, both),
            even_near.plus_product(odd_near, near),
            even_near.plus_product(odd_near, less_near),
            even_far.plus_product(odd_far, far),
            even_far.plus_product(odd_far, less_far),
            five.plus_product(three, sum).plus_product(one, both),
        ]
    }
}

/// One side of the sums, from the points to pixels.
///
/// # Safety
/// The processor has these vectors.
#[inline(always)]
unsafe fn back<V: Lanes, const SIDE: usize>(from: [V; REACH_MAX]) -> [V; SIDE_MAX] {
    let [zero, one, two, three, four, five] = from;
    // SAFETY: the caller's promise.
    unsafe {
        let (even_near, odd_near) = (one.plus(two), one.minus(two));
        if SIDE == 2 {
            return [zero.plus(even_near), odd_near.minus(three), four, five];
        }
        let (even_far, odd_far) = (three.plus(four), three.minus(four));
        [
            zero.plus(even_near).plus(even_far),
            odd_near.times(V::splat(NEAR)).plus_product(odd_far, V::splat(FAR)),
            even_near.times(V::splat(NEAR * NEAR)).plus_product(even_far, V::splat(FAR * FAR)),
            five.plus_product(odd_near, V::splat(NEAR * NEAR * NEAR))
                .plus_product(odd_far, V::splat(FAR * FAR * FAR)),
        ]
    }
}

/// Transforms one patch of a block.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: for what is `SIDE` rows and
/// columns two more of each, and room for one at each place.
#[inline(always)]
pub(super) unsafe fn gather<V: Lanes, const SIDE: usize>(job: &Gather) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let reach = SIDE + TAPS - 1;
        // By reference: an array that is moved goes by memory.
        let mut rows = [[V::splat(0.0); REACH_MAX]; REACH_MAX];
        for column in 0..reach {
            let at = job.input.add(column * V::LANES);
            let mut from = [V::splat(0.0); REACH_MAX];
            for (row, from) in from.iter_mut().take(reach).enumerate() {
                *from = V::load(at.add(row * job.row));
            }
            let made = there::<V, SIDE>(from);
            for (row, made) in rows.iter_mut().take(reach).zip(made) {
                row[column] = made;
            }
        }
        for (row, from) in rows.iter().take(reach).enumerate() {
            let made = there::<V, SIDE>(*from);
            for (column, value) in made.into_iter().take(reach).enumerate() {
                value.store(job.made.add((row * reach + column) * job.place));
            }
        }
    }
}

/// Transforms the sums of one patch back, and stores what becomes of them.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: a vector at each place,
/// one of biases, and `rows` rows of `columns` vectors at the output and at the residual.
#[inline(always)]
pub(super) unsafe fn scatter<V: Lanes, const SIDE: usize>(job: &Scatter) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let reach = SIDE + TAPS - 1;
        let mut rows = [[V::splat(0.0); REACH_MAX]; SIDE_MAX];
        for column in 0..reach {
            let at = job.sums.add(column * job.place);
            let mut from = [V::splat(0.0); REACH_MAX];
            for (row, from) in from.iter_mut().take(reach).enumerate() {
                *from = V::load(at.add(row * reach * job.place));
            }
            let made = back::<V, SIDE>(from);
            for (row, made) in rows.iter_mut().take(SIDE).zip(made) {
                row[column] = made;
            }
        }
        let bias = V::load(job.bias);
        let is_plain = job.before == Activation::NONE;
        for (row, from) in rows.iter().take(SIDE.min(job.rows)).enumerate() {
            let made = back::<V, SIDE>(*from);
            // By memory, or code for each function would be there for each of them.
            for (column, value) in made.into_iter().take(SIDE.min(job.columns)).enumerate() {
                let mut value = value.plus(bias);
                if !is_plain {
                    value = job.before.of(value);
                }
                if !job.residual.is_null() {
                    let at = row * job.residual_row + column * V::LANES;
                    value = value.plus(V::load(job.residual.add(at)));
                }
                value = job.after.of(value);
                if job.there < V::LANES {
                    value = value.first(job.there);
                }
                value.store(job.output.add(row * job.output_row + column * V::LANES));
            }
        }
    }
}
