//! Functions of one code, all of whose 256 answers stand in a table.

use super::super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::{Counts, LOOKED_UP};

/// Values that a thread takes at a time, and fewer than twice as many are not shared.
const PART_VALUES: usize = 64 << 10;

/// Codes, and where their answers go.
pub(super) struct Job<'t> {
    table: &'t [u8; 256],
    from: *const u8,
    to: *mut u8,
    values: usize,
}

/// What stands in the table for each of the bytes.
pub(in crate::runtime) fn looked_up(
    kind: Kind,
    table: &[u8; 256],
    bytes: &[u8],
    crew: &dyn Crew,
) -> Vec<u8> {
    let compute = kind.looked_up();
    let fill = |output: &Output<'_, u8>| {
        output.in_ranges(crew, PART_VALUES, |range, output| {
            let (first, values) = (range.start, range.len());
            // SAFETY: both are as long, and no other part has these values.
            unsafe {
                let (from, to) = (bytes.as_ptr().add(first), output.at(first, values));
                compute(&Job { table, from, to, values });
            }
        });
    };
    // SAFETY: the parts are all of the values.
    unsafe { Output::filled(bytes.len(), fill) }
}

/// # Safety
/// The processor has these vectors, and there are so many codes, and room for as many answers.
#[inline(always)]
pub(super) unsafe fn answers<V: Counts>(job: &Job<'_>) {
    let whole = job.values / LOOKED_UP * LOOKED_UP;
    // SAFETY: the caller's promise; what is no whole vector goes by memory of its own.
    unsafe {
        for at in (0..whole).step_by(LOOKED_UP) {
            let codes = job.from.add(at).cast::<[u8; LOOKED_UP]>().read_unaligned();
            let made = V::looked_up(job.table, codes);
            job.to.add(at).cast::<[u8; LOOKED_UP]>().write_unaligned(made);
        }
        let left = job.values - whole;
        let mut codes = [0; LOOKED_UP];
        std::ptr::copy_nonoverlapping(job.from.add(whole), codes.as_mut_ptr(), left);
        let made = V::looked_up(job.table, codes);
        std::ptr::copy_nonoverlapping(made.as_ptr(), job.to.add(whole), left);
    }
}
