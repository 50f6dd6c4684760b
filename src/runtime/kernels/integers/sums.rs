//! Sums of codes that lie one after the other, of which the second may be there once for many rows.

use super::super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::{Counts, LANES, Sum};
use std::borrow::Cow;
use std::ops::Range;

/// Values that a thread takes at a time, and fewer than twice as many are not shared: some ten
/// microseconds of work.
const PART_VALUES: usize = 128 << 10;

/// A row that is there once for many is repeated until it is so long.
const ROW_MIN: usize = 8 * LANES;

/// What is added up, and where the sums go: integers of 8 bits as tensors have them.
pub(super) struct Job {
    one: *const u8,
    other: *const u8,
    output: *mut u8,
    values: usize,
    sum: Sum,
}

/// The sum of each two integers of 8 bits; the second row is repeated where it is the shorter one.
///
/// # Panics
/// When the first is not a whole number of times as long as the second.
pub(in crate::runtime) fn added(
    kind: Kind,
    [one, other]: [&[u8]; 2],
    sum: Sum,
    crew: &dyn Crew,
) -> Vec<u8> {
    let values = one.len();
    if values == 0 {
        return Vec::new();
    }
    assert!(!other.is_empty() && values.is_multiple_of(other.len()), "rows of other lengths");
    let other = match other.len() < values.min(ROW_MIN) {
        true => Cow::Owned(other.repeat(ROW_MIN.div_ceil(other.len()))),
        false => Cow::Borrowed(other),
    };
    let compute = kind.added();
    let fill = |output: &Output<'_, u8>| {
        output.in_ranges(crew, PART_VALUES, |Range { start: mut at, end }, output| {
            while at < end {
                let within = at % other.len();
                let values = (other.len() - within).min(end - at);
                // SAFETY: so many are left of this part and of the second row, and no other part has
                // these values.
                unsafe {
                    compute(&Job {
                        one: one.as_ptr().add(at),
                        other: other.as_ptr().add(within),
                        output: output.at(at, values),
                        values,
                        sum,
                    });
                }
                at += values;
            }
        });
    };
    // SAFETY: the parts are all of the values.
    unsafe { Output::filled(values, fill) }
}

/// # Safety
/// The processor has these vectors, and so many values are at all three places.
#[inline(always)]
pub(super) unsafe fn of<V: Counts>(job: &Job) {
    let whole = job.values / LANES * LANES;
    // SAFETY: the caller's promise; what is no whole vector goes by memory of its own.
    unsafe {
        for at in (0..whole).step_by(LANES) {
            let made = vector::<V>(job.one.add(at).cast(), job.other.add(at).cast(), job.sum);
            job.output.add(at).cast::<[u8; LANES]>().write_unaligned(made);
        }
        let left = job.values - whole;
        if left > 0 {
            let (mut one, mut other) = ([0; LANES], [0; LANES]);
            std::ptr::copy_nonoverlapping(job.one.add(whole), one.as_mut_ptr(), left);
            std::ptr::copy_nonoverlapping(job.other.add(whole), other.as_mut_ptr(), left);
            let made = vector::<V>(&raw const one, &raw const other, job.sum);
            std::ptr::copy_nonoverlapping(made.as_ptr(), job.output.add(whole), left);
        }
    }
}

/// # Safety
/// The processor has these vectors, and one is at both.
#[inline(always)]
unsafe fn vector<V: Counts>(
    one: *const [u8; LANES],
    other: *const [u8; LANES],
    sum: Sum,
) -> [u8; LANES] {
    let turned = |bytes: [u8; LANES]| bytes.map(|byte| byte ^ sum.moved);
    let mut made = [0; LANES];
    // SAFETY: the caller's promise.
    unsafe {
        let (one, other) = (turned(one.read_unaligned()), turned(other.read_unaligned()));
        let summed = V::summed(V::codes(one.as_ptr()), V::codes(other.as_ptr()), sum);
        V::store(summed, made.as_mut_ptr());
    }
    turned(made)
}
