//! Vectors of counts of 64-bit ARM: products of bytes with a sign, in 16 bits, or four at a time where the processor has those.

use super::lanes::{Code, Counts, LANES, Sum};
use std::arch::aarch64::*;

/// Codes as bytes with a sign: 128 less.
const MOVED: u8 = 128;

/// Sixteen counts in eight registers, two for each count: pairs of products are added to each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon([int32x4_t; 8]);

/// Sixteen counts in four registers, which take up four products at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot([int32x4_t; 4]);

/// Four bytes of each lane, four lanes to a register.
type Bytes = [int8x16_t; 4];

// SAFETY: in all of this file, the callers promise the processor's features and the memory.
#[inline(always)]
unsafe fn signed(codes: uint8x16_t) -> int8x16_t {
    unsafe { vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(MOVED))) }
}

#[inline(always)]
unsafe fn everywhere(from: *const u8) -> Bytes {
    let quad = unsafe { from.cast::<u32>().read_unaligned() };
    [unsafe { signed(vreinterpretq_u8_u32(vdupq_n_u32(quad))) }; 4]
}

#[inline(always)]
unsafe fn across(from: *const u8) -> Bytes {
    unsafe {
        let (a, b) = (vld1q_u8(from), vld1q_u8(from.add(LANES)));
        let (c, d) = (vld1q_u8(from.add(2 * LANES)), vld1q_u8(from.add(3 * LANES)));
        let (low, high) =
            (vreinterpretq_u16_u8(vzip1q_u8(a, b)), vreinterpretq_u16_u8(vzip2q_u8(a, b)));
        let (low_cd, high_cd) =
            (vreinterpretq_u16_u8(vzip1q_u8(c, d)), vreinterpretq_u16_u8(vzip2q_u8(c, d)));
        [
            signed(vreinterpretq_u8_u16(vzip1q_u16(low, low_cd))),
            signed(vreinterpretq_u8_u16(vzip2q_u16(low, low_cd))),
            signed(vreinterpretq_u8_u16(vzip1q_u16(high, high_cd))),
            signed(vreinterpretq_u8_u16(vzip2q_u16(high, high_cd))),
        ]
    }
}

#[inline(always)]
unsafe fn weights(from: *const i8) -> Bytes {
    unsafe {
        [vld1q_s8(from), vld1q_s8(from.add(16)), vld1q_s8(from.add(32)), vld1q_s8(from.add(48))]
    }
}

#[inline(always)]
unsafe fn four(from: *const i32) -> [int32x4_t; 4] {
    unsafe {
        [vld1q_s32(from), vld1q_s32(from.add(4)), vld1q_s32(from.add(8)), vld1q_s32(from.add(12))]
    }
}

#[inline(always)]
unsafe fn keep(counts: [int32x4_t; 4], to: *mut i32) {
    for (at, counts) in counts.into_iter().enumerate() {
        unsafe { vst1q_s32(to.add(4 * at), counts) }
    }
}

/// Half to even, between the bounds; the least one for what is no number.
#[inline(always)]
unsafe fn rounded(steps: float32x4_t, code: Code) -> int32x4_t {
    unsafe {
        let steps = vmaxnmq_f32(steps, vdupq_n_f32(code.least));
        let steps = vcvtnq_s32_f32(vminnmq_f32(steps, vdupq_n_f32(code.most)));
        vaddq_s32(steps, vdupq_n_s32(code.zero))
    }
}

#[inline(always)]
unsafe fn coded(mut counts: [int32x4_t; 4], steps: *const f32, code: Code) -> [int32x4_t; 4] {
    for (at, count) in counts.iter_mut().enumerate() {
        unsafe {
            let steps = vmulq_f32(vcvtq_f32_s32(*count), vld1q_f32(steps.add(4 * at)));
            *count = rounded(steps, code);
        }
    }
    counts
}

#[inline(always)]
unsafe fn codes(from: *const u8) -> [int32x4_t; 4] {
    unsafe {
        let codes = vld1q_u8(from);
        let (low, high) = (vmovl_u8(vget_low_u8(codes)), vmovl_high_u8(codes));
        [
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
            vreinterpretq_s32_u32(vmovl_high_u16(low)),
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
            vreinterpretq_s32_u32(vmovl_high_u16(high)),
        ]
    }
}

#[inline(always)]
unsafe fn summed(mut one: [int32x4_t; 4], other: [int32x4_t; 4], sum: Sum) -> [int32x4_t; 4] {
    unsafe {
        let moved = vdupq_n_s32(i32::from(sum.moved));
        for (one, other) in one.iter_mut().zip(other) {
            let other = vcvtq_f32_s32(vsubq_s32(other, moved));
            let begun = vfmaq_f32(vdupq_n_f32(sum.constant), other, vdupq_n_f32(sum.ratios[1]));
            let first = vcvtq_f32_s32(vsubq_s32(*one, moved));
            let whole = vfmaq_f32(begun, first, vdupq_n_f32(sum.ratios[0]));
            *one = rounded(whole, Code::of(sum.moved));
        }
        one
    }
}

#[inline(always)]
unsafe fn store(codes: [int32x4_t; 4], to: *mut u8) {
    unsafe {
        let low = vcombine_s16(vmovn_s32(codes[0]), vmovn_s32(codes[1]));
        let high = vcombine_s16(vmovn_s32(codes[2]), vmovn_s32(codes[3]));
        let codes = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
        vst1q_u8(to, vreinterpretq_u8_s8(codes));
    }
}

impl Neon {
    #[inline(always)]
    unsafe fn apart(counts: [int32x4_t; 4]) -> Neon {
        unsafe {
            let zero = vdupq_n_s32(0);
            let [a, b, c, d] = counts;
            Neon([
                vzip1q_s32(a, zero),
                vzip2q_s32(a, zero),
                vzip1q_s32(b, zero),
                vzip2q_s32(b, zero),
                vzip1q_s32(c, zero),
                vzip2q_s32(c, zero),
                vzip1q_s32(d, zero),
                vzip2q_s32(d, zero),
            ])
        }
    }

    #[inline(always)]
    unsafe fn together(self) -> [int32x4_t; 4] {
        let [a, b, c, d, e, f, g, h] = self.0;
        unsafe { [vpaddq_s32(a, b), vpaddq_s32(c, d), vpaddq_s32(e, f), vpaddq_s32(g, h)] }
    }
}

impl Counts for Neon {
    const PIXELS: usize = 2;
    const BLOCKS: usize = 1;
    const MOVED: i32 = MOVED as i32;
    type Quads = Bytes;
    type Weights = Bytes;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Neon {
        unsafe { Neon::apart(four(from)) }
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe { keep(self.together(), to) }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> Bytes {
        unsafe { everywhere(from) }
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> Bytes {
        unsafe { across(from) }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Bytes {
        unsafe { weights(from) }
    }

    #[inline(always)]
    unsafe fn plus_products(mut self, quads: Bytes, weights: Bytes) -> Neon {
        for at in 0..4 {
            unsafe {
                let low = vmull_s8(vget_low_s8(quads[at]), vget_low_s8(weights[at]));
                let high = vmull_high_s8(quads[at], weights[at]);
                self.0[2 * at] = vpadalq_s16(self.0[2 * at], low);
                self.0[2 * at + 1] = vpadalq_s16(self.0[2 * at + 1], high);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> Neon {
        unsafe { Neon::apart(coded(self.together(), steps, code)) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Neon {
        unsafe { Neon::apart(codes(from)) }
    }

    #[inline(always)]
    unsafe fn summed(self, other: Neon, sum: Sum) -> Neon {
        unsafe { Neon::apart(summed(self.together(), other.together(), sum)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        unsafe { store(self.together(), to) }
    }
}

impl Counts for Dot {
    const PIXELS: usize = 4;
    const BLOCKS: usize = 1;
    const MOVED: i32 = MOVED as i32;
    type Quads = Bytes;
    type Weights = Bytes;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Dot {
        Dot(unsafe { four(from) })
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe { keep(self.0, to) }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> Bytes {
        unsafe { everywhere(from) }
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> Bytes {
        unsafe { across(from) }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Bytes {
        unsafe { weights(from) }
    }

    #[inline(always)]
    unsafe fn plus_products(mut self, quads: Bytes, weights: Bytes) -> Dot {
        for (sum, (quad, weights)) in self.0.iter_mut().zip(quads.into_iter().zip(weights)) {
            // SAFETY: of registers alone; the standard library has this instruction on the nightly
            // toolchain only.
            unsafe {
                std::arch::asm!(
                    ".arch_extension dotprod",
                    "sdot {sum:v}.4s, {quad:v}.16b, {weights:v}.16b",
                    sum = inout(vreg) *sum,
                    quad = in(vreg) quad,
                    weights = in(vreg) weights,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> Dot {
        Dot(unsafe { coded(self.0, steps, code) })
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Dot {
        Dot(unsafe { codes(from) })
    }

    #[inline(always)]
    unsafe fn summed(self, other: Dot, sum: Sum) -> Dot {
        Dot(unsafe { summed(self.0, other.0, sum) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        unsafe { store(self.0, to) }
    }
}
