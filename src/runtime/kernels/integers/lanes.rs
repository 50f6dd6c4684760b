//! Vectors of counts: sixteen channels of 32 bits, which take up four products of 8 bits at a time.

/// Channels of a block: as many codes as the shortest vectors hold.
pub(in crate::runtime) const LANES: usize = 16;

/// Channels that one step of a product takes.
pub(super) const QUAD: usize = 4;

/// Bytes of the weights of one quad for all lanes.
pub(super) const WEIGHTS: usize = LANES * QUAD;

/// Codes that are looked up in a table at a time.
pub(super) const LOOKED_UP: usize = 32;

/// Bytes behind the last code of a buffer that are read, and change nothing: four pixels are read
/// where a window is narrower.
pub(in crate::runtime) const SLACK: usize = WEIGHTS;

/// How steps from the zero point become a code: what they may come to, and the zero point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::runtime) struct Code {
    pub(super) least: f32,
    pub(super) most: f32,
    pub(super) zero: i32,
}

impl Code {
    /// All codes there are, for this zero point.
    pub(in crate::runtime) fn of(zero: u8) -> Code {
        let zero = i32::from(zero);
        Code { least: -zero as f32, most: (255 - zero) as f32, zero }
    }

    /// The code that is so many steps from the zero point, rounded half to even; the least one for
    /// what is no number.
    #[inline(always)]
    pub(super) fn code(self, steps: f32) -> i32 {
        let steps = if steps > self.least { steps } else { self.least };
        let steps = if steps < self.most { steps } else { self.most };
        steps.round_ties_even() as i32 + self.zero
    }
}

/// How two codes become the code of their sum: each times its ratio to the sum's step, and all that
/// is constant, with one rounding for each product and its sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::runtime) struct Sum {
    pub(in crate::runtime) ratios: [f32; 2],
    /// With the zero point of the sum in it.
    pub(in crate::runtime) constant: f32,
    /// What codes are beyond the integers that they stand for: 128 for those with a sign.
    pub(in crate::runtime) moved: u8,
}

impl Sum {
    /// In double precision the products are exact, so that narrowing each sum rounds as a fused
    /// multiplication does.
    #[cfg(any(test, not(target_arch = "aarch64")))]
    fn of(self, one: i32, other: i32) -> i32 {
        let [ratio, other_ratio] = self.ratios.map(f64::from);
        let moved = i32::from(self.moved);
        let begun = (f64::from(other - moved) * other_ratio + f64::from(self.constant)) as f32;
        let whole = (f64::from(one - moved) * ratio + f64::from(begun)) as f32;
        Code::of(self.moved).code(whole)
    }
}

/// A vector of counts, one for each channel of a block.
///
/// # Safety
/// Of each function: the processor has the vectors, and what is pointed to is there.
pub(super) trait Counts: Copy {
    /// Pixels of a tile at most, so that its counts stay in registers.
    const PIXELS: usize;
    /// Blocks of channels of a tile.
    const BLOCKS: usize;
    /// What is taken from a code before it is multiplied: 128 where products want a sign.
    const MOVED: i32;
    /// A code for each lane.
    type Codes: Copy;
    /// Four codes for each lane.
    type Quads: Copy;
    /// Four weights for each lane.
    type Weights: Copy;

    unsafe fn load(from: *const i32) -> Self;
    unsafe fn keep(self, to: *mut i32);
    /// The same four codes for all lanes.
    unsafe fn everywhere(from: *const u8) -> Self::Quads;
    /// Codes of four pixels that lie side by side, each with a code for each lane.
    unsafe fn across(from: *const u8) -> Self::Quads;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    unsafe fn plus_products(self, quads: Self::Quads, weights: Self::Weights) -> Self;
    /// Whether a product takes its four codes from any part of a vector: sixteen are read at once then, by
    /// [`plus_sixteen`](Self::plus_sixteen).
    const TAKES_PARTS: bool = false;
    /// Brings the counts of a tile into the order in which sixteen codes at a time are taken.
    #[inline(always)]
    unsafe fn begin<const PIXELS: usize, const BLOCKS: usize>(
        _sums: &mut [[Self; BLOCKS]; PIXELS],
    ) {
    }
    /// Brings them back.
    #[inline(always)]
    unsafe fn end<const PIXELS: usize, const BLOCKS: usize>(_sums: &mut [[Self; BLOCKS]; PIXELS]) {}
    /// Adds the products of sixteen codes of each pixel, `stride` bytes apart, with the weights of four
    /// quads, between [`begin`](Self::begin) and [`end`](Self::end).
    #[inline(always)]
    unsafe fn plus_sixteen<const PIXELS: usize, const BLOCKS: usize>(
        sums: &mut [[Self; BLOCKS]; PIXELS],
        (codes, stride): (*const u8, usize),
        weights: *const i8,
    ) {
        for quad in 0..QUAD {
            // SAFETY: the caller's promise.
            unsafe {
                let weights = weights.add(quad * BLOCKS * WEIGHTS);
                plus_four(sums, (codes.add(quad * QUAD), stride), weights);
            }
        }
    }
    /// The codes of counts, each of which is so many steps.
    unsafe fn coded(self, steps: *const f32, code: Code) -> Self::Codes;
    /// Codes as they lie in an image.
    unsafe fn codes(from: *const u8) -> Self::Codes;
    /// The codes of the sum of codes.
    unsafe fn summed(one: Self::Codes, other: Self::Codes, sum: Sum) -> Self::Codes;
    /// Stores codes.
    unsafe fn store(codes: Self::Codes, to: *mut u8);
    /// What stands in a table for each of some codes.
    #[inline(always)]
    unsafe fn looked_up(table: &[u8; 256], codes: [u8; LOOKED_UP]) -> [u8; LOOKED_UP] {
        codes.map(|code| table[usize::from(code)])
    }

    /// Whether the codes of a whole tile are stored from registers, by [`store_tile`](Self::store_tile).
    const STORES_TILES: bool = false;

    /// Stores the codes of pixels that lie side by side, of each block.
    #[inline(always)]
    unsafe fn store_tile<const PIXELS: usize, const BLOCKS: usize>(
        sums: &[[Self; BLOCKS]; PIXELS],
        (steps, code): (*const f32, Code),
        (to, block): (*mut u8, usize),
    ) {
        for (pixel, sums) in sums.iter().enumerate() {
            for (at, counts) in sums.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    let codes = counts.coded(steps.add(at * LANES), code);
                    Self::store(codes, to.add(at * block + pixel * LANES));
                }
            }
        }
    }

    /// Stores the codes of four pixels that lie side by side.
    #[inline(always)]
    unsafe fn store_four(four: [Self; QUAD], steps: *const f32, code: Code, to: *mut u8) {
        for (pixel, counts) in four.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { Self::store(counts.coded(steps, code), to.add(pixel * LANES)) }
        }
    }

    /// Stores the codes of four pixels with others added, which come first if told so.
    #[inline(always)]
    unsafe fn store_four_summed(
        four: [Self; QUAD],
        (steps, code): (*const f32, Code),
        (others, sum, is_first): (*const u8, Sum, bool),
        to: *mut u8,
    ) {
        for (pixel, counts) in four.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let (one, other) =
                    (counts.coded(steps, code), Self::codes(others.add(pixel * LANES)));
                let (one, other) = if is_first { (other, one) } else { (one, other) };
                Self::store(Self::summed(one, other, sum), to.add(pixel * LANES));
            }
        }
    }
}

/// Lets the weights of two quads lie side by side, lane by lane, as products of matrices take them.
pub(super) fn pair(weights: &mut [i8]) {
    for both in weights.chunks_exact_mut(2 * WEIGHTS) {
        let (one, other) = both.split_at(WEIGHTS);
        let quads = one.chunks_exact(QUAD).zip(other.chunks_exact(QUAD));
        let made: Vec<i8> = quads.flat_map(|(one, other)| [one, other].concat()).collect();
        both.copy_from_slice(&made);
    }
}

/// Adds the products of four codes of each pixel, `stride` bytes apart, with the weights of a quad.
///
/// # Safety
/// The processor has the vectors, and the codes and weights are there.
#[inline(always)]
pub(super) unsafe fn plus_four<V: Counts, const PIXELS: usize, const BLOCKS: usize>(
    sums: &mut [[V; BLOCKS]; PIXELS],
    (codes, stride): (*const u8, usize),
    weights: *const i8,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let at: [V::Weights; BLOCKS] =
            std::array::from_fn(|block| V::weights(weights.add(block * WEIGHTS)));
        for (pixel, sums) in sums.iter_mut().enumerate() {
            let quads = V::everywhere(codes.add(pixel * stride));
            for (sum, weights) in sums.iter_mut().zip(at) {
                *sum = sum.plus_products(quads, weights);
            }
        }
    }
}

/// What any processor has.
#[cfg(any(test, not(target_arch = "aarch64")))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain([i32; LANES]);

#[cfg(any(test, not(target_arch = "aarch64")))]
impl Plain {
    fn each(of: impl FnMut(usize) -> i32) -> Plain {
        Plain(std::array::from_fn(of))
    }
}

#[cfg(any(test, not(target_arch = "aarch64")))]
impl Counts for Plain {
    const PIXELS: usize = 2;
    const BLOCKS: usize = 1;
    const MOVED: i32 = 0;
    type Codes = Plain;
    type Quads = [[u8; QUAD]; LANES];
    type Weights = [[i8; QUAD]; LANES];

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Plain {
        // SAFETY: the caller's promise, here and below.
        Plain(unsafe { from.cast::<[i32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn keep(self, to: *mut i32) {
        unsafe { to.cast::<[i32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn everywhere(from: *const u8) -> [[u8; QUAD]; LANES] {
        [unsafe { from.cast::<[u8; QUAD]>().read_unaligned() }; LANES]
    }

    #[inline(always)]
    unsafe fn across(from: *const u8) -> [[u8; QUAD]; LANES] {
        let pixels = unsafe { from.cast::<[[u8; LANES]; QUAD]>().read_unaligned() };
        std::array::from_fn(|lane| std::array::from_fn(|pixel| pixels[pixel][lane]))
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [[i8; QUAD]; LANES] {
        unsafe { from.cast::<[[i8; QUAD]; LANES]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn plus_products(
        self,
        quads: [[u8; QUAD]; LANES],
        weights: [[i8; QUAD]; LANES],
    ) -> Plain {
        Plain::each(|lane| {
            let pairs = quads[lane].iter().zip(weights[lane]);
            let products = pairs.map(|(code, weight)| i32::from(*code) * i32::from(weight));
            products.fold(self.0[lane], i32::wrapping_add)
        })
    }

    #[inline(always)]
    unsafe fn coded(self, steps: *const f32, code: Code) -> Plain {
        let steps = unsafe { steps.cast::<[f32; LANES]>().read_unaligned() };
        Plain::each(|lane| code.code(self.0[lane] as f32 * steps[lane]))
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Plain {
        Plain(unsafe { from.cast::<[u8; LANES]>().read_unaligned() }.map(i32::from))
    }

    #[inline(always)]
    unsafe fn summed(one: Plain, other: Plain, sum: Sum) -> Plain {
        Plain::each(|lane| sum.of(one.0[lane], other.0[lane]))
    }

    #[inline(always)]
    unsafe fn store(codes: Plain, to: *mut u8) {
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(codes.0.map(|code| code as u8)) }
    }
}
