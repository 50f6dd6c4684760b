//! Products of rows of codes with codes that come along: these are packed as weights each time, head by head.

use super::super::attention::Layout;
use super::super::crew::{Crew, Output};
use super::super::product::tile_rows;
use super::kind::{Kind, Packed};
use super::lanes::{Code, Counts, LANES, QUAD, WEIGHTS};
use super::product::{self, Counted, SHARED_MIN};
use super::product_end::{self, End};
use super::rounding::Step;
use std::mem::MaybeUninit;
use std::ops::Range;

/// What codes are less as weights, which have a sign.
const WEIGHT: u8 = 128;

/// What is multiplied, of each head: rows of terms with a column of as many each.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Crossing {
    pub(in crate::runtime) rows: usize,
    pub(in crate::runtime) terms: usize,
    pub(in crate::runtime) columns: usize,
    pub(in crate::runtime) one: Layout,
    /// A row for each term, with a value for each column.
    pub(in crate::runtime) other: Layout,
    /// Values of a row lie one after the other.
    pub(in crate::runtime) output: Layout,
    /// What both are; their scales are in that of what is made.
    pub(in crate::runtime) given: [Step; 2],
    /// How much one count is in steps of what is made, and what that is.
    pub(in crate::runtime) made: Step,
}

/// Products of codes with codes, which become codes.
#[derive(Debug)]
pub(in crate::runtime) struct Crossed {
    kind: Kind,
    crossing: Crossing,
    /// One for each column of whole blocks.
    steps: Vec<f32>,
    /// Values that both buffers have at least, and how many are made.
    needed: [usize; 2],
    made: usize,
}

/// Some rows of one head, and where the head begins.
pub(super) struct Job<'c> {
    crossed: &'c Crossed,
    rows: Range<usize>,
    one: *const u8,
    other: *const u8,
    output: *mut u8,
}

impl Crossed {
    /// None where the layouts do not fit together, or what is made has values apart from each other.
    pub(in crate::runtime) fn new(kind: Kind, crossing: Crossing) -> Option<Crossed> {
        let Crossing { rows, terms, columns, ref one, ref other, ref output, .. } = crossing;
        let heads = output.heads.len();
        let is_odd = [one, other].iter().any(|layout| layout.heads.len() != heads);
        if [rows, terms, columns, heads].contains(&0) || is_odd {
            return None;
        }
        let needed = [one.needed(rows, terms)?, other.needed(terms, columns)?];
        let made = output.made(rows, columns)?;
        let steps = vec![crossing.made.scale; columns.next_multiple_of(LANES)];
        Some(Crossed { kind, crossing, steps, needed, made })
    }

    /// Multiplications.
    pub(in crate::runtime) fn work(&self) -> usize {
        self.made.saturating_mul(self.crossing.terms)
    }

    /// What the vectors are called that this is for.
    pub(in crate::runtime) fn kind(&self) -> Kind {
        self.kind
    }

    /// The codes of all products, of all heads.
    ///
    /// # Panics
    /// When a buffer is shorter than its layout.
    pub(in crate::runtime) fn run(&self, [one, other]: [&[u8]; 2], crew: &dyn Crew) -> Vec<u8> {
        let given = [one.len(), other.len()];
        assert!(self.needed.iter().zip(given).all(|(needed, given)| *needed <= given), "{given:?}");
        let Crossing { rows, columns, ref output, .. } = self.crossing;
        let heads = output.heads.len();
        let size = if self.work() < SHARED_MIN { 1 } else { crew.size() };
        // Few heads for many threads: each has its rows in as many parts, and is packed as often.
        let splits = match size {
            1 => 1,
            size if heads.is_multiple_of(size) || 4 * size <= heads => 1,
            size => size.min(rows),
        };
        let compute = self.kind.crossed();
        let part = |part: usize, to: &Output<'_, u8>| {
            let (head, split) = (part / splits, part % splits);
            let starts = [&self.crossing.one, &self.crossing.other].map(|it| it.heads[head]);
            // SAFETY: the buffers are as long as their layouts, in which these heads are; no other part has
            // these rows of this head, which are all inside of what is made (`new`).
            unsafe {
                compute(&Job {
                    crossed: self,
                    rows: rows * split / splits..rows * (split + 1) / splits,
                    one: one.as_ptr().add(starts[0]),
                    other: other.as_ptr().add(starts[1]),
                    output: to.at(output.heads[head], (rows - 1) * output.row + columns),
                });
            }
        };
        let parts = heads * splits;
        let fill = |output: &Output<'_, u8>| match size {
            1 => (0..parts).for_each(|number| part(number, output)),
            _ => output.in_parts(crew, parts, part),
        };
        // SAFETY: all rows of all heads are made, which are as many values and share none (`new`).
        unsafe { Output::filled(self.made, fill) }
    }
}

/// Computes some rows of a head.
///
/// # Safety
/// The processor has these vectors, and the head's values are where the job points to: its rows, its
/// columns, and room for what is made of these rows, which nobody else writes.
#[inline(always)]
pub(super) unsafe fn head<V: Counts>(job: &Job<'_>) {
    let Crossing { terms, columns, ref one, ref output, given, made, .. } = job.crossed.crossing;
    let quads = terms.div_ceil(QUAD);
    // SAFETY: the caller's promise, of the columns.
    let (packed, mut begun) = unsafe { packed::<V>(job, quads) };
    // Of codes and of weights, zero is not zero: what each column adds for the one, and each row for
    // the other, counts along.
    let less = i32::from(given[0].zero) - V::MOVED;
    begun.iter_mut().for_each(|sum| *sum = sum.wrapping_mul(less).wrapping_neg());
    let apart = i32::from(WEIGHT) - i32::from(given[1].zero);
    let is_aside = given[0].moved != 0 || quads * QUAD != terms || one.value != 1;
    let row = if is_aside { quads * QUAD } else { one.row };
    let mut aside = Vec::new();
    // SAFETY: the caller's promise, of the rows.
    let input = unsafe { job.one.add(job.rows.start * one.row) };
    if is_aside {
        aside.resize(job.rows.len() * row, 0);
        for (number, to) in aside.chunks_exact_mut(row).enumerate() {
            for (term, to) in to[..terms].iter_mut().enumerate() {
                // SAFETY: as above; the row has so many terms.
                *to = unsafe { *input.add(number * one.row + term * one.value) } ^ given[0].moved;
            }
        }
    }
    let input = if is_aside { aside.as_ptr() } else { input };
    let (high, group) = (V::PIXELS, V::BLOCKS * LANES);
    let tiles = job.rows.len().div_ceil(high);
    let end = End::Codes {
        steps: &job.crossed.steps,
        code: Code::of(made.zero),
        moved: made.moved,
        added: None,
    };
    let mut counts = MaybeUninit::<Counted>::uninit();
    for tile in 0..tiles {
        let (first, rows) = tile_rows(tile, tiles, job.rows.len());
        let mut more = [0; product::ROWS_MAX];
        if apart != 0 {
            for (number, more) in more[..rows].iter_mut().enumerate() {
                // SAFETY: each row has so many codes, there or aside.
                let codes =
                    unsafe { std::slice::from_raw_parts(input.add((first + number) * row), terms) };
                let sum = codes.iter().fold(0_i32, |sum, code| sum.wrapping_add(i32::from(*code)));
                let none = i32::from(given[0].zero).wrapping_mul(terms as i32);
                *more = sum.wrapping_sub(none).wrapping_mul(apart);
            }
        }
        for column in (0..columns).step_by(group) {
            let wide = group.min(columns - column);
            let blocks = wide.div_ceil(LANES);
            // SAFETY: weights and beginnings are whole blocks, and there is room for the counts of any
            // tile, which writes those of its rows and blocks. Rows are whole quads, there or aside. What
            // is made has these rows, each with so many columns, as the caller promises.
            unsafe {
                let counts = (&raw mut (*counts.as_mut_ptr()).0).cast::<i32>();
                job.crossed.kind.products(blocks, Packed::Codes)[rows](&product::Job {
                    input: input.add(first * row),
                    input_row: row,
                    quads,
                    weights: packed.as_ptr().add(column * quads * QUAD),
                    begun: begun.as_ptr().add(column),
                    counts,
                });
                if apart != 0 {
                    let counts = std::slice::from_raw_parts_mut(counts, rows * blocks * LANES);
                    for (counts, more) in counts.chunks_exact_mut(blocks * LANES).zip(more) {
                        counts.iter_mut().for_each(|count| *count = count.wrapping_add(more));
                    }
                }
                let at = (job.rows.start + first) * output.row + column;
                product_end::end::<V>(&product_end::Job {
                    counts,
                    rows,
                    column,
                    columns: wide,
                    end: &end,
                    output: job.output.add(at),
                    output_row: output.row,
                });
            }
        }
    }
}

/// The columns of a head as weights of tiles, and what those of each come to.
///
/// # Safety
/// The processor has these vectors, and the head's columns are where the job points to.
#[inline(always)]
unsafe fn packed<V: Counts>(job: &Job<'_>, quads: usize) -> (Vec<i8>, Vec<i32>) {
    let Crossing { terms, columns, ref other, given, .. } = job.crossed.crossing;
    let padded = columns.next_multiple_of(LANES);
    let (mut packed, mut sums) = (vec![0_i8; padded * quads * QUAD], vec![0_i32; padded]);
    let turned = WEIGHT ^ given[1].moved;
    let weight = |byte: u8| (byte ^ turned).cast_signed();
    let group = V::BLOCKS * LANES;
    for start in (0..padded).step_by(group) {
        let (wide, there) = (group.min(padded - start), group.min(columns - start));
        let packed = &mut packed[start * quads * QUAD..][..wide * quads * QUAD];
        for (quad, packed) in packed.chunks_exact_mut(wide * QUAD).enumerate() {
            let terms = QUAD.min(terms - quad * QUAD);
            let packed = packed.as_chunks_mut::<QUAD>().0[..there].iter_mut().enumerate();
            // SAFETY: the caller's promise: these terms and columns are there.
            let at = |term: usize, column: usize| unsafe {
                job.other.add((quad * QUAD + term) * other.row + (start + column) * other.value)
            };
            if terms < QUAD {
                for (column, to) in packed {
                    for (term, to) in to[..terms].iter_mut().enumerate() {
                        // SAFETY: as above.
                        *to = weight(unsafe { *at(term, column) });
                    }
                }
            } else if other.row == 1 {
                for (column, to) in packed {
                    // SAFETY: as above, of four terms side by side.
                    *to = unsafe { at(0, column).cast::<[u8; QUAD]>().read() }.map(weight);
                }
            } else if other.value == 1 {
                // SAFETY: as above, of columns side by side.
                let [a, b, c, d] = std::array::from_fn(|term| unsafe {
                    std::slice::from_raw_parts(at(term, 0), there)
                });
                for ((_, to), (((a, b), c), d)) in packed.zip(a.iter().zip(b).zip(c).zip(d)) {
                    *to = [*a, *b, *c, *d].map(weight);
                }
            } else {
                for (column, to) in packed {
                    for (term, to) in to.iter_mut().enumerate() {
                        // SAFETY: as above.
                        *to = weight(unsafe { *at(term, column) });
                    }
                }
            }
        }
        // SAFETY: there are whole blocks of weights and of sums.
        unsafe { summed::<V>(packed, wide / LANES, &mut sums[start..start + wide]) };
    }
    (packed, sums)
}

/// What the weights of each column of a group come to.
///
/// # Safety
/// The processor has these vectors, and there are whole quads of weights for so many blocks, and as many sums.
#[inline(always)]
unsafe fn summed<V: Counts>(weights: &[i8], blocks: usize, sums: &mut [i32]) {
    // A code that is one from what is taken from codes.
    let ones = [V::MOVED as u8 + 1; QUAD];
    for block in 0..blocks {
        // SAFETY: the caller's promise.
        unsafe {
            let ones = V::everywhere(ones.as_ptr());
            let mut sum = V::load(sums.as_ptr().add(block * LANES));
            for at in (block * WEIGHTS..weights.len()).step_by(blocks * WEIGHTS) {
                sum = sum.plus_products(ones, V::weights(weights.as_ptr().add(at)));
            }
            sum.keep(sums.as_mut_ptr().add(block * LANES));
        }
    }
}
