//! How many floats a processor multiplies when nothing holds it up: what kernels are measured by.

use super::kind::Kind;
use super::lanes::Lanes;
use std::hint::black_box;
use std::time::Instant;

/// Sums side by side: more than the units need that wait for their own results, and as many as fit in
/// sixteen registers with what is multiplied.
const SUMS: usize = 12;

/// Rounds that are timed at once: a tenth of a millisecond or so, in which most threads stay on.
const ROUNDS: usize = 1 << 15;

/// How often they are timed: the quickest counts, since whatever else runs makes none quicker.
const TIMES: usize = 64;

/// Products a second of one thread, each with an addition; of plain vectors the additions.
pub(in crate::runtime) fn products_a_second(kind: Kind) -> f64 {
    let multiply = kind.multiply();
    // SAFETY: a kind has the vectors of this processor.
    let quickest = quickest(|| unsafe { multiply(ROUNDS) });
    (ROUNDS * SUMS * kind.lanes()) as f64 / quickest
}

/// Seconds of the quickest of some calls.
pub(super) fn quickest<T>(call: impl Fn() -> T) -> f64 {
    let times = (0..TIMES).map(|_| {
        let start = Instant::now();
        black_box(call());
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Multiplies and adds so many times for each of the sums.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
pub(super) unsafe fn multiply<V: Lanes>(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        // Nobody can tell that the sums are alike, and add up one of them for all.
        let mut sums: [V; SUMS] = std::array::from_fn(|_| V::splat(black_box(0.0)));
        let (one, other) = (V::splat(black_box(0.5)), V::splat(black_box(0.25)));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.plus_product(one, other);
            }
        }
        sums.into_iter().map(|sum| sum.sum()).sum()
    }
}
