//! Vectors of x86-64: AVX-512 with 16 floats, AVX2 with 8.

use super::lanes::Lanes;
use std::arch::x86_64::*;

/// AVX-512F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

// SAFETY of every block below: the caller promises a processor with these instructions, and for
// `load` and `store` that the floats are there; both take any alignment.
impl Lanes for Avx512 {
    const LANES: usize = 16;
    const PIXELS: usize = 14;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Avx512 {
        Avx512(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Avx512 {
        Avx512(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn plus_product(self, one: Avx512, other: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_fmadd_ps(one.0, other.0, self.0) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn minus(self, other: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn times(self, other: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn over(self, other: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn reciprocal(self) -> Avx512 {
        // To 14 bits, and a step of Newton's, which doubles them: a division keeps its unit busy for
        // three times as long.
        let near = unsafe { _mm512_rcp14_ps(self.0) };
        let off = unsafe { _mm512_fnmadd_ps(self.0, near, _mm512_set1_ps(1.0)) };
        Avx512(unsafe { _mm512_fmadd_ps(near, off, near) })
    }

    #[inline(always)]
    unsafe fn at_least(self, bound: Avx512) -> Avx512 {
        // Of two that cannot be compared, the instruction gives the second.
        Avx512(unsafe { _mm512_max_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, bound: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_min_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn first(self, lanes: usize) -> Avx512 {
        let mask = ((1_u32 << lanes) - 1) as __mmask16;
        Avx512(unsafe { _mm512_maskz_mov_ps(mask, self.0) })
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Avx512 {
        Avx512(unsafe { _mm512_roundscale_ps::<NEAREST>(self.0) })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Avx512 {
        Avx512(unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self.0) })
    }

    #[inline(always)]
    unsafe fn times_power_of_two(self, power: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_scalef_ps(self.0, power.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn most(self) -> f32 {
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
}

// SAFETY of every block below: as above.
impl Lanes for Avx2 {
    const LANES: usize = 8;
    const PIXELS: usize = 6;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Avx2 {
        Avx2(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Avx2 {
        Avx2(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn plus_product(self, one: Avx2, other: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_fmadd_ps(one.0, other.0, self.0) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn minus(self, other: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn times(self, other: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn over(self, other: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, bound: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_max_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, bound: Avx2) -> Avx2 {
        Avx2(unsafe { _mm256_min_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn first(self, lanes: usize) -> Avx2 {
        let places = unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) };
        let mask = unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), places) };
        Avx2(unsafe { _mm256_and_ps(self.0, _mm256_castsi256_ps(mask)) })
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Avx2 {
        Avx2(unsafe { _mm256_round_ps::<NEAREST>(self.0) })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Avx2 {
        let power = unsafe { _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127)) };
        Avx2(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(power)) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let (low, high) =
            unsafe { (_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0)) };
        let four = unsafe { _mm_add_ps(low, high) };
        let two = unsafe { _mm_add_ps(four, _mm_movehl_ps(four, four)) };
        unsafe { _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))) }
    }

    #[inline(always)]
    unsafe fn most(self) -> f32 {
        let (low, high) =
            unsafe { (_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0)) };
        let four = unsafe { _mm_max_ps(low, high) };
        let two = unsafe { _mm_max_ps(four, _mm_movehl_ps(four, four)) };
        unsafe { _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two))) }
    }
}
