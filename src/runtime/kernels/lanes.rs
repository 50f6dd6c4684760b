//! Some floats at a time: what a processor's vectors can do, and plain arrays that do the same anywhere.

/// A vector of floats.
///
/// Each method may be called only where the processor has what the type is made for: the door of
/// this room, [`super::Kind`], names only such.
pub(super) trait Lanes: Copy {
    /// Floats in a vector; channels are kept in blocks of so many.
    const LANES: usize;
    /// Pixels of a tile at most: twice as many sums, two rows of weights and a value of the input
    /// fill the registers.
    const PIXELS: usize;

    /// # Safety
    /// `LANES` floats can be read from there, at any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` floats can be written there, at any alignment.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// As all that follow: the processor has such vectors.
    unsafe fn splat(value: f32) -> Self;
    /// `self` and the product of the others.
    unsafe fn plus_product(self, one: Self, other: Self) -> Self;
    /// Whether multiplying by one lane of a vector costs no more than by all: the four values of a vector
    /// are read at once then, and [`plus_lane`](Self::plus_lane) takes one after the other.
    const TAKES_LANES: bool = false;
    /// `self` and the product of one lane of `values`, the same for all lanes, and the other.
    #[inline(always)]
    unsafe fn plus_lane<const LANE: i32>(self, values: Self, other: Self) -> Self {
        let mut kept = [0.0_f32; 16];
        // SAFETY: the caller's promise; no vector has more lanes.
        unsafe {
            values.store(kept.as_mut_ptr());
            self.plus_product(Self::splat(kept[LANE as usize]), other)
        }
    }
    /// The same pointer, as one that has nothing to do with others: where several move on side by side,
    /// compilers count each from the one before it, each time.
    #[inline(always)]
    fn apart(pointer: *const f32) -> *const f32 {
        pointer
    }
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn minus(self, other: Self) -> Self;
    unsafe fn times(self, other: Self) -> Self;
    unsafe fn over(self, other: Self) -> Self;
    /// One over each of normal numbers below 2^126, to one unit in the last place; what is no number
    /// stays none.
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::splat(1.0).over(self) }
    }
    /// The larger one; what is no number stays none, if it is `self`.
    unsafe fn at_least(self, bound: Self) -> Self;
    /// The smaller one; what is no number stays none, if it is `self`.
    unsafe fn at_most(self, bound: Self) -> Self;
    /// Zero in every lane from `lanes` on.
    unsafe fn first(self, lanes: usize) -> Self;
    /// The nearest whole number.
    unsafe fn rounded(self) -> Self;
    /// Two to the power of whole numbers from -126 to 127.
    unsafe fn power_of_two(self) -> Self;
    /// `self` times two to the power of whole numbers from -126 to 127.
    #[inline(always)]
    unsafe fn times_power_of_two(self, power: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.times(power.power_of_two()) }
    }
    /// All lanes added up.
    unsafe fn sum(self) -> f32;
    /// The largest lane, of those that are numbers.
    unsafe fn most(self) -> f32;
}

/// What any processor has, in a form that compilers make vectors of.
#[cfg(any(test, not(target_arch = "aarch64")))]
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 8]);

#[cfg(any(test, not(target_arch = "aarch64")))]
impl Plain {
    #[inline(always)]
    fn both(self, other: Plain, of: impl Fn(f32, f32) -> f32) -> Plain {
        Plain(std::array::from_fn(|lane| of(self.0[lane], other.0[lane])))
    }
}

#[cfg(any(test, not(target_arch = "aarch64")))]
impl Lanes for Plain {
    const LANES: usize = 8;
    const PIXELS: usize = 3;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Plain {
        // SAFETY: the caller's promise; an array of floats is as aligned as a float.
        Plain(unsafe { *from.cast() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to.cast() = self.0 }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Plain {
        Plain([value; 8])
    }

    #[inline(always)]
    unsafe fn plus_product(self, one: Plain, other: Plain) -> Plain {
        self.both(one.both(other, |one, other| one * other), |sum, product| sum + product)
    }

    #[inline(always)]
    unsafe fn plus(self, other: Plain) -> Plain {
        self.both(other, |one, other| one + other)
    }

    #[inline(always)]
    unsafe fn minus(self, other: Plain) -> Plain {
        self.both(other, |one, other| one - other)
    }

    #[inline(always)]
    unsafe fn times(self, other: Plain) -> Plain {
        self.both(other, |one, other| one * other)
    }

    #[inline(always)]
    unsafe fn over(self, other: Plain) -> Plain {
        self.both(other, |one, other| one / other)
    }

    #[inline(always)]
    unsafe fn at_least(self, bound: Plain) -> Plain {
        self.both(bound, |value, bound| if value < bound { bound } else { value })
    }

    #[inline(always)]
    unsafe fn at_most(self, bound: Plain) -> Plain {
        self.both(bound, |value, bound| if value > bound { bound } else { value })
    }

    #[inline(always)]
    unsafe fn first(self, lanes: usize) -> Plain {
        Plain(std::array::from_fn(|lane| if lane < lanes { self.0[lane] } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Plain {
        Plain(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Plain {
        // The exponent of a float stands from bit 23 on, 127 above what it is.
        Plain(self.0.map(|power| f32::from_bits(((power as i32 + 127) as u32) << 23)))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.0.iter().sum()
    }

    #[inline(always)]
    unsafe fn most(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
