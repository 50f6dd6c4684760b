//! One step of a recurrent layer for some rows: products with packed weights, and the gates while the sums are in registers.

use super::lanes::Lanes;
use super::loops::{self, FOUR};

/// Rows that a tile computes at most, on any processor.
pub(super) const ROWS_MAX: usize = 6;

/// What is computed where a tile's sums are complete.
pub(super) const PRODUCT: u8 = 0;
pub(super) const RNN: u8 = 1;
pub(super) const LSTM: u8 = 2;
/// The new state's part is multiplied first and reset then.
pub(super) const GRU_LINEAR: u8 = 3;
/// The two gates, and the state as the reset gate leaves it.
pub(super) const GRU_GATES: u8 = 4;
/// The new state, from the one that was reset.
pub(super) const GRU_STATE: u8 = 5;
pub(super) const ENDS: usize = 6;

/// Tiles of one end: of one, two, four and six rows, and of one row with two blocks.
pub(super) type Tiles = [Compute; 5];

/// What one tile is computed from and into. Rows are counted from each pointer.
pub(super) struct Job {
    /// Which rows, as many as the tile has.
    pub(super) rows: *const usize,
    pub(super) input: *const f32,
    pub(super) input_row: usize,
    pub(super) terms: usize,
    pub(super) weights: *const f32,
    /// Floats from one block's weights to the next one's.
    pub(super) weights_block: usize,
    /// What the sums begin with: for a product the same for all rows.
    pub(super) part: *const f32,
    pub(super) part_row: usize,
    pub(super) part_block: usize,
    /// Of a product, row by row of the tile; else the next state.
    pub(super) output: *mut f32,
    /// Floats of a row of the output, and of a state.
    pub(super) output_row: usize,
    pub(super) h: *const f32,
    pub(super) c: *mut f32,
    /// Update gates, from one half of a step to the other.
    pub(super) update: *mut f32,
    pub(super) state_bias: *const f32,
    /// Null where there are none.
    pub(super) peepholes: *const f32,
    pub(super) peepholes_gate: usize,
    pub(super) clip: f32,
    pub(super) input_forget: bool,
}

/// Computes one tile.
pub(super) type Compute = unsafe fn(&Job);

/// How many rows a tile has at most with such vectors: four sums for each, four weights and a value
/// of the input fill the registers.
pub(super) const fn rows_max<V: Lanes>() -> usize {
    match V::PIXELS {
        8.. => ROWS_MAX,
        4.. => 2,
        _ => 1,
    }
}

/// One tile: `P` rows of `B` blocks of `G` vectors each.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there for the tile's rows and
/// blocks: `terms` values of the input, as many rows of weights, the parts, and a vector of each
/// state that the end of this tile reads or writes.
#[inline(always)]
pub(super) unsafe fn tile<
    V: Lanes,
    const END: u8,
    const G: usize,
    const P: usize,
    const B: usize,
>(
    job: &Job,
) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let rows: [usize; P] = std::array::from_fn(|row| *job.rows.add(row));
        let mut sums = [[[V::splat(0.0); G]; P]; B];
        let mut input: [*const f32; P] = rows.map(|row| job.input.add(row * job.input_row));
        let mut weights = job.weights;
        let fours = if V::TAKES_LANES { job.terms / FOUR } else { 0 };
        for _ in 0..fours {
            let mut values = [V::splat(0.0); P];
            for (value, input) in values.iter_mut().zip(&mut input) {
                *value = V::load(*input);
                *input = input.add(FOUR);
            }
            for (block, sums) in sums.iter_mut().enumerate() {
                loops::four(sums, &values, weights.add(block * job.weights_block), G * V::LANES);
            }
            weights = weights.add(FOUR * G * V::LANES);
        }
        for _ in FOUR * fours..job.terms {
            let mut values = [V::splat(0.0); P];
            for (value, input) in values.iter_mut().zip(&mut input) {
                *value = V::splat(**input);
                *input = input.add(1);
            }
            for (block, sums) in sums.iter_mut().enumerate() {
                let mut of_gates = [V::splat(0.0); G];
                for (gate, weight) in of_gates.iter_mut().enumerate() {
                    *weight = V::load(weights.add(block * job.weights_block + gate * V::LANES));
                }
                for (sums, value) in sums.iter_mut().zip(values) {
                    for (sum, weight) in sums.iter_mut().zip(of_gates) {
                        *sum = sum.plus_product(value, weight);
                    }
                }
            }
            weights = weights.add(G * V::LANES);
        }
        for (block, sums) in sums.iter().enumerate() {
            for (place, (sums, row)) in sums.iter().zip(rows).enumerate() {
                let part = job.part.add(block * job.part_block + row * job.part_row);
                let at = block * V::LANES;
                if END == PRODUCT {
                    let to = job.output.add(place * job.output_row + block * G * V::LANES);
                    for (gate, sum) in sums.iter().enumerate() {
                        sum.plus(V::load(part.add(gate * V::LANES))).store(to.add(gate * V::LANES));
                    }
                } else {
                    end::<V, END, G>(job, sums, part, at, at + row * job.output_row);
                }
            }
        }
    }
}

/// What becomes of the sums of a row's gates, with a vector of states at `at` of each row's.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn end<V: Lanes, const END: u8, const G: usize>(
    job: &Job,
    sums: &[V; G],
    part: *const f32,
    lane: usize,
    at: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let one = V::splat(1.0);
        let two = V::splat(2.0);
        let bounded = |value: V| value.at_least(V::splat(-job.clip)).at_most(V::splat(job.clip));
        let part = |gate: usize| V::load(part.add(gate * V::LANES));
        let to = job.output.add(at);
        match END {
            RNN => {
                let grown = growth(bounded(sums[0].plus(part(0))), TANH_TWICE_MAX, 2.0);
                grown.over(grown.plus(two)).store(to);
            }
            LSTM => {
                let c = job.c.add(at);
                let before = V::load(c);
                let gate = |gate: usize| sums[gate % G].plus(part(gate));
                let peephole = |value: V, gate: usize, c: V| match job.peepholes.is_null() {
                    true => value,
                    false => {
                        let weights = job.peepholes.add(gate * job.peepholes_gate + lane);
                        value.plus_product(V::load(weights), c)
                    }
                };
                // Each gate is 1 / share, and the new value grown / (grown + 2): with all over one
                // denominator, two divisions do for a step.
                let input = share(bounded(peephole(gate(0), 0, before)));
                let grown = growth(bounded(gate(3)), TANH_TWICE_MAX, 2.0);
                let (forget, kept) = match job.input_forget {
                    // What the input gate leaves is (share - 1) / share.
                    true => (one, input.minus(one)),
                    false => (share(bounded(peephole(gate(2), 2, before))), input),
                };
                let above = grown.plus(two);
                let kept = before.times(kept).times(above);
                let sum = kept.plus_product(grown, forget);
                let now = sum.over(forget.times(input).times(above));
                now.store(c);
                let output = share(bounded(peephole(gate(1), 1, now)));
                let grown = growth(now, TANH_TWICE_MAX, 2.0);
                grown.over(output.times(grown.plus(two))).store(to);
            }
            GRU_GATES => {
                let update = share(bounded(sums[0].plus(part(0))));
                update.store(job.update.add(at));
                let reset = share(bounded(sums[1 % G].plus(part(1))));
                V::load(job.h.add(at)).over(reset).store(to);
            }
            GRU_STATE => {
                let update = V::load(job.update.add(at));
                let new = bounded(sums[0].plus(part(0)));
                between(update, new, V::load(job.h.add(at))).store(to);
            }
            GRU_LINEAR => {
                let update = share(bounded(sums[0].plus(part(0))));
                let reset = share(bounded(sums[1 % G].plus(part(1))));
                let of_state = sums[2 % G].plus(V::load(job.state_bias.add(lane)));
                let new = bounded(part(2).plus(of_state.over(reset)));
                between(update, new, V::load(job.h.add(at))).store(to);
            }
            _ => {}
        }
    }
}

/// The hyperbolic tangent of `new`, and `h` as far as the gate 1 / `share` keeps it.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn between<V: Lanes>(share: V, new: V, h: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let grown = growth(new, TANH_TWICE_MAX, 2.0);
        let above = grown.plus(V::splat(2.0));
        let left = share.minus(V::splat(1.0));
        left.times(grown).plus_product(h, above).over(share.times(above))
    }
}

/// Beyond, twice a hyperbolic tangent's argument has no other tangent in single precision.
const TANH_TWICE_MAX: f32 = 20.0;

/// Beyond, a sigmoid is nearer to 0 or 1 than a state in single precision can tell, and products of
/// two of its denominators are still far from the largest float.
const SIGMOID_MAX: f32 = 30.0;

/// 1 + e^-x, whose reciprocal is the sigmoid.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn share<V: Lanes>(value: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { growth(value, SIGMOID_MAX, -1.0).plus(V::splat(2.0)) }
}

/// e^(x * factor) - 1 to some units in the last place, near zero too; what the power is made of is
/// kept within `most`. What is no number stays none.
///
/// As [`exp`](super::activation::exp): 2^n (e^r - 1) + (2^n - 1), with e^r - 1 without the one that its
/// polynomial begins with.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn growth<V: Lanes>(value: V, most: f32, factor: f32) -> V {
    const LN_2_LONG: f32 = 0.693_359_4;
    const LN_2_REST: f32 = -2.121_944_4e-4;
    // SAFETY: the caller's promise.
    unsafe {
        let value = value.times(V::splat(factor)).at_least(V::splat(-most)).at_most(V::splat(most));
        let whole = value.times(V::splat(std::f32::consts::LOG2_E)).rounded();
        let rest = value.plus_product(whole, V::splat(-LN_2_LONG));
        let rest = rest.plus_product(whole, V::splat(-LN_2_REST));
        let mut sum = V::splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
            sum = V::splat(factor).plus_product(sum, rest);
        }
        let power = whole.power_of_two();
        power.minus(V::splat(1.0)).plus_product(power, sum.times(rest))
    }
}
