//! Rows of values that lie one after the other: norms, functions of each value, and softmax along a row.

use super::activation::{Activation, exp};
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::Lanes;
use super::product::LANES_MAX;

/// Floats that a thread takes at a time, and fewer than twice as many are not shared: some ten
/// microseconds of work.
const PART_FLOATS: usize = 16 << 10;

/// A row that becomes one with a mean of zero and a variance of one, times a scale and with a shift.
pub(super) struct NormalJob {
    from: *const f32,
    to: *mut f32,
    values: usize,
    /// Whole vectors for so many values, or null.
    scale: *const f32,
    shift: *const f32,
    epsilon: f32,
}

/// Values that each become what a function of it is.
pub(super) struct EachJob {
    from: *const f32,
    to: *mut f32,
    values: usize,
    activation: Activation,
}

/// A row of whole vectors that becomes its softmax.
pub(super) struct SoftmaxJob {
    pub(super) values: *mut f32,
    pub(super) vectors: usize,
}

/// A norm of rows of so many values, with a scale and a shift for each of them.
#[derive(Debug)]
pub(in crate::runtime) struct Normal {
    kind: Kind,
    values: usize,
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl Normal {
    /// None when the scale and the shift, each where there is one, are of another length.
    pub(in crate::runtime) fn new(
        kind: Kind,
        values: usize,
        scale: Option<&[f32]>,
        shift: Option<&[f32]>,
        epsilon: f32,
    ) -> Option<Normal> {
        let fits = |one: Option<&[f32]>| one.is_none_or(|one| one.len() == values);
        if values == 0 || !fits(scale) || !fits(shift) {
            return None;
        }
        let padded = |one: Option<&[f32]>| {
            let mut padded = one.unwrap_or_default().to_vec();
            if !padded.is_empty() {
                padded.resize(values.next_multiple_of(kind.lanes()), 0.0);
            }
            padded
        };
        Some(Normal { kind, values, scale: padded(scale), shift: padded(shift), epsilon })
    }

    /// Of each of the rows.
    ///
    /// # Panics
    /// When the input is not whole rows.
    pub(in crate::runtime) fn run(&self, input: &[f32], crew: &dyn Crew) -> Vec<f32> {
        assert!(input.len().is_multiple_of(self.values), "values of a row are missing");
        let part = |from: &[f32], to: *mut f32| {
            for at in (0..from.len()).step_by(self.values) {
                // SAFETY: both have whole rows.
                unsafe { self.row(from.as_ptr().add(at), to.add(at)) }
            }
        };
        // SAFETY: a norm is as long as its row.
        unsafe { in_parts(input, self.values, crew, part) }
    }

    /// Values of a row.
    pub(super) fn values(&self) -> usize {
        self.values
    }

    /// Of one row, which may be where its norm will be.
    ///
    /// # Safety
    /// There are the values of a row at both.
    pub(super) unsafe fn row(&self, from: *const f32, to: *mut f32) {
        let pointer = |values: &[f32]| match values.is_empty() {
            true => std::ptr::null(),
            false => values.as_ptr(),
        };
        let Normal { values, epsilon, .. } = *self;
        let (scale, shift) = (pointer(&self.scale), pointer(&self.shift));
        // SAFETY: the caller's promise, and the scale and the shift have whole vectors for a row.
        unsafe { self.kind.normal()(&NormalJob { from, to, values, scale, shift, epsilon }) }
    }
}

/// What a function of each value is.
pub(in crate::runtime) fn each(
    kind: Kind,
    activation: Activation,
    input: &[f32],
    crew: &dyn Crew,
) -> Vec<f32> {
    let compute = kind.each();
    let part = |from: &[f32], to: *mut f32| {
        // SAFETY: there are as many values at both.
        unsafe {
            compute(&EachJob { from: from.as_ptr(), to, values: from.len(), activation });
        }
    };
    // SAFETY: so it writes all of them.
    unsafe { in_parts(input, 1, crew, part) }
}

/// As many values as the input has.
///
/// # Safety
/// `part` writes as many as it is given, from its pointer on.
unsafe fn in_parts(
    input: &[f32],
    row: usize,
    crew: &dyn Crew,
    part: impl Fn(&[f32], *mut f32) + Sync,
) -> Vec<f32> {
    let rows = (PART_FLOATS / row).max(1) * row;
    let parts = input.len().div_ceil(rows);
    let fill = |output: &Output<'_>| {
        output.in_parts(crew, parts, |number, output| {
            let from = &input[number * rows..input.len().min((number + 1) * rows)];
            // SAFETY: the output is as long as the input, and no other part has these values.
            part(from, unsafe { output.at(number * rows, from.len()) });
        });
    };
    // SAFETY: the parts are all of the input, of which the caller promises the rest.
    unsafe { Output::filled(input.len(), fill) }
}

/// # Safety
/// The processor has these vectors, and so many values are at `from` and `to`, which may be one place.
#[inline(always)]
pub(super) unsafe fn normal<V: Lanes>(job: &NormalJob) {
    // SAFETY: the caller's promise; what is no whole vector goes by memory of its own.
    unsafe {
        let whole = job.values / V::LANES * V::LANES;
        let left = job.values - whole;
        let mut end = [0.0_f32; LANES_MAX];
        std::ptr::copy_nonoverlapping(job.from.add(whole), end.as_mut_ptr(), left);
        let last = V::load(end.as_ptr());
        let mut sum = last; // zeros beyond the last value
        for at in (0..whole).step_by(V::LANES) {
            sum = sum.plus(V::load(job.from.add(at)));
        }
        let mean = V::splat(sum.sum() / job.values as f32);
        let apart = last.minus(mean).first(left);
        let mut squares = apart.times(apart);
        for at in (0..whole).step_by(V::LANES) {
            let apart = V::load(job.from.add(at)).minus(mean);
            squares = squares.plus_product(apart, apart);
        }
        let variance = squares.sum() / job.values as f32;
        let factor = V::splat(1.0 / (variance + job.epsilon).sqrt());
        for at in (0..whole).step_by(V::LANES) {
            let value = V::load(job.from.add(at)).minus(mean).times(factor);
            scaled(job, value, at).store(job.to.add(at));
        }
        if left > 0 {
            let value = last.minus(mean).times(factor);
            scaled(job, value, whole).store(end.as_mut_ptr());
            std::ptr::copy_nonoverlapping(end.as_ptr(), job.to.add(whole), left);
        }
    }
}

/// A vector of a norm with its scale and its shift.
///
/// # Safety
/// As [`normal`], with a vector of values from `at` on, whole or the last.
#[inline(always)]
unsafe fn scaled<V: Lanes>(job: &NormalJob, mut value: V, at: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if !job.scale.is_null() {
            value = value.times(V::load(job.scale.add(at)));
        }
        if !job.shift.is_null() {
            value = value.plus(V::load(job.shift.add(at)));
        }
        value
    }
}

/// # Safety
/// The processor has these vectors, and so many values are at `from` and `to`.
#[inline(always)]
pub(super) unsafe fn each_of<V: Lanes>(job: &EachJob) {
    // SAFETY: the caller's promise; what is no whole vector goes by memory of its own.
    unsafe {
        let whole = job.values / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            job.activation.of(V::load(job.from.add(at))).store(job.to.add(at));
        }
        let left = job.values - whole;
        if left > 0 {
            let mut end = [0.0_f32; LANES_MAX];
            std::ptr::copy_nonoverlapping(job.from.add(whole), end.as_mut_ptr(), left);
            job.activation.of(V::load(end.as_ptr())).store(end.as_mut_ptr());
            std::ptr::copy_nonoverlapping(end.as_ptr(), job.to.add(whole), left);
        }
    }
}

/// # Safety
/// The processor has these vectors, and so many of them are at the values.
#[inline(always)]
pub(super) unsafe fn softmax<V: Lanes>(job: &SoftmaxJob) {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |vector: usize| job.values.add(vector * V::LANES);
        let mut most = V::splat(f32::NEG_INFINITY);
        for vector in 0..job.vectors {
            most = V::load(at(vector)).at_least(most);
        }
        let most = V::splat(most.most());
        let mut sum = V::splat(0.0);
        for vector in 0..job.vectors {
            let value = exp(V::load(at(vector)).minus(most));
            sum = sum.plus(value);
            value.store(at(vector));
        }
        let part = V::splat(1.0 / sum.sum());
        for vector in 0..job.vectors {
            V::load(at(vector)).times(part).store(at(vector));
        }
    }
}
