//! Functions of one value that stand behind a convolution, computed before its values are stored.

use super::lanes::Lanes;
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// Twice the root of 2 / pi, and that times 0.044715: what the approximation of GELU is defined by.
const TWICE_LINE: f32 = 1.595_769_2;
const TWICE_CUBE: f32 = 0.071_354_814;

/// What becomes of each value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::runtime) enum Activation {
    /// Kept between these bounds; without any, it stays as it is. What is no number stays none.
    Clip(f32, f32),
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// x / (1 + e^-x).
    Silu,
    /// x times the line of a slope of 1/6 through 1/2, between 0 and 1; times a factor, and a term.
    HardSwish(f32, f32),
    /// Values below zero times this.
    LeakyRelu(f32),
    /// x times the share of a normal distribution that is below x.
    Gelu,
    /// The same, with a hyperbolic tangent in the place of the share.
    GeluTanh,
}

impl Activation {
    /// Changes nothing.
    pub(in crate::runtime) const NONE: Activation =
        Activation::Clip(f32::NEG_INFINITY, f32::INFINITY);

    /// The function of a vector.
    ///
    /// # Safety
    /// The processor has such vectors.
    #[inline(always)]
    pub(super) unsafe fn of<V: Lanes>(self, value: V) -> V {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Activation::Clip(low, high) => {
                    value.at_least(V::splat(low)).at_most(V::splat(high))
                }
                Activation::Sigmoid => sigmoid(value),
                Activation::Silu => value.times(sigmoid(value)),
                Activation::HardSwish(factor, term) => {
                    let product = value.times(hard_sigmoid(value));
                    V::splat(term).plus_product(product, V::splat(factor))
                }
                Activation::LeakyRelu(alpha) => {
                    let zero = V::splat(0.0);
                    let below = value.at_most(zero).times(V::splat(alpha));
                    value.at_least(zero).plus(below)
                }
                Activation::Gelu => {
                    let half = value.times(V::splat(0.5));
                    half.plus_product(half, erf(value.times(V::splat(FRAC_1_SQRT_2))))
                }
                Activation::GeluTanh => {
                    // (1 + tanh y) / 2 is the sigmoid of 2 y.
                    let square = value.times(value);
                    let line = V::splat(TWICE_LINE).plus_product(square, V::splat(TWICE_CUBE));
                    value.times(sigmoid(value.times(line)))
                }
            }
        }
    }
}

/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn hard_sigmoid<V: Lanes>(value: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let line = V::splat(0.5).plus_product(value, V::splat(1.0 / 6.0));
        line.at_least(V::splat(0.0)).at_most(V::splat(1.0))
    }
}

/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn sigmoid<V: Lanes>(value: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let one = V::splat(1.0);
        one.plus(exp(V::splat(0.0).minus(value))).reciprocal()
    }
}

/// The exponential, to some three units in the last place, from e^-87 to e^87: what is beyond has no
/// other sigmoid that a sum could tell from it, and one more than e^87 has a reciprocal that is normal.
///
/// x = n ln 2 + r with a whole n, so e^x = 2^n e^r; |r| is at most half of ln 2, where a polynomial
/// of degree 5 is within 1.1e-7 of it, fitted here to the least relative error at its worst point, with
/// 1 + r as it begins. ln 2 comes in two parts, of which the first has so few digits that its product
/// with n is exact.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
pub(super) unsafe fn exp<V: Lanes>(value: V) -> V {
    const LESS_LN_2_LONG: f32 = -0.693_359_4;
    const LESS_LN_2_REST: f32 = 2.121_944_4e-4;
    // SAFETY: the caller's promise.
    unsafe {
        let value = value.at_least(V::splat(-87.0)).at_most(V::splat(87.0));
        let whole = value.times(V::splat(std::f32::consts::LOG2_E)).rounded();
        let rest = value.plus_product(whole, V::splat(LESS_LN_2_LONG));
        let rest = rest.plus_product(whole, V::splat(LESS_LN_2_REST));
        let mut sum = V::splat(0.008_312_522);
        for factor in [0.041_890_16, 0.166_671_14, 0.499_992_3, 1.0, 1.0] {
            sum = V::splat(factor).plus_product(sum, rest);
        }
        sum.times_power_of_two(whole)
    }
}

/// The error function, to some six units in the last place of 1.
///
/// An odd function: x times a quotient of two polynomials in x * x, fitted here by least squares over
/// points that lie closer towards 0 and 4, with weights that grow where the error is largest. Beyond 4 it
/// is 1 in single precision.
///
/// # Safety
/// The processor has such vectors.
#[inline(always)]
unsafe fn erf<V: Lanes>(value: V) -> V {
    const ABOVE: [f32; 5] =
        [0.000_287_906_73, 0.003_984_998_4, 0.053_410_947, 0.195_775_84, FRAC_2_SQRT_PI];
    const BELOW: [f32; 5] = [0.001_212_367_8, 0.015_406_876, 0.116_286_32, 0.506_833_1, 1.0];
    // SAFETY: the caller's promise.
    unsafe {
        let value = value.at_least(V::splat(-4.0)).at_most(V::splat(4.0));
        let square = value.times(value);
        let mut above = V::splat(1.982_201_9e-6);
        let mut below = V::splat(3.755_020_2e-5);
        for (one, other) in ABOVE.into_iter().zip(BELOW) {
            above = V::splat(one).plus_product(above, square);
            below = V::splat(other).plus_product(below, square);
        }
        value.times(above.over(below))
    }
}
