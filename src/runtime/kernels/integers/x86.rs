//! Vectors of counts of x86-64: AVX-512 with VNNI, and AVX2.

use super::lanes::{Code, Counts, LOOKED_UP, QUAD, Sum};
use std::arch::x86_64::*;

/// Sixteen counts in one register; four products of bytes and their sum are one instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vnni(__m512i);

// SAFETY: in all of this file, the callers promise the processor's features and the memory.
impl Counts for Vnni {
    const PIXELS: usize = 14;
    const BLOCKS: usize = 2;
    const MOVED: i32 = 0;
    type Codes = Vnni;
    type Quads = __m512i;
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Vnni {
        Vnni(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> __m512i {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> __m512i {
        unsafe {
            let pixels = _mm512_loadu_si512(from.cast());
            // Four channels of each pixel side by side, then four pixels of each channel.
            let quads = _mm512_permutexvar_epi32(turned_quads(), pixels);
            let turned = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(turned))
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn plus_products(self, quads: __m512i, weights: __m512i) -> Vnni {
        Vnni(unsafe { _mm512_dpbusd_epi32(self.0, quads, weights) })
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> Vnni {
        unsafe {
            let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(self.0), _mm512_loadu_ps(steps));
            Vnni(_mm512_add_epi32(rounded(steps, code), _mm512_set1_epi32(code.zero)))
        }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Vnni {
        Vnni(unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())) })
    }

    #[inline(always)]
    unsafe fn summed(one: Vnni, other: Vnni, sum: Sum) -> Vnni {
        unsafe {
            let [ratio, other_ratio] = sum.ratios.map(|ratio| _mm512_set1_ps(ratio));
            let constant = _mm512_set1_ps(sum.constant);
            let moved = _mm512_set1_epi32(i32::from(sum.moved));
            let one = _mm512_cvtepi32_ps(_mm512_sub_epi32(one.0, moved));
            let other = _mm512_cvtepi32_ps(_mm512_sub_epi32(other.0, moved));
            let begun = _mm512_fmadd_ps(other, other_ratio, constant);
            let whole = _mm512_fmadd_ps(one, ratio, begun);
            Vnni(_mm512_add_epi32(rounded(whole, Code::of(sum.moved)), moved))
        }
    }

    #[inline(always)]
    unsafe fn store(codes: Vnni, to: *mut u8) {
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(codes.0)) }
    }

    #[inline(always)]
    unsafe fn looked_up(table: &[u8; 256], codes: [u8; LOOKED_UP]) -> [u8; LOOKED_UP] {
        let mut made = [0; LOOKED_UP];
        unsafe {
            // A word has two answers, those of an even code and of the odd one after it.
            let words = |at: usize| _mm512_loadu_si512(table.as_ptr().add(64 * at).cast());
            let codes = _mm512_cvtepu8_epi16(_mm256_loadu_si256(codes.as_ptr().cast()));
            let places = _mm512_srli_epi16::<1>(codes);
            let low = _mm512_permutex2var_epi16(words(0), places, words(1));
            let high = _mm512_permutex2var_epi16(words(2), places, words(3));
            let is_high = _mm512_test_epi16_mask(codes, _mm512_set1_epi16(128));
            let both = _mm512_mask_blend_epi16(is_high, low, high);
            let is_odd = _mm512_test_epi16_mask(codes, _mm512_set1_epi16(1));
            let answers = _mm512_mask_srli_epi16::<8>(both, is_odd, both);
            _mm256_storeu_si256(made.as_mut_ptr().cast(), _mm512_cvtepi16_epi8(answers));
        }
        made
    }

    #[inline(always)]
    unsafe fn store_four(four: [Vnni; QUAD], steps: *const f32, code: Code, to: *mut u8) {
        unsafe {
            let steps = _mm512_loadu_ps(steps);
            let [a, b, c, d] = four;
            store_steps(
                [
                    _mm512_mul_ps(_mm512_cvtepi32_ps(a.0), steps),
                    _mm512_mul_ps(_mm512_cvtepi32_ps(b.0), steps),
                    _mm512_mul_ps(_mm512_cvtepi32_ps(c.0), steps),
                    _mm512_mul_ps(_mm512_cvtepi32_ps(d.0), steps),
                ],
                code,
                to,
            );
        }
    }

    #[inline(always)]
    unsafe fn store_four_summed(
        four: [Vnni; QUAD],
        (steps, code): (*const f32, Code),
        (others, sum, is_first): (*const u8, Sum, bool),
        to: *mut u8,
    ) {
        unsafe {
            let steps = _mm512_loadu_ps(steps);
            let added = (steps, code, sum, is_first);
            let [a, b, c, d] = four;
            store_steps(
                [
                    whole(a, others, added),
                    whole(b, others.add(16), added),
                    whole(c, others.add(32), added),
                    whole(d, others.add(48), added),
                ],
                Code::of(sum.moved),
                to,
            );
        }
    }
}

/// The steps of a sum, from counts and the codes that are added to their codes.
#[inline(always)]
unsafe fn whole(
    counts: Vnni,
    others: *const u8,
    (steps, code, sum, is_first): (__m512, Code, Sum, bool),
) -> __m512 {
    unsafe {
        let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(counts.0), steps);
        let steps = _mm512_max_ps(steps, _mm512_set1_ps(code.least));
        let steps = _mm512_min_ps(steps, _mm512_set1_ps(code.most));
        // Whole numbers this small are exact in floats, and so are their sums.
        let whole =
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(steps);
        let moved = i32::from(sum.moved);
        let made = _mm512_add_ps(whole, _mm512_set1_ps((code.zero - moved) as f32));
        let others = _mm512_cvtepu8_epi32(_mm_loadu_si128(others.cast()));
        let others = _mm512_sub_ps(_mm512_cvtepi32_ps(others), _mm512_set1_ps(moved as f32));
        let (one, other) = if is_first { (others, made) } else { (made, others) };
        let [ratio, other_ratio] = [_mm512_set1_ps(sum.ratios[0]), _mm512_set1_ps(sum.ratios[1])];
        let begun = _mm512_fmadd_ps(other, other_ratio, _mm512_set1_ps(sum.constant));
        _mm512_fmadd_ps(one, ratio, begun)
    }
}

/// Stores the codes of four pixels by their steps. What is too low, or no number, becomes a low number
/// and zero where it is narrowed; what is too high is held down before.
#[inline(always)]
unsafe fn store_steps([a, b, c, d]: [__m512; QUAD], code: Code, to: *mut u8) {
    unsafe {
        let (most, zero) = (_mm512_set1_ps(code.most), _mm512_set1_epi16(code.zero as i16));
        // Of two operands one of which is no number, the second comes out.
        let a = _mm512_cvtps_epi32(_mm512_min_ps(most, a));
        let b = _mm512_cvtps_epi32(_mm512_min_ps(most, b));
        let c = _mm512_cvtps_epi32(_mm512_min_ps(most, c));
        let d = _mm512_cvtps_epi32(_mm512_min_ps(most, d));
        let first = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
        let second = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
        // Four channels of each pixel side by side, four times: turned, they are pixel by pixel.
        let codes = _mm512_packus_epi16(first, second);
        _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi32(turned_quads(), codes));
    }
}

/// Four by four, turned.
#[inline(always)]
unsafe fn turned_quads() -> __m512i {
    unsafe { _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15) }
}

/// Half to even, between the bounds; the least one for what is no number: of two operands one of
/// which is no number, the second comes out.
#[inline(always)]
unsafe fn rounded(steps: __m512, code: Code) -> __m512i {
    unsafe {
        let steps = _mm512_max_ps(steps, _mm512_set1_ps(code.least));
        _mm512_cvtps_epi32(_mm512_min_ps(steps, _mm512_set1_ps(code.most)))
    }
}

/// Sixteen counts in two registers. Products are of 16 bits: the instruction for bytes saturates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2([__m256i; 2]);

/// The bytes at even places and those at odd ones, in 16 bits.
type Split = [__m256i; 2];

impl Avx2 {
    #[inline(always)]
    unsafe fn split(codes: __m256i) -> Split {
        unsafe { [_mm256_and_si256(codes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(codes)] }
    }

    /// As bytes with a sign.
    #[inline(always)]
    unsafe fn split_signed(weights: __m256i) -> Split {
        unsafe {
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
            [even, _mm256_srai_epi16::<8>(weights)]
        }
    }

    #[inline(always)]
    unsafe fn products(sum: __m256i, quads: Split, weights: Split) -> __m256i {
        unsafe {
            let even = _mm256_madd_epi16(quads[0], weights[0]);
            let odd = _mm256_madd_epi16(quads[1], weights[1]);
            _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
        }
    }

    #[inline(always)]
    unsafe fn half_coded(sums: __m256i, steps: *const f32, code: Code) -> __m256i {
        unsafe {
            let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(steps));
            _mm256_add_epi32(rounded_256(steps, code), _mm256_set1_epi32(code.zero))
        }
    }

    #[inline(always)]
    unsafe fn half_summed(one: __m256i, other: __m256i, sum: Sum) -> __m256i {
        unsafe {
            let moved = _mm256_set1_epi32(i32::from(sum.moved));
            let one = _mm256_cvtepi32_ps(_mm256_sub_epi32(one, moved));
            let other = _mm256_cvtepi32_ps(_mm256_sub_epi32(other, moved));
            let (ratio, other_ratio) =
                (_mm256_set1_ps(sum.ratios[0]), _mm256_set1_ps(sum.ratios[1]));
            let begun = _mm256_fmadd_ps(other, other_ratio, _mm256_set1_ps(sum.constant));
            let whole = _mm256_fmadd_ps(one, ratio, begun);
            _mm256_add_epi32(rounded_256(whole, Code::of(sum.moved)), moved)
        }
    }
}

/// As for the longer vectors.
#[inline(always)]
unsafe fn rounded_256(steps: __m256, code: Code) -> __m256i {
    unsafe {
        let steps = _mm256_max_ps(steps, _mm256_set1_ps(code.least));
        _mm256_cvtps_epi32(_mm256_min_ps(steps, _mm256_set1_ps(code.most)))
    }
}

impl Counts for Avx2 {
    const PIXELS: usize = 4;
    const BLOCKS: usize = 1;
    const MOVED: i32 = 0;
    type Codes = Avx2;
    type Quads = [Split; 2];
    type Weights = [Split; 2];

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Avx2 {
        unsafe { Avx2([_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())]) }
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe {
            _mm256_storeu_si256(to.cast(), self.0[0]);
            _mm256_storeu_si256(to.add(8).cast(), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> [Split; 2] {
        let quads = unsafe { Avx2::split(_mm256_set1_epi32(from.cast::<i32>().read_unaligned())) };
        [quads, quads]
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> [Split; 2] {
        unsafe {
            let a = _mm_loadu_si128(from.cast());
            let b = _mm_loadu_si128(from.add(16).cast());
            let c = _mm_loadu_si128(from.add(32).cast());
            let d = _mm_loadu_si128(from.add(48).cast());
            let (low, high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
            let (low_cd, high_cd) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
            let low =
                _mm256_set_m128i(_mm_unpackhi_epi16(low, low_cd), _mm_unpacklo_epi16(low, low_cd));
            let high = _mm256_set_m128i(
                _mm_unpackhi_epi16(high, high_cd),
                _mm_unpacklo_epi16(high, high_cd),
            );
            [Avx2::split(low), Avx2::split(high)]
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [Split; 2] {
        unsafe {
            let low = _mm256_loadu_si256(from.cast());
            let high = _mm256_loadu_si256(from.add(32).cast());
            [Avx2::split_signed(low), Avx2::split_signed(high)]
        }
    }

    #[inline(always)]
    unsafe fn plus_products(self, quads: [Split; 2], weights: [Split; 2]) -> Avx2 {
        unsafe {
            let low = Avx2::products(self.0[0], quads[0], weights[0]);
            Avx2([low, Avx2::products(self.0[1], quads[1], weights[1])])
        }
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> Avx2 {
        unsafe {
            let low = Avx2::half_coded(self.0[0], steps, code);
            Avx2([low, Avx2::half_coded(self.0[1], steps.add(8), code)])
        }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Avx2 {
        unsafe {
            let low = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
            Avx2([low, _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.add(8).cast()))])
        }
    }

    #[inline(always)]
    unsafe fn summed(one: Avx2, other: Avx2, sum: Sum) -> Avx2 {
        unsafe {
            let low = Avx2::half_summed(one.0[0], other.0[0], sum);
            Avx2([low, Avx2::half_summed(one.0[1], other.0[1], sum)])
        }
    }

    #[inline(always)]
    unsafe fn store(codes: Avx2, to: *mut u8) {
        unsafe {
            // Each half of a register is narrowed by itself, so both come in the order 0 2 1 3.
            let words = _mm256_packus_epi32(codes.0[0], codes.0[1]);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packus_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(to.cast(), bytes);
        }
    }
}
