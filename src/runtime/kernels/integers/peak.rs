//! How many integers a processor multiplies when nothing holds it up.

use super::super::peak::quickest;
use super::kind::Kind;
use super::lanes::{Counts, LANES, QUAD, WEIGHTS};
use std::hint::black_box;

/// Rounds that are timed at once.
const ROUNDS: usize = 1 << 14;

/// Products a second of one thread, each with an addition.
pub(in crate::runtime) fn products_a_second(kind: Kind) -> f64 {
    let (multiply, pixels) = kind.multiply();
    // SAFETY: a kind has the vectors of this processor.
    let quickest = quickest(|| unsafe { multiply(ROUNDS) });
    (ROUNDS * pixels * LANES * QUAD) as f64 / quickest
}

/// Multiplies and adds so many times for each pixel of a tile.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
pub(super) unsafe fn multiply<V: Counts, const P: usize>(rounds: usize) -> i32 {
    let (codes, weights, begun) = ([7_u8; WEIGHTS], [3_i8; WEIGHTS], [0_i32; LANES]);
    let mut kept = [0_i32; LANES];
    // SAFETY: the caller's promise; each is as long as what is read of it, or written.
    unsafe {
        let mut sums: [V; P] = std::array::from_fn(|_| V::load(black_box(begun.as_ptr())));
        let quads: [V::Quads; P] =
            std::array::from_fn(|_| V::everywhere(black_box(codes.as_ptr())));
        for _ in 0..rounds {
            // Read anew, or products that are no instruction with their sum would be the same each time.
            let weights = V::weights(black_box(weights.as_ptr()));
            for (sum, quad) in sums.iter_mut().zip(quads) {
                *sum = sum.plus_products(quad, weights);
            }
        }
        for sum in sums {
            sum.keep(kept.as_mut_ptr());
            black_box(&kept);
        }
    }
    kept.iter().sum()
}
