//! Vectors of counts of 64-bit ARM that multiplies matrices of bytes (i8mm): of two pixels and two channels, eight products each at a time.

use super::lanes::{Code, Counts, QUAD, Sum, WEIGHTS};
use super::neon::{Bytes, Dot, dots, plus, sixteen, store_tile};
use std::arch::aarch64::*;

/// Counts as [`Dot`] has them, but while sixteen codes at a time are taken: then those of two pixels lie in the registers
/// of both, of every two channels two of the first and two of the second. A last one without another has two counts for each
/// channel, and registers of its own for them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix(Dot, [int32x4_t; 4]);

/// Registers of two pixels, or of the last one.
const REGISTERS: usize = 8;

// SAFETY: in all of this file, the callers promise the processor's features and the memory.
/// Adds two rows of eight bytes times two columns.
#[inline(always)]
unsafe fn plus_matrix(sum: &mut int32x4_t, rows: int8x16_t, columns: int8x16_t) {
    unsafe { plus!("i8mm", "smmla", ".16b", [sum, rows, columns]) }
}

#[inline(always)]
unsafe fn halves(one: int32x4_t, other: int32x4_t) -> [int32x4_t; 2] {
    let [one, other] = unsafe { [vreinterpretq_s64_s32(one), vreinterpretq_s64_s32(other)] };
    unsafe {
        [
            vreinterpretq_s32_s64(vzip1q_s64(one, other)),
            vreinterpretq_s32_s64(vzip2q_s64(one, other)),
        ]
    }
}

/// One register of the eight of two pixels.
#[inline(always)]
fn register<const PIXELS: usize, const BLOCKS: usize>(
    sums: &mut [[Matrix; BLOCKS]; PIXELS],
    (pair, block, at): (usize, usize, usize),
) -> &mut int32x4_t {
    &mut sums[2 * pair + at / QUAD][block].0.0[at % QUAD]
}

impl Counts for Matrix {
    const PIXELS: usize = 4;
    const BLOCKS: usize = Dot::BLOCKS;
    const MOVED: i32 = Dot::MOVED;
    type Codes = uint8x16_t;
    type Quads = Bytes;
    type Weights = Bytes;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Matrix {
        let none = [unsafe { vdupq_n_s32(0) }; 4];
        Matrix(unsafe { Dot::load(from) }, none)
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe { self.0.keep(to) }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> Bytes {
        unsafe { Dot::everywhere(from) }
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> Bytes {
        unsafe { Dot::across(from) }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Bytes {
        unsafe { Dot::weights(from) }
    }

    #[inline(always)]
    unsafe fn plus_products(self, quads: Bytes, weights: Bytes) -> Matrix {
        Matrix(unsafe { self.0.plus_products(quads, weights) }, self.1)
    }

    const TAKES_PARTS: bool = true;

    #[inline(always)]
    unsafe fn begin<const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Matrix; BLOCKS]; PIXELS],
    ) {
        for (pair, block) in (0..PIXELS / 2).flat_map(|pair| (0..BLOCKS).map(move |it| (pair, it)))
        {
            let [one, other] = [sums[2 * pair][block].0.0, sums[2 * pair + 1][block].0.0];
            for at in 0..QUAD {
                let [low, high] = unsafe { halves(one[at], other[at]) };
                *register(sums, (pair, block, 2 * at)) = low;
                *register(sums, (pair, block, 2 * at + 1)) = high;
            }
        }
        if PIXELS % 2 == 1 {
            for Matrix(Dot(low), high) in &mut sums[PIXELS - 1] {
                let ([a, b, c, d], zero) = (*low, unsafe { vdupq_n_s32(0) });
                let apart = |one, other| unsafe {
                    [
                        vzip1q_s32(one, zero),
                        vzip2q_s32(one, zero),
                        vzip1q_s32(other, zero),
                        vzip2q_s32(other, zero),
                    ]
                };
                (*low, *high) = (apart(a, b), apart(c, d));
            }
        }
    }

    #[inline(always)]
    unsafe fn end<const PIXELS: usize, const BLOCKS: usize>(sums: &mut [[Matrix; BLOCKS]; PIXELS]) {
        for (pair, block) in (0..PIXELS / 2).flat_map(|pair| (0..BLOCKS).map(move |it| (pair, it)))
        {
            let both: [int32x4_t; REGISTERS] =
                std::array::from_fn(|at| *register(sums, (pair, block, at)));
            for at in 0..QUAD {
                let [one, other] = unsafe { halves(both[2 * at], both[2 * at + 1]) };
                sums[2 * pair][block].0.0[at] = one;
                sums[2 * pair + 1][block].0.0[at] = other;
            }
        }
        if PIXELS % 2 == 1 {
            for Matrix(Dot(low), high) in &mut sums[PIXELS - 1] {
                let ([a, b, c, d], [e, f, g, h]) = (*low, *high);
                *low = unsafe {
                    [vpaddq_s32(a, b), vpaddq_s32(c, d), vpaddq_s32(e, f), vpaddq_s32(g, h)]
                };
            }
        }
    }

    #[inline(always)]
    unsafe fn plus_sixteen<const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Matrix; BLOCKS]; PIXELS],
        (codes, stride): (*const u8, usize),
        weights: *const i8,
    ) {
        unsafe {
            let at: [int8x16_t; PIXELS] = sixteen(codes, stride);
            for half in 0..2 {
                let rows = |pair: usize| {
                    let [one, other] =
                        [at[2 * pair], at[2 * pair + 1]].map(|it| vreinterpretq_s32_s8(it));
                    vreinterpretq_s8_s32(halves(one, other)[half])
                };
                let pairs: [int8x16_t; PIXELS] =
                    std::array::from_fn(
                        |pair| if 2 * pair + 1 < PIXELS { rows(pair) } else { at[0] },
                    );
                for block in 0..BLOCKS {
                    let from = weights.add((half * BLOCKS + block) * 2 * WEIGHTS);
                    for number in 0..REGISTERS {
                        let columns = vld1q_s8(from.add(16 * number));
                        for pair in 0..PIXELS / 2 {
                            let sum = register(sums, (pair, block, number));
                            plus_matrix(sum, pairs[pair], columns);
                        }
                    }
                    if PIXELS % 2 == 1 {
                        let last = vreinterpretq_s32_s8(at[PIXELS - 1]);
                        let codes = vreinterpretq_s8_s32(halves(last, last)[half]);
                        let Matrix(Dot(low), high) = &mut sums[PIXELS - 1][block];
                        // Written out twice: a loop over both would keep them in memory.
                        for (number, sum) in low.iter_mut().enumerate() {
                            dots(sum, codes, vld1q_s8(from.add(16 * number)));
                        }
                        for (number, sum) in high.iter_mut().enumerate() {
                            dots(sum, codes, vld1q_s8(from.add(16 * (QUAD + number))));
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> uint8x16_t {
        unsafe { self.0.coded(steps, code) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> uint8x16_t {
        unsafe { Dot::codes(from) }
    }

    #[inline(always)]
    unsafe fn summed(one: uint8x16_t, other: uint8x16_t, sum: Sum) -> uint8x16_t {
        unsafe { Dot::summed(one, other, sum) }
    }

    #[inline(always)]
    unsafe fn store(codes: uint8x16_t, to: *mut u8) {
        unsafe { Dot::store(codes, to) }
    }

    const STORES_TILES: bool = true;

    #[inline(always)]
    unsafe fn store_tile<const PIXELS: usize, const BLOCKS: usize>(
        sums: &[[Matrix; BLOCKS]; PIXELS],
        steps: (*const f32, Code),
        to: (*mut u8, usize),
    ) {
        unsafe { store_tile(sums, |sums| sums.0.0, steps, to) }
    }

    #[inline(always)]
    unsafe fn store_four(counts: [Matrix; QUAD], steps: *const f32, code: Code, to: *mut u8) {
        unsafe { Dot::store_four(counts.map(|counts| counts.0), steps, code, to) }
    }
}
