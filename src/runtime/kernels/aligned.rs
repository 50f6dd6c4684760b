//! Numbers that begin where a line of the cache does, so that no vector of them lies in two lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a line, and of the widest vector.
const LINE: usize = 64;

/// So many numbers, of which the first begins a line.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Aligned<T = f32> {
    /// With room for the numbers before the line.
    values: Vec<T>,
    first: usize,
    count: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Zeros.
    pub(in crate::runtime) fn zeros(count: usize) -> Aligned<T> {
        if count == 0 {
            return Aligned::default();
        }
        let before = LINE / size_of::<T>();
        let values = vec![T::default(); count + before];
        // An allocator that cannot tell costs time alone: no kernel depends on the line.
        let first = values.as_ptr().align_offset(LINE).min(before);
        Aligned { values, first, count }
    }

    /// These values.
    pub(in crate::runtime) fn of(values: &[T]) -> Aligned<T> {
        let mut made = Aligned::zeros(values.len());
        made.copy_from_slice(values);
        made
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.first..self.first + self.count]
    }
}

impl<T: PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Aligned<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Aligned<T> {}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.first..self.first + self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_begins_a_line_whatever_the_allocator_gives() {
        for floats in [1, 7, 16, 1_000, if cfg!(miri) { 2_000 } else { 100_000 }] {
            let mut zeros = Aligned::<f32>::zeros(floats);
            assert!(zeros.iter().all(|value| *value == 0.0) && zeros.len() == floats);
            zeros[floats - 1] = 3.0;
            let same = Aligned::of(&zeros);
            assert_eq!(*same, *zeros);
            if !cfg!(miri) {
                assert!([&zeros, &same].iter().all(|it| it.as_ptr().addr().is_multiple_of(LINE)));
            }
        }
        assert!(Aligned::<i8>::zeros(0).is_empty());
        assert_eq!(*Aligned::of(&[-128_i8, 127, 1]), [-128, 127, 1]);
    }
}
