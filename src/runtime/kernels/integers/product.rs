//! Products of rows of codes with weights that are known: counted in registers, and rounded or scaled where they are stored.

use super::super::aligned::Aligned;
use super::super::crew::{Crew, Output};
use super::super::product::{Shares, tile_rows};
use super::kind::{Kind, Packed, are_narrow};
use super::lanes::{Code, Counts, LANES, QUAD, WEIGHTS, pair, plus_four};
use super::product_end::{self, Added, End};
use std::mem::MaybeUninit;

/// Rows of a tile at most, on any processor.
pub(super) const ROWS_MAX: usize = super::convolution::PIXELS_MAX;

/// Blocks of columns of a tile at most, on any processor.
pub(super) const BLOCKS_MAX: usize = super::convolution::BLOCKS_MAX;

/// Bytes of rows that go through all columns before the next rows do: a quarter of a megabyte, which a
/// second-level cache holds beside weights.
const STRETCH_BYTES_MAX: usize = 256 << 10;

/// Products that are shared among threads have at least so many multiplications: some 20 microseconds
/// of one thread, which is what waking another takes.
pub(super) const SHARED_MIN: usize = 4 << 20;

/// Weights of one column reach over so much at most: they are bytes, moved by what is the same for all.
const REACH_MAX: i32 = 255;

/// What one tile is computed from and into.
pub(super) struct Job {
    pub(super) input: *const u8,
    /// Codes from one row's to the next row's.
    pub(super) input_row: usize,
    pub(super) quads: usize,
    pub(super) weights: *const i8,
    pub(super) begun: *const i32,
    /// Row by row, with as many counts as the tile's blocks have lanes.
    pub(super) counts: *mut i32,
}

/// Computes one tile.
pub(super) type Compute = unsafe fn(&Job);

/// A product of rows of codes with weights that are packed for this processor.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Product {
    kind: Kind,
    terms: usize,
    columns: usize,
    /// Group by group of blocks of columns; in each, quad by quad of terms, column by column.
    weights: Aligned<i8>,
    are_narrow: bool,
    /// What the weights of each column come to, without what they are moved by.
    sums: Vec<i32>,
    /// What the weights of each column are moved by; nothing where none is.
    moved: Vec<i32>,
    bias: Vec<i32>,
}

/// Rows of integers of 8 bits, and the one that stands for zero.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Rows<'r> {
    pub(in crate::runtime) bytes: &'r [u8],
    pub(in crate::runtime) is_signed: bool,
    pub(in crate::runtime) zero: i32,
}

/// Counts of a tile. They begin a line of the cache, so that no vector of them lies in two.
#[repr(align(64))]
pub(super) struct Counted(pub(super) [i32; ROWS_MAX * BLOCKS_MAX * LANES]);

/// The rows as the tiles want them.
struct Given<'g> {
    codes: &'g [u8],
    row: usize,
    zero: i32,
}

impl Product {
    /// Packs the weights, of which `weight` tells each by its term and its column; none where those of
    /// a column do not fit in bytes beside each other, or the bias is not one for each column.
    pub(in crate::runtime) fn new(
        kind: Kind,
        [terms, columns]: [usize; 2],
        weight: impl Fn(usize, usize) -> i32,
        bias: &[i32],
    ) -> Option<Product> {
        if terms == 0 || columns == 0 || bias.len() != columns {
            return None;
        }
        let (padded, quads) = (columns.next_multiple_of(LANES), terms.div_ceil(QUAD));
        let mut weights = Aligned::zeros(padded * quads * QUAD);
        let (mut sums, mut moved) = (vec![0_i32; padded], vec![0_i32; padded]);
        let group = kind.blocks() * LANES;
        for column in 0..columns {
            let all = || (0..terms).map(|term| weight(term, column));
            let (least, most) = (all().min()?, all().max()?);
            if most.checked_sub(least)? > REACH_MAX {
                return None;
            }
            let by = match (least, most) {
                (-128.., ..=127) => 0,
                (_, _) => least.checked_add(128)?,
            };
            let start = column / group * group;
            let wide = group.min(padded - start); // the last group may be of fewer blocks
            let base = start * quads * QUAD + (column - start) * QUAD;
            for (term, weight) in all().enumerate() {
                let weight = i8::try_from(weight - by).ok()?;
                weights[base + term / QUAD * wide * QUAD + term % QUAD] = weight;
                sums[column] = sums[column].wrapping_add(i32::from(weight));
            }
            moved[column] = by;
        }
        if moved.iter().all(|by| *by == 0) {
            moved.clear();
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0);
        if kind.are_paired() {
            let paired = quads / QUAD * QUAD * WEIGHTS;
            weights.chunks_exact_mut(quads * WEIGHTS).for_each(|block| pair(&mut block[..paired]));
        }
        let are_narrow = are_narrow(&weights);
        Some(Product { kind, terms, columns, weights, are_narrow, sums, moved, bias })
    }

    /// Bytes that are kept.
    pub(in crate::runtime) fn bytes(&self) -> usize {
        self.weights.len() + size_of::<i32>() * (2 * self.sums.len() + self.moved.len())
    }

    /// Multiplications for so many values that are made.
    pub(in crate::runtime) fn work(&self, made: usize) -> usize {
        made.saturating_mul(self.terms)
    }

    /// What the vectors are called that this is for.
    pub(in crate::runtime) fn kind(&self) -> Kind {
        self.kind
    }

    /// The counts of each row and column, biases among them.
    ///
    /// # Panics
    /// Of this and the next two: when the input is not whole rows.
    pub(in crate::runtime) fn counts(&self, rows: Rows<'_>, crew: &dyn Crew) -> Vec<i32> {
        // SAFETY: nothing is wanted for each column.
        unsafe { self.run(rows, &End::Counts, crew) }
    }

    /// The codes of the counts, each of which is so many steps; with a sign where they are `moved`. Where others
    /// are added to these, they become the codes of the sums.
    ///
    /// # Panics
    /// When there is not a step, or what is added, for each column, too.
    pub(in crate::runtime) fn codes(
        &self,
        rows: Rows<'_>,
        steps: &[f32],
        (code, moved): (Code, u8),
        added: Option<&Added>,
        crew: &dyn Crew,
    ) -> Vec<u8> {
        let steps = self.padded(steps);
        assert!(added.is_none_or(|added| added.columns() == steps.len()), "codes for each column");
        // SAFETY: there are whole blocks of steps and of what is added, and codes are bytes.
        unsafe { self.run(rows, &End::Codes { steps: &steps, code, moved, added }, crew) }
    }

    /// The counts times factors, of which there is one for each column or one for all, then what is
    /// added to each column, then the larger of that and `least`.
    ///
    /// # Panics
    /// When there are other numbers of these, too.
    pub(in crate::runtime) fn floats(
        &self,
        rows: Rows<'_>,
        factors: &[f32],
        (added, least): (&[f32], f32),
        crew: &dyn Crew,
    ) -> Vec<f32> {
        let (factors, added) =
            (self.padded(factors), (!added.is_empty()).then(|| self.padded(added)));
        let end = End::Floats { factors: &factors, added: added.as_deref(), least };
        // SAFETY: there are whole blocks of factors and of what is added, and floats are made.
        unsafe { self.run(rows, &end, crew) }
    }

    /// One for each column of whole blocks, from as many as there are columns, or from one.
    fn padded(&self, values: &[f32]) -> Vec<f32> {
        let mut padded = match *values {
            [one] => vec![one; self.columns],
            _ => values.to_vec(),
        };
        assert!(padded.len() == self.columns, "{} values for each column", values.len());
        padded.resize(self.columns.next_multiple_of(LANES), 0.0);
        padded
    }

    /// # Safety
    /// The end has whole blocks of whatever it wants for the columns, and makes values of this type.
    unsafe fn run<T: Send>(&self, rows: Rows<'_>, end: &End<'_>, crew: &dyn Crew) -> Vec<T> {
        assert!(rows.bytes.len().is_multiple_of(self.terms), "integers of a row are missing");
        let count = rows.bytes.len() / self.terms;
        let sign = if rows.is_signed { 128 } else { 0 };
        let row = self.terms.next_multiple_of(QUAD);
        let mut kept = Vec::new();
        let codes = match rows.is_signed || row != self.terms {
            true => {
                kept.resize(count * row, 0);
                let both = kept.chunks_exact_mut(row).zip(rows.bytes.chunks_exact(self.terms));
                for (to, from) in both {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from ^ sign);
                }
                &*kept
            }
            false => rows.bytes,
        };
        let given = Given { codes, row, zero: rows.zero + i32::from(sign) };
        let zero = given.zero - self.kind.moved();
        let begun = self.bias.iter().zip(&self.sums);
        let begun: Vec<i32> =
            begun.map(|(bias, sum)| bias.wrapping_sub(sum.wrapping_mul(zero))).collect();
        let made = count * self.columns;
        let high = self.kind.pixels();
        let tiles = count.div_ceil(high);
        let groups = self.columns.div_ceil(self.kind.blocks() * LANES);
        let stretch = STRETCH_BYTES_MAX / (row * high);
        let size = if self.work(made) < SHARED_MIN { 1 } else { crew.size() };
        let shares = Shares::of(tiles, groups, stretch, size);
        let part = |part: usize, output: &Output<'_, T>| {
            let (groups, some) = shares.part(part);
            for group in groups {
                for tile in some.clone() {
                    let rows = tile_rows(tile, tiles, count);
                    self.tile(group, rows, &given, &begun, end, output);
                }
            }
        };
        let fill = |output: &Output<'_, T>| match size {
            1 => (0..shares.count()).for_each(|number| part(number, output)),
            _ => output.in_parts(crew, shares.count(), part),
        };
        // SAFETY: the tiles have all rows, the groups all columns, and each part all of its own.
        unsafe { Output::filled(made, fill) }
    }

    /// Some rows of one group of columns, which no other call writes.
    fn tile<T: Send>(
        &self,
        group: usize,
        (first, rows): (usize, usize),
        given: &Given<'_>,
        begun: &[i32],
        end: &End<'_>,
        output: &Output<'_, T>,
    ) {
        let column = group * self.kind.blocks() * LANES;
        let columns = (self.kind.blocks() * LANES).min(self.columns - column);
        let blocks = columns.div_ceil(LANES);
        let mut counts = MaybeUninit::<Counted>::uninit(); // of a row alone, most are never written
        // SAFETY: `run` made the rows whole quads, and of these the tile has rows below their number.
        // Weights and beginnings are whole blocks, packed so by `new`, and `counts` has room for any
        // tile, which writes those of its rows and blocks. No other call has these rows of this group of the
        // output, whose values are of the end's type, as the caller of `run` promises.
        unsafe {
            let counts = (&raw mut (*counts.as_mut_ptr()).0).cast::<i32>();
            self.kind.products(blocks, Packed::Weights { are_narrow: self.are_narrow })[rows](
                &Job {
                    input: given.codes.as_ptr().add(first * given.row),
                    input_row: given.row,
                    quads: given.row / QUAD,
                    weights: self.weights.as_ptr().add(column * given.row),
                    begun: begun.as_ptr().add(column),
                    counts,
                },
            );
            if !self.moved.is_empty() {
                let moved = &self.moved[column..column + blocks * LANES];
                let counts = std::slice::from_raw_parts_mut(counts, rows * blocks * LANES);
                for (row, counts) in counts.chunks_exact_mut(blocks * LANES).enumerate() {
                    let codes = &given.codes[(first + row) * given.row..][..self.terms];
                    let apart = codes.iter().fold(0, |sum: i32, code| sum + i32::from(*code));
                    let apart = apart.wrapping_sub(given.zero.wrapping_mul(self.terms as i32));
                    for (count, moved) in counts.iter_mut().zip(moved) {
                        *count = count.wrapping_add(moved.wrapping_mul(apart));
                    }
                }
            }
            let at = first * self.columns + column;
            self.kind.product_end()(&product_end::Job {
                counts,
                rows,
                column,
                columns,
                end,
                output: output.at(at, (rows - 1) * self.columns + columns).cast(),
                output_row: self.columns,
            });
        }
    }
}

/// One tile: `ROWS` rows of `BLOCKS` blocks of columns.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: `quads` quads of each row, as
/// many weights for each block, so many beginnings, and room for as many counts of each row.
#[inline(always)]
pub(super) unsafe fn tile<V: Counts, const ROWS: usize, const BLOCKS: usize>(job: &Job) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut sums = [[V::load(job.begun); BLOCKS]; ROWS];
        for block in 1..BLOCKS {
            let begun = V::load(job.begun.add(block * LANES));
            for sums in &mut sums {
                sums[block] = begun;
            }
        }
        let mut weights = job.weights;
        let sixteens = if V::TAKES_PARTS { job.quads / QUAD } else { 0 };
        if 0 < sixteens {
            let mut input = job.input;
            V::begin(&mut sums);
            for _ in 0..sixteens {
                V::plus_sixteen(&mut sums, (input, job.input_row), weights);
                weights = weights.add(QUAD * BLOCKS * WEIGHTS);
                input = input.wrapping_add(QUAD * QUAD);
            }
            V::end(&mut sums);
        }
        for quad in QUAD * sixteens..job.quads {
            plus_four(&mut sums, (job.input.add(quad * QUAD), job.input_row), weights);
            weights = weights.add(BLOCKS * WEIGHTS);
        }
        // By reference: arrays that are moved go by memory, twice.
        for (row, sums) in sums.iter().enumerate() {
            for (block, sum) in sums.iter().enumerate() {
                sum.keep(job.counts.add((row * BLOCKS + block) * LANES));
            }
        }
    }
}
