//! What becomes of the counts of a product: codes, floats, or counts as they are.

use super::lanes::{Code, Counts, LANES, Sum};

/// What is made of counts; whatever is for each column is there for whole blocks of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'e> {
    Counts,
    /// Codes, of which these bits are turned where they are integers with a sign.
    Codes {
        steps: &'e [f32],
        code: Code,
        moved: u8,
        added: Option<&'e Added>,
    },
    /// Each count times its factor, with what is added where something is, but no less than `least`.
    Floats {
        factors: &'e [f32],
        added: Option<&'e [f32]>,
        least: f32,
    },
}

/// Codes that are added to those of each row, one for each column.
#[derive(Debug)]
pub(in crate::runtime) struct Added {
    codes: Vec<u8>,
    sum: Sum,
    /// Whether they come first where both are added up.
    is_first: bool,
}

impl Added {
    /// These integers of 8 bits, as tensors have them.
    pub(in crate::runtime) fn new(bytes: &[u8], sum: Sum, is_first: bool) -> Added {
        let mut codes: Vec<u8> = bytes.iter().map(|byte| byte ^ sum.moved).collect();
        codes.resize(bytes.len().next_multiple_of(LANES), 0);
        Added { codes, sum, is_first }
    }

    /// Columns in whole blocks.
    pub(super) fn columns(&self) -> usize {
        self.codes.len()
    }
}

/// The counts of a tile, and where what they become goes.
pub(super) struct Job<'e> {
    /// Row by row, in whole blocks.
    pub(super) counts: *const i32,
    pub(super) rows: usize,
    /// The first of the columns, and how many there are.
    pub(super) column: usize,
    pub(super) columns: usize,
    pub(super) end: &'e End<'e>,
    /// Values of the end's type.
    pub(super) output: *mut u8,
    pub(super) output_row: usize,
}

/// # Safety
/// The processor has these vectors, the job has counts for whole blocks of its columns, the end whatever
/// it has for each, and the output room for as many values of its type as there are columns in each row.
#[inline(always)]
pub(super) unsafe fn end<V: Counts>(job: &Job<'_>) {
    let wide = job.columns.next_multiple_of(LANES);
    for row in 0..job.rows {
        for from in (0..job.columns).step_by(LANES) {
            let (at, left) = (row * job.output_row + from, (job.columns - from).min(LANES));
            let column = job.column + from;
            // SAFETY: the caller's promise, of which the loops keep to the extents; slices are as long
            // as is asked for, or this stops.
            unsafe {
                let counts = job.counts.add(row * wide + from);
                match *job.end {
                    End::Counts => {
                        let to = job.output.cast::<i32>().add(at);
                        std::ptr::copy_nonoverlapping(counts, to, left);
                    }
                    End::Codes { steps, code, moved, added } => {
                        let steps = &steps[column..column + LANES];
                        let mut coded = V::load(counts).coded(steps.as_ptr(), code);
                        if let Some(Added { codes, sum, is_first }) = added {
                            let other = V::codes(codes[column..column + LANES].as_ptr());
                            coded = match is_first {
                                true => V::summed(other, coded, *sum),
                                false => V::summed(coded, other, *sum),
                            };
                        }
                        if left == LANES && moved == 0 {
                            V::store(coded, job.output.add(at));
                            continue;
                        }
                        let mut codes = [0_u8; LANES];
                        V::store(coded, codes.as_mut_ptr());
                        codes.iter_mut().for_each(|code| *code ^= moved);
                        put(&codes, job.output.add(at), left);
                    }
                    End::Floats { factors, added, least } => {
                        let counts = counts.cast::<[i32; LANES]>().read_unaligned();
                        let factors = &factors[column..column + LANES];
                        let mut floats = counts.map(|count| count as f32);
                        for (float, factor) in floats.iter_mut().zip(factors) {
                            *float *= factor;
                        }
                        if let Some(added) = added {
                            let added = &added[column..column + LANES];
                            for (float, added) in floats.iter_mut().zip(added) {
                                *float += added;
                            }
                        }
                        if least > f32::NEG_INFINITY {
                            for float in &mut floats {
                                *float = if *float > least { *float } else { least };
                            }
                        }
                        let to = job.output.cast::<f32>().add(at);
                        if left == LANES {
                            to.cast::<[f32; LANES]>().write_unaligned(floats);
                            continue;
                        }
                        put(&floats, to, left);
                    }
                }
            }
        }
    }
}

/// # Safety
/// There is room for so many values.
#[inline(always)]
unsafe fn put<T: Copy>(made: &[T; LANES], to: *mut T, left: usize) {
    // SAFETY: the caller's promise; there are no more than are made.
    unsafe {
        std::ptr::copy_nonoverlapping(made.as_ptr(), to, left.min(LANES));
    }
}
