//! Floats that begin where a line of the cache does, so that no vector of them lies in two lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a line, and of the widest vector.
const LINE: usize = 64;

/// So many floats, of which the first begins a line.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Aligned {
    /// With room for the floats before the line.
    values: Vec<f32>,
    first: usize,
    floats: usize,
}

impl Aligned {
    /// Zeros.
    pub(in crate::runtime) fn zeros(floats: usize) -> Aligned {
        if floats == 0 {
            return Aligned::default();
        }
        let values = vec![0.0_f32; floats + LINE / size_of::<f32>()];
        // An allocator that cannot tell costs time alone: no kernel depends on the line.
        let first = values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Aligned { values, first, floats }
    }

    /// These values.
    pub(in crate::runtime) fn of(values: &[f32]) -> Aligned {
        let mut made = Aligned::zeros(values.len());
        made.copy_from_slice(values);
        made
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..self.first + self.floats]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..self.first + self.floats]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_begins_a_line_whatever_the_allocator_gives() {
        for floats in [1, 7, 16, 1_000, if cfg!(miri) { 2_000 } else { 100_000 }] {
            let mut zeros = Aligned::zeros(floats);
            assert!(zeros.iter().all(|value| *value == 0.0) && zeros.len() == floats);
            zeros[floats - 1] = 3.0;
            let same = Aligned::of(&zeros);
            assert_eq!(*same, *zeros);
            if !cfg!(miri) {
                assert!([&zeros, &same].iter().all(|it| it.as_ptr().addr().is_multiple_of(LINE)));
            }
        }
        assert!(Aligned::zeros(0).is_empty());
    }
}
