//! Vectors of counts of 64-bit ARM: products of bytes with a sign, in 16 bits, or four at a time where the processor has those.

use super::lanes::{Code, Counts, LANES, QUAD, Sum, WEIGHTS};
use std::arch::aarch64::*;

/// Codes as bytes with a sign: 128 less.
const MOVED: u8 = 128;

/// Sixteen counts in eight registers, two for each count: products are added up in 16 bits before they are added to
/// one, two at a time, or four where `ARE_NARROW` promises that no weight is the least there is. Of that two products with
/// the least code are one more than 16 bits hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon<const ARE_NARROW: bool>([int32x4_t; 8]);

/// Sixteen counts in four registers, which take up four products at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot(pub(super) [int32x4_t; 4]);

/// Four bytes of each lane, four lanes to a register.
pub(super) type Bytes = [int8x16_t; 4];

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

/// Sixteen codes of steps, four in each: half to even, between the bounds; the least one for what is no number.
///
/// Bounds are kept by what is rounded, too, of which bytes have four times as many beside each other.
#[inline(always)]
unsafe fn rounded(steps: [float32x4_t; 4], code: Code) -> uint8x16_t {
    let bound = |steps: f32| (steps.round_ties_even() as i32 + code.zero).clamp(0, 255) as u8;
    unsafe {
        let least = vdupq_n_f32(code.least);
        let [a, b, c, d] = steps.map(|steps| vcvtnq_s32_f32(vmaxnmq_f32(steps, least)));
        let zero = vdupq_n_s16(code.zero as i16);
        let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero);
        let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), zero);
        vminq_u8(vqmovun_high_s16(vqmovun_s16(low), high), vdupq_n_u8(bound(code.most)))
    }
}

/// The codes of counts, each of which is so many steps.
#[inline(always)]
unsafe fn coded([a, b, c, d]: [int32x4_t; 4], steps: [float32x4_t; 4], code: Code) -> uint8x16_t {
    let [one, two, three, four] = steps;
    unsafe {
        let steps = [
            vmulq_f32(vcvtq_f32_s32(a), one),
            vmulq_f32(vcvtq_f32_s32(b), two),
            vmulq_f32(vcvtq_f32_s32(c), three),
            vmulq_f32(vcvtq_f32_s32(d), four),
        ];
        rounded(steps, code)
    }
}

/// The steps of sixteen lanes.
#[inline(always)]
unsafe fn each(steps: *const f32) -> [float32x4_t; 4] {
    unsafe {
        [
            vld1q_f32(steps),
            vld1q_f32(steps.add(4)),
            vld1q_f32(steps.add(8)),
            vld1q_f32(steps.add(12)),
        ]
    }
}

/// Adds to a register of counts what an instruction makes of two of bytes, the other one taken as it stands here. Of registers alone;
/// the standard library has these instructions on the nightly toolchain only.
macro_rules! plus {
    ($extension:literal, $instruction:literal, $taken:literal, [$sum:expr, $one:expr, $other:expr] $($part:tt)*) => {
        std::arch::asm!(
            concat!(".arch_extension ", $extension),
            concat!($instruction, " {sum:v}.4s, {one:v}.16b, {other:v}", $taken),
            sum = inout(vreg) *$sum,
            one = in(vreg) $one,
            other = in(vreg) $other
            $($part)*,
            options(pure, nomem, nostack, preserves_flags),
        )
    };
}
pub(super) use plus;

/// Adds the products of four codes and four weights of each count.
#[inline(always)]
pub(super) unsafe fn dots(sum: &mut int32x4_t, codes: int8x16_t, weights: int8x16_t) {
    unsafe { plus!("dotprod", "sdot", ".16b", [sum, codes, weights]) }
}

/// Adds the products of four of the sixteen codes with the weights of each lane.
#[inline(always)]
unsafe fn dot<const PART: i32>(sum: &mut int32x4_t, weights: int8x16_t, codes: int8x16_t) {
    unsafe { plus!("dotprod", "sdot", ".4b[{part}]", [sum, weights, codes], part = const PART) }
}

/// Sixteen codes of each pixel, `stride` bytes apart.
#[inline(always)]
pub(super) unsafe fn sixteen<const PIXELS: usize>(
    codes: *const u8,
    stride: usize,
) -> [int8x16_t; PIXELS] {
    let mut at = [unsafe { vdupq_n_s8(0) }; PIXELS];
    for (pixel, at) in at.iter_mut().enumerate() {
        *at = unsafe { signed(vld1q_u8(codes.add(pixel * stride))) };
    }
    at
}

/// Stores the codes of pixels that lie side by side, of each block, whose counts `together` tells.
#[inline(always)]
pub(super) unsafe fn store_tile<V: Copy, const PIXELS: usize, const BLOCKS: usize>(
    sums: &[[V; BLOCKS]; PIXELS],
    together: impl Fn(V) -> [int32x4_t; 4],
    (steps, code): (*const f32, Code),
    (to, block): (*mut u8, usize),
) {
    for at in 0..BLOCKS {
        unsafe {
            let (steps, to) = (each(steps.add(at * LANES)), to.add(at * block));
            for (pixel, sums) in sums.iter().enumerate() {
                vst1q_u8(to.add(pixel * LANES), coded(together(sums[at]), steps, code));
            }
        }
    }
}

/// How far codes are from the one that stands for zero.
#[inline(always)]
unsafe fn apart(codes: uint8x16_t, zero: u8) -> [float32x4_t; 4] {
    unsafe {
        let zero = vdupq_n_u8(zero);
        let low = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(codes), vget_low_u8(zero)));
        let high = vreinterpretq_s16_u16(vsubl_high_u8(codes, zero));
        [
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
            vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
            vcvtq_f32_s32(vmovl_high_s16(high)),
        ]
    }
}

#[inline(always)]
unsafe fn summed(one: uint8x16_t, other: uint8x16_t, sum: Sum) -> uint8x16_t {
    unsafe {
        let [ratio, other_ratio] = sum.ratios.map(|ratio| vdupq_n_f32(ratio));
        let constant = vdupq_n_f32(sum.constant);
        let mut whole = apart(one, sum.moved);
        for (one, other) in whole.iter_mut().zip(apart(other, sum.moved)) {
            *one = vfmaq_f32(vfmaq_f32(constant, other, other_ratio), *one, ratio);
        }
        rounded(whole, Code::of(sum.moved))
    }
}

impl<const ARE_NARROW: bool> Neon<ARE_NARROW> {
    #[inline(always)]
    unsafe fn spread(counts: [int32x4_t; 4]) -> Self {
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

    /// The products of eight of the sixteen codes of each pixel, the quads `ONE` and `OTHER`.
    #[inline(always)]
    unsafe fn pair<const ONE: i32, const OTHER: i32, const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Self; BLOCKS]; PIXELS],
        codes: &[int8x16_t; PIXELS],
        from: *const i8,
    ) {
        // SAFETY: as in `plus_products`.
        unsafe {
            let quads = codes.map(|codes| {
                let codes = vreinterpretq_s32_s8(codes);
                let [one, other] = [vdupq_laneq_s32(codes, ONE), vdupq_laneq_s32(codes, OTHER)];
                [vreinterpretq_s8_s32(one), vreinterpretq_s8_s32(other)]
            });
            for block in 0..BLOCKS {
                let from = from.add(block * WEIGHTS);
                for at in 0..4 {
                    let one = vld1q_s8(from.add(16 * at));
                    let other = vld1q_s8(from.add(BLOCKS * WEIGHTS + 16 * at));
                    for (sums, quads) in sums.iter_mut().zip(&quads) {
                        let sums = &mut sums[block].0;
                        let low = vmull_s8(vget_low_s8(quads[0]), vget_low_s8(one));
                        let high = vmull_high_s8(quads[0], one);
                        let (low, high) = match ARE_NARROW {
                            true => (
                                vmlal_s8(low, vget_low_s8(quads[1]), vget_low_s8(other)),
                                vmlal_high_s8(high, quads[1], other),
                            ),
                            false => {
                                sums[2 * at] = vpadalq_s16(sums[2 * at], low);
                                sums[2 * at + 1] = vpadalq_s16(sums[2 * at + 1], high);
                                let low = vmull_s8(vget_low_s8(quads[1]), vget_low_s8(other));
                                (low, vmull_high_s8(quads[1], other))
                            }
                        };
                        sums[2 * at] = vpadalq_s16(sums[2 * at], low);
                        sums[2 * at + 1] = vpadalq_s16(sums[2 * at + 1], high);
                    }
                }
            }
        }
    }
}

impl<const ARE_NARROW: bool> Counts for Neon<ARE_NARROW> {
    const PIXELS: usize = 2;
    const BLOCKS: usize = 1;
    const MOVED: i32 = MOVED as i32;
    type Codes = uint8x16_t;
    type Quads = Bytes;
    type Weights = Bytes;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        unsafe { Self::spread(four(from)) }
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
    unsafe fn plus_products(mut self, quads: Bytes, weights: Bytes) -> Self {
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

    const TAKES_PARTS: bool = true;

    #[inline(always)]
    unsafe fn plus_sixteen<const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Self; BLOCKS]; PIXELS],
        (codes, stride): (*const u8, usize),
        weights: *const i8,
    ) {
        unsafe {
            let at = sixteen(codes, stride);
            Self::pair::<0, 1, PIXELS, BLOCKS>(sums, &at, weights);
            Self::pair::<2, 3, PIXELS, BLOCKS>(sums, &at, weights.add(2 * BLOCKS * WEIGHTS));
        }
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> uint8x16_t {
        unsafe { coded(self.together(), each(steps), code) }
    }

    const STORES_TILES: bool = true;

    #[inline(always)]
    unsafe fn store_tile<const PIXELS: usize, const BLOCKS: usize>(
        sums: &[[Self; BLOCKS]; PIXELS],
        (steps, code): (*const f32, Code),
        to: (*mut u8, usize),
    ) {
        unsafe { store_tile(sums, |sums| sums.together(), (steps, code), to) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> uint8x16_t {
        unsafe { vld1q_u8(from) }
    }

    #[inline(always)]
    unsafe fn summed(one: uint8x16_t, other: uint8x16_t, sum: Sum) -> uint8x16_t {
        unsafe { summed(one, other, sum) }
    }

    #[inline(always)]
    unsafe fn store(codes: uint8x16_t, to: *mut u8) {
        unsafe { vst1q_u8(to, codes) }
    }

    #[inline(always)]
    unsafe fn store_four(counts: [Self; QUAD], steps: *const f32, code: Code, to: *mut u8) {
        // The steps are read once: what is stored could change them, for all that is known here.
        let steps = unsafe { each(steps) };
        for (pixel, counts) in counts.into_iter().enumerate() {
            unsafe { vst1q_u8(to.add(pixel * LANES), coded(counts.together(), steps, code)) }
        }
    }
}

impl Dot {
    /// The products of four of the sixteen codes of each pixel.
    #[inline(always)]
    unsafe fn part<const PART: i32, const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Dot; BLOCKS]; PIXELS],
        codes: &[int8x16_t; PIXELS],
        from: *const i8,
    ) {
        for block in 0..BLOCKS {
            let at = unsafe { weights(from.add(block * WEIGHTS)) };
            for (sums, codes) in sums.iter_mut().zip(codes) {
                for (sum, weights) in sums[block].0.iter_mut().zip(at) {
                    unsafe { dot::<PART>(sum, weights, *codes) }
                }
            }
        }
    }
}

impl Counts for Dot {
    const PIXELS: usize = 5;
    const BLOCKS: usize = 1;
    const MOVED: i32 = MOVED as i32;
    type Codes = uint8x16_t;
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
            unsafe { dots(sum, quad, weights) }
        }
        self
    }

    const TAKES_PARTS: bool = true;

    #[inline(always)]
    unsafe fn plus_sixteen<const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Dot; BLOCKS]; PIXELS],
        (codes, stride): (*const u8, usize),
        weights: *const i8,
    ) {
        unsafe {
            let at = sixteen(codes, stride);
            Dot::part::<0, PIXELS, BLOCKS>(sums, &at, weights);
            Dot::part::<1, PIXELS, BLOCKS>(sums, &at, weights.add(BLOCKS * WEIGHTS));
            Dot::part::<2, PIXELS, BLOCKS>(sums, &at, weights.add(2 * BLOCKS * WEIGHTS));
            Dot::part::<3, PIXELS, BLOCKS>(sums, &at, weights.add(3 * BLOCKS * WEIGHTS));
        }
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> uint8x16_t {
        unsafe { coded(self.0, each(steps), code) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> uint8x16_t {
        unsafe { vld1q_u8(from) }
    }

    #[inline(always)]
    unsafe fn summed(one: uint8x16_t, other: uint8x16_t, sum: Sum) -> uint8x16_t {
        unsafe { summed(one, other, sum) }
    }

    #[inline(always)]
    unsafe fn store(codes: uint8x16_t, to: *mut u8) {
        unsafe { vst1q_u8(to, codes) }
    }

    const STORES_TILES: bool = true;

    #[inline(always)]
    unsafe fn store_tile<const PIXELS: usize, const BLOCKS: usize>(
        sums: &[[Dot; BLOCKS]; PIXELS],
        (steps, code): (*const f32, Code),
        to: (*mut u8, usize),
    ) {
        unsafe { store_tile(sums, |sums| sums.0, (steps, code), to) }
    }

    #[inline(always)]
    unsafe fn store_four(counts: [Dot; QUAD], steps: *const f32, code: Code, to: *mut u8) {
        // The steps are read once: what is stored could change them, for all that is known here.
        let steps = unsafe { each(steps) };
        for (pixel, counts) in counts.into_iter().enumerate() {
            unsafe { vst1q_u8(to.add(pixel * LANES), coded(counts.0, steps, code)) }
        }
    }
}
