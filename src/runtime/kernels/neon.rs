//! Vectors of 64-bit ARM: NEON with 4 floats.

use super::lanes::Lanes;
use std::arch::aarch64::*;

/// NEON, which every 64-bit ARM has.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

// SAFETY of every block below: the target has NEON, and for `load` and `store` the caller promises
// that the floats are there; both take any alignment.
impl Lanes for Neon {
    const LANES: usize = 4;
    const PIXELS: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Neon {
        Neon(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Neon {
        Neon(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn plus_product(self, one: Neon, other: Neon) -> Neon {
        Neon(unsafe { vfmaq_f32(self.0, one.0, other.0) })
    }

    const TAKES_LANES: bool = true;

    #[inline(always)]
    unsafe fn plus_lane<const LANE: i32>(self, values: Neon, other: Neon) -> Neon {
        Neon(unsafe { vfmaq_laneq_f32::<LANE>(self.0, other.0, values.0) })
    }

    #[inline(always)]
    fn apart(mut pointer: *const f32) -> *const f32 {
        // SAFETY: there is no instruction.
        unsafe {
            std::arch::asm!("/* {} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        }
        pointer
    }

    #[inline(always)]
    unsafe fn plus(self, other: Neon) -> Neon {
        Neon(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn minus(self, other: Neon) -> Neon {
        Neon(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn times(self, other: Neon) -> Neon {
        Neon(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn over(self, other: Neon) -> Neon {
        Neon(unsafe { vdivq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, bound: Neon) -> Neon {
        Neon(unsafe { vmaxq_f32(self.0, bound.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, bound: Neon) -> Neon {
        Neon(unsafe { vminq_f32(self.0, bound.0) })
    }

    #[inline(always)]
    unsafe fn first(self, lanes: usize) -> Neon {
        let places = [0_u32, 1, 2, 3];
        let mask = unsafe { vcltq_u32(vld1q_u32(places.as_ptr()), vdupq_n_u32(lanes as u32)) };
        Neon(unsafe { vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(self.0), mask)) })
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Neon {
        Neon(unsafe { vrndnq_f32(self.0) })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Neon {
        let power = unsafe { vaddq_s32(vcvtnq_s32_f32(self.0), vdupq_n_s32(127)) };
        Neon(unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(power)) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { vaddvq_f32(self.0) }
    }

    #[inline(always)]
    unsafe fn most(self) -> f32 {
        unsafe { vmaxvq_f32(self.0) }
    }
}
