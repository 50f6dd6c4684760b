//! In place of rustfft's own planner where programs are to be small: every length by rustfft's algorithms, but not each by
//! the fastest of them.
//!
//! What 2, 3, 5 and 7 make is taken apart by these (`RadixN`), any other length goes through one of a power of two
//! (`BluesteinsAlgorithm`). rustfft's own planner has code of its own for 17 lengths more, in each width.

use crate::algorithm::butterflies::{Butterfly1, Butterfly8, Butterfly16};
use crate::algorithm::{BluesteinsAlgorithm, Dft, RadixN};
use crate::common::RadixFactor;
use crate::{Fft, FftDirection, FftNum};
use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

/// Makes what transforms a length, in a width.
pub struct FftPlanner<T: FftNum>(PhantomData<T>);

/// As the other: there is no code here for one processor alone.
pub type FftPlannerScalar<T> = FftPlanner<T>;

impl<T: FftNum> FftPlanner<T> {
    pub fn new() -> FftPlanner<T> {
        FftPlanner(PhantomData)
    }

    pub fn plan_fft_forward(&mut self, length: usize) -> Arc<dyn Fft<T>> {
        self.plan_fft(length, FftDirection::Forward)
    }

    pub fn plan_fft_inverse(&mut self, length: usize) -> Arc<dyn Fft<T>> {
        self.plan_fft(length, FftDirection::Inverse)
    }

    /// Both widths are compiled here and not where they are asked for, as fast as this crate is.
    pub fn plan_fft(&mut self, length: usize, direction: FftDirection) -> Arc<dyn Fft<T>> {
        let single: Box<dyn Any> = Box::new(fft::<f32>(length, direction));
        let found = single.downcast::<Arc<dyn Fft<T>>>().or_else(|_| {
            let double: Box<dyn Any> = Box::new(fft::<f64>(length, direction));
            double.downcast::<Arc<dyn Fft<T>>>()
        });
        match found {
            Ok(fft) => *fft,
            Err(_) => unreachable!("transforms are of f32 and of f64"),
        }
    }
}

#[inline(never)]
fn fft<T: FftNum>(length: usize, direction: FftDirection) -> Arc<dyn Fft<T>> {
    if length < 2 {
        return Arc::new(Dft::new(length, direction));
    }
    let (base, mut rest): (Arc<dyn Fft<T>>, usize) = match length.trailing_zeros() {
        0..3 => (Arc::new(Butterfly1::new(direction)), length),
        3 => (Arc::new(Butterfly8::new(direction)), length / 8),
        4.. => (Arc::new(Butterfly16::new(direction)), length / 16),
    };
    use RadixFactor::{Factor2, Factor3, Factor4, Factor5, Factor6, Factor7};
    let mut factors = Vec::new();
    for factor in [Factor7, Factor6, Factor5, Factor4, Factor3, Factor2] {
        while rest % factor.radix() == 0 {
            factors.push(factor);
            rest /= factor.radix();
        }
    }
    if rest == 1 {
        return if factors.is_empty() { base } else { Arc::new(RadixN::new(&factors, base)) };
    }
    let inner = fft::<T>((2 * length - 1).next_power_of_two(), direction);
    Arc::new(BluesteinsAlgorithm::new(length, inner))
}
