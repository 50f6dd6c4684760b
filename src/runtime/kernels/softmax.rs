//! A softmax along an inner axis: a vector holds as many neighbours, each of which has sums of its own.

use super::activation::exp;
use super::kind::Kind;
use super::lanes::Lanes;

/// Columns that are computed together, one in each lane.
pub(super) struct Job {
    /// The first term of the first column.
    values: *mut f32,
    terms: usize,
    /// Floats from one term to the next.
    stride: usize,
}

/// Makes of each column of so many terms, which are `inner` floats apart, what a softmax of it is.
///
/// # Panics
/// When the values are not whole columns.
pub(in crate::runtime) fn softmax_across(
    kind: Kind,
    values: &mut [f32],
    terms: usize,
    inner: usize,
) {
    assert!(terms > 0 && inner > 0 && values.len().is_multiple_of(terms * inner));
    let (compute, lanes) = (kind.softmax(), kind.lanes());
    let mut aside = vec![0.0; terms * lanes];
    for values in values.chunks_exact_mut(terms * inner) {
        let whole = inner / lanes * lanes;
        for column in (0..whole).step_by(lanes) {
            // SAFETY: so many lanes from this column on are inside of each term's floats.
            unsafe {
                let values = values.as_mut_ptr().add(column);
                compute(&Job { values, terms, stride: inner });
            }
        }
        let left = inner - whole;
        if left == 0 {
            continue;
        }
        let columns = || whole..inner;
        for (to, from) in aside.chunks_exact_mut(lanes).zip(values.chunks_exact(inner)) {
            to[..left].copy_from_slice(&from[columns()]);
        }
        // SAFETY: a whole vector for each term.
        unsafe { compute(&Job { values: aside.as_mut_ptr(), terms, stride: lanes }) };
        for (from, to) in aside.chunks_exact(lanes).zip(values.chunks_exact_mut(inner)) {
            to[columns()].copy_from_slice(&from[..left]);
        }
    }
}

/// # Safety
/// The processor has these vectors, and a vector is at each term's place.
#[inline(always)]
pub(super) unsafe fn columns<V: Lanes>(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |term: usize| job.values.add(term * job.stride);
        let mut most = V::splat(f32::NEG_INFINITY);
        for term in 0..job.terms {
            most = V::load(at(term)).at_least(most);
        }
        let mut sum = V::splat(0.0);
        for term in 0..job.terms {
            let value = exp(V::load(at(term)).minus(most));
            sum = sum.plus(value);
            value.store(at(term));
        }
        let part = V::splat(1.0).over(sum);
        for term in 0..job.terms {
            V::load(at(term)).times(part).store(at(term));
        }
    }
}
