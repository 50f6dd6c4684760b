//! Between floats and integers of 8 bits: how far values reach, the code of each, and the value of each code.

use super::super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::{Code, LANES};

/// Values that a thread takes at a time, and fewer than twice as many are not shared: some ten
/// microseconds of work.
const PART_VALUES: usize = 64 << 10;

/// Added to a float below 2^22 it leaves no bits for fractions, so that the sum is rounded, half to
/// even, and its bits count up by one for each whole number.
const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23

/// Values that become codes.
pub(super) struct Job {
    pub(super) from: *const f32,
    pub(super) to: *mut u8,
    pub(super) values: usize,
    pub(super) scale: f32,
    pub(super) code: Code,
    pub(super) moved: u8,
}

/// Codes that become values.
pub(super) struct Spreading {
    pub(super) from: *const u8,
    pub(super) to: *mut f32,
    pub(super) values: usize,
    pub(super) step: Step,
}

/// What integers of 8 bits stand for: so many scales from the code that is zero.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Step {
    pub(in crate::runtime) scale: f32,
    /// The code, which for integers with a sign is 128 more than the zero point.
    pub(in crate::runtime) zero: u8,
    /// The bits that are turned to make a code of an integer with a sign: 128, or none.
    pub(in crate::runtime) moved: u8,
}

/// The codes of values: as many steps from the zero point as they are scales, rounded half to even; of
/// each, those bits are turned that make an integer with a sign of a code.
pub(in crate::runtime) fn rounded(
    kind: Kind,
    values: &[f32],
    scale: f32,
    (code, moved): (Code, u8),
    crew: &dyn Crew,
) -> Vec<u8> {
    let compute = kind.rounded();
    let fill = |output: &Output<'_, u8>| {
        output.in_ranges(crew, PART_VALUES, |range, output| {
            // SAFETY: both are as long, and no other part has these values.
            unsafe {
                compute(&Job {
                    from: values.as_ptr().add(range.start),
                    to: output.at(range.start, range.len()),
                    values: range.len(),
                    scale,
                    code,
                    moved,
                });
            }
        });
    };
    // SAFETY: the parts are all of the values.
    unsafe { Output::filled(values.len(), fill) }
}

/// The values of integers of 8 bits.
pub(in crate::runtime) fn spread(
    kind: Kind,
    integers: &[u8],
    step: Step,
    crew: &dyn Crew,
) -> Vec<f32> {
    let compute = kind.spread();
    let fill = |output: &Output<'_>| {
        output.in_ranges(crew, PART_VALUES, |range, output| {
            // SAFETY: both are as long, and no other part has these values.
            unsafe {
                compute(&Spreading {
                    from: integers.as_ptr().add(range.start),
                    to: output.at(range.start, range.len()),
                    values: range.len(),
                    step,
                });
            }
        });
    };
    // SAFETY: the parts are all of the values.
    unsafe { Output::filled(integers.len(), fill) }
}

/// The least and the most of values and zero.
pub(in crate::runtime) fn reach(kind: Kind, values: &[f32]) -> (f32, f32) {
    // SAFETY: the processor has the vectors of the kind.
    unsafe { kind.reach()(values) }
}

/// # Safety
/// There are so many values, and room for as many codes.
#[inline(always)]
pub(super) unsafe fn codes(job: &Job) {
    // SAFETY: the caller's promise.
    let (from, to) = unsafe {
        let from = std::slice::from_raw_parts(job.from, job.values);
        // Nobody has written there yet: what is to come is told apart from what is.
        (
            from,
            std::slice::from_raw_parts_mut(job.to.cast::<std::mem::MaybeUninit<u8>>(), job.values),
        )
    };
    let Job { scale, code, moved, .. } = *job;
    for (from, to) in from.iter().zip(to) {
        let steps = from / scale;
        let steps = if steps > code.least { steps } else { code.least };
        let steps = if steps < code.most { steps } else { code.most };
        let steps = (steps + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits());
        to.write((steps as i32).wrapping_add(code.zero) as u8 ^ moved);
    }
}

/// # Safety
/// There are so many integers, and room for as many values.
#[inline(always)]
pub(super) unsafe fn values(job: &Spreading) {
    // SAFETY: the caller's promise.
    let (from, to) = unsafe {
        (
            std::slice::from_raw_parts(job.from, job.values),
            std::slice::from_raw_parts_mut(job.to.cast::<std::mem::MaybeUninit<f32>>(), job.values),
        )
    };
    let Step { scale, zero, moved } = job.step;
    for (from, to) in from.iter().zip(to) {
        to.write((i32::from(from ^ moved) - i32::from(zero)) as f32 * scale);
    }
}

#[inline(always)]
pub(super) fn least_and_most(values: &[f32]) -> (f32, f32) {
    // Two vectors of each, since one has to wait for itself.
    const WIDE: usize = 2 * LANES;
    let (mut least, mut most) = ([0_f32; WIDE], [0_f32; WIDE]);
    let (whole, rest) = values.as_chunks::<WIDE>();
    let mut compare = |values: &[f32]| {
        for ((least, most), value) in least.iter_mut().zip(&mut most).zip(values) {
            *least = if *value < *least { *value } else { *least };
            *most = if *value > *most { *value } else { *most };
        }
    };
    whole.iter().for_each(|values| compare(values));
    compare(rest);
    (least.into_iter().fold(0.0, f32::min), most.into_iter().fold(0.0, f32::max))
}
