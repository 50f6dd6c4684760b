//! Products of matrices: a tile of rows by two vectors of columns stays in registers, and what follows is done before its values leave the cache.

use super::activation::Activation;
use super::aligned::Aligned;
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::Lanes;
use super::loops;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a tile at most, on any processor.
pub(super) const ROWS_MAX: usize = 14;

/// Vectors of columns that a tile has at most.
pub(super) const VECTORS: usize = 2;

/// Floats of a vector at most, on any processor.
pub(super) const LANES_MAX: usize = 16;

/// Floats of rows that go through all columns before the next rows do: a quarter of a megabyte, which
/// a second-level cache holds beside weights.
const STRETCH_FLOATS_MAX: usize = 64 << 10;

/// Parts for each thread: so many that those who are done earlier find something to do.
const PARTS_EACH: usize = 4;

/// Products that are shared among threads have at least so many multiplications: some 20 microseconds
/// of one thread, which is what waking another takes.
const SHARED_MIN: usize = 1 << 20;

/// What one tile is computed from and into.
pub(super) struct Job {
    pub(super) input: *const f32,
    /// Floats from one row's values to the next row's.
    pub(super) input_row: usize,
    pub(super) terms: usize,
    /// As many vectors for each term as the tile has.
    pub(super) weights: *const f32,
    /// Floats from one term's weights to the next one's.
    pub(super) weights_row: usize,
    /// Null where sums begin with nothing.
    pub(super) bias: *const f32,
    pub(super) output: *mut f32,
    pub(super) output_row: usize,
    /// Null where nothing is added, or else laid out as the output.
    pub(super) residual: *const f32,
    pub(super) residual_row: usize,
    pub(super) activation: Activation,
    pub(super) end: End,
}

/// Computes one tile.
pub(super) type Compute = unsafe fn(&Job);

/// Ends a tile of so many rows and vectors.
pub(super) type End = unsafe fn(&Job, usize, usize);

/// By rows of a tile.
pub(super) type Tiles = [Compute; ROWS_MAX + 1];

/// One tile: `ROWS` rows of `WIDE` vectors.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: `terms` values of each
/// row, as many rows of `WIDE` vectors of weights, so many vectors of the bias, and of each row of the
/// output and the residual.
#[inline(always)]
pub(super) unsafe fn tile<V: Lanes, const ROWS: usize, const WIDE: usize>(job: &Job) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut sums = [[V::splat(0.0); WIDE]; ROWS];
        if !job.bias.is_null() {
            for vector in 0..WIDE {
                let bias = V::load(job.bias.add(vector * V::LANES));
                for sums in &mut sums {
                    sums[vector] = bias;
                }
            }
        }
        loops::rows(job, &mut sums);
        if let Activation::Clip(low, high) = job.activation {
            let (low, high) = (V::splat(low), V::splat(high));
            for (row, sums) in sums.iter().enumerate() {
                for (vector, sum) in sums.iter().enumerate() {
                    let mut value = sum.at_least(low).at_most(high);
                    if !job.residual.is_null() {
                        let residual = row * job.residual_row + vector * V::LANES;
                        value = value.plus(V::load(job.residual.add(residual)));
                    }
                    value.store(job.output.add(row * job.output_row + vector * V::LANES));
                }
            }
            return;
        }
        // Code for each function behind each tile would be long: values go by memory.
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                sum.store(job.output.add(row * job.output_row + vector * V::LANES));
            }
        }
        (job.end)(job, ROWS, WIDE);
    }
}

/// What becomes of the sums of a tile of so many rows of so many vectors, which are where the output will be.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(super) unsafe fn end<V: Lanes>(job: &Job, rows: usize, vectors: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        for row in 0..rows {
            for vector in 0..vectors {
                let at = job.output.add(row * job.output_row + vector * V::LANES);
                let mut value = job.activation.of(V::load(at));
                if !job.residual.is_null() {
                    let residual = row * job.residual_row + vector * V::LANES;
                    value = value.plus(V::load(job.residual.add(residual)));
                }
                value.store(at);
            }
        }
    }
}

/// Groups that a row alone goes through side by side at most.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// By groups, less one.
pub(super) type Singles = [Compute; SIDE_BY_SIDE];

/// A row alone: `GROUPS` groups of [`VECTORS`] vectors, one whole group's weights after the other's.
///
/// A tile of one row would wait for each sum before it can add to it again: of several groups there are as
/// many sums as a processor computes meanwhile. Each sum is added up as in a tile, so that a row
/// comes to the same alone as among others.
///
/// # Safety
/// As [`tile`], but that `weights_row` counts from one group's weights to the next one's.
#[inline(always)]
pub(super) unsafe fn single<V: Lanes, const GROUPS: usize>(job: &Job) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; GROUPS];
        let wide = VECTORS * V::LANES;
        if !job.bias.is_null() {
            for (group, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(job.bias.add(group * wide + vector * V::LANES));
                }
            }
        }
        loops::row(job, &mut sums);
        for (group, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                sum.store(job.output.add(group * wide + vector * V::LANES));
            }
        }
        (job.end)(job, 1, GROUPS * VECTORS);
    }
}

/// Weights of a product, packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Weights {
    kind: Kind,
    terms: usize,
    columns: usize,
    /// Group by group of two vectors of columns; in each, term by term.
    values: Aligned,
}

impl Weights {
    /// Packs weights of so many terms and columns, of which `weight` tells each by its term and its column. All
    /// threads of the pool that this is called on may help.
    pub(in crate::runtime) fn pack(
        kind: Kind,
        [terms, columns]: [usize; 2],
        weight: impl Fn(usize, usize) -> f32 + Sync,
        on_all_threads: bool,
    ) -> Weights {
        let lanes = kind.lanes();
        let mut values = Aligned::zeros(columns.next_multiple_of(lanes) * terms);
        let group = VECTORS * lanes;
        let pack = |(number, values): (usize, &mut [f32])| {
            let (start, wide) = (number * group, values.len() / terms);
            for (term, row) in values.chunks_exact_mut(wide).enumerate() {
                for (column, to) in (start..columns).zip(row) {
                    *to = weight(term, column);
                }
            }
        };
        let part = (group * terms).max(1);
        match on_all_threads {
            true => values.par_chunks_mut(part).enumerate().for_each(pack),
            false => values.chunks_mut(part).enumerate().for_each(pack),
        }
        Weights { kind, terms, columns, values }
    }

    /// Whether each is what `weight` tells, to the bit.
    pub(in crate::runtime) fn are(&self, weight: impl Fn(usize, usize) -> f32) -> bool {
        let Weights { kind, terms, columns, values } = self;
        let group = VECTORS * kind.lanes();
        values.chunks((group * terms).max(1)).enumerate().all(|(number, values)| {
            let (start, wide) = (number * group, values.len() / terms);
            values.chunks_exact(wide).enumerate().all(|(term, row)| {
                let mut both = (start..*columns).zip(row);
                both.all(|(column, value)| value.to_bits() == weight(term, column).to_bits())
            })
        })
    }
}

/// A product of rows with weights that are packed for this processor, and may be others' too.
#[derive(Debug)]
pub(in crate::runtime) struct Product {
    weights: Arc<Weights>,
    bias: Vec<f32>,
    activation: Activation,
}

impl Product {
    /// A product with these weights; none when there are none, or the bias is not one value for each column.
    pub(in crate::runtime) fn new(
        weights: Arc<Weights>,
        bias: &[f32],
        activation: Activation,
    ) -> Option<Product> {
        let Weights { kind, terms, columns, .. } = *weights;
        if terms == 0 || columns == 0 || !(bias.is_empty() || bias.len() == columns) {
            return None;
        }
        let mut bias = bias.to_vec();
        if !bias.is_empty() {
            bias.resize(columns.next_multiple_of(kind.lanes()), 0.0);
        }
        Some(Product { weights, bias, activation })
    }

    /// Floats that are kept.
    pub(in crate::runtime) fn floats(&self) -> usize {
        self.weights.values.len() + self.bias.len()
    }

    /// Multiplications for so many values that are made.
    pub(in crate::runtime) fn work(&self, made: usize) -> usize {
        made.saturating_mul(self.weights.terms)
    }

    /// The rows of the input, one after the other, times the weights, and the residual added last.
    ///
    /// # Panics
    /// When the input is not whole rows, or the residual not as long as what is made.
    pub(in crate::runtime) fn run(
        &self,
        input: &[f32],
        residual: Option<&[f32]>,
        crew: &dyn Crew,
    ) -> Vec<f32> {
        assert!(input.len().is_multiple_of(self.weights.terms), "values of a row are missing");
        let rows = input.len() / self.weights.terms;
        let made = rows * self.weights.columns;
        assert!(
            residual.is_none_or(|residual| residual.len() == made),
            "a residual of another length"
        );
        let high = self.weights.kind.rows();
        let tiles = rows.div_ceil(high);
        let groups = self.weights.columns.div_ceil(VECTORS * self.weights.kind.lanes());
        let stretch = STRETCH_FLOATS_MAX / (self.weights.terms * high);
        let size = if self.work(made) < SHARED_MIN { 1 } else { crew.size() };
        let shares = Shares::of(tiles, groups, stretch, size);
        let part = |part: usize, output: &Output<'_>| {
            let (own, some) = shares.part(part);
            if rows == 1 {
                return self.single(own, input, residual, output);
            }
            for group in own {
                for tile in some.clone() {
                    self.tile(group, tile_rows(tile, tiles, rows), input, residual, output);
                }
            }
        };
        let fill = |output: &Output<'_>| match size {
            1 => (0..shares.count()).for_each(|number| part(number, output)),
            _ => output.in_parts(crew, shares.count(), part),
        };
        // SAFETY: the tiles have all rows, the groups all columns, and each part all of its own.
        unsafe { Output::filled(made, fill) }
    }

    /// Some groups of columns of the only row, which no other call writes.
    fn single(
        &self,
        own: Range<usize>,
        input: &[f32],
        residual: Option<&[f32]>,
        output: &Output<'_>,
    ) {
        let wide = VECTORS * self.weights.kind.lanes();
        let mut group = own.start;
        while group < own.end {
            let whole = (self.weights.columns / wide).min(own.end).saturating_sub(group);
            let groups = whole.min(SIDE_BY_SIDE);
            if groups == 0 {
                self.tile(group, (0, 1), input, residual, output); // the last, narrower one
                group += 1;
                continue;
            }
            let column = group * wide;
            // SAFETY: `run` found the input to be one row, and the residual as long as the output, which have
            // `columns` values each, of which these are whole groups. Weights and biases are whole groups
            // too, packed so by `Weights::pack`. No other call has these groups.
            unsafe {
                let job = Job {
                    input: input.as_ptr(),
                    input_row: self.weights.terms,
                    terms: self.weights.terms,
                    weights: self.weights.values.as_ptr().add(column * self.weights.terms),
                    weights_row: wide * self.weights.terms,
                    bias: match self.bias.is_empty() {
                        true => std::ptr::null(),
                        false => self.bias.as_ptr().add(column),
                    },
                    output: output.at(column, groups * wide),
                    output_row: self.weights.columns,
                    residual: residual
                        .map_or(std::ptr::null(), |residual| residual.as_ptr().add(column)),
                    residual_row: self.weights.columns,
                    activation: self.activation,
                    end: self.weights.kind.product_end(),
                };
                self.weights.kind.singles()[groups - 1](&job);
            }
            group += groups;
        }
    }

    /// Some rows of one group of columns, which no other call writes.
    fn tile(
        &self,
        group: usize,
        (first, rows): (usize, usize),
        input: &[f32],
        residual: Option<&[f32]>,
        output: &Output<'_>,
    ) {
        let lanes = self.weights.kind.lanes();
        let column = group * VECTORS * lanes;
        let columns = (VECTORS * lanes).min(self.weights.columns - column);
        let wide = columns.div_ceil(lanes);
        let at = first * self.weights.columns + column;
        let is_aside = columns < wide * lanes;
        // SAFETY: `run` found the input to be whole rows, and the residual as long as the output: of
        // these, the tile has rows below their number, and columns below theirs. Weights and biases are
        // whole groups, packed so by `Weights::pack`. No other call has these rows of this group. Where the group
        // has fewer columns than its vectors, `aside` writes and adds elsewhere.
        unsafe {
            let mut job = Job {
                input: input.as_ptr().add(first * self.weights.terms),
                input_row: self.weights.terms,
                terms: self.weights.terms,
                weights: self.weights.values.as_ptr().add(column * self.weights.terms),
                weights_row: wide * lanes,
                bias: match self.bias.is_empty() {
                    true => std::ptr::null(),
                    false => self.bias.as_ptr().add(column),
                },
                output: output.at(at, (rows - 1) * self.weights.columns + columns),
                output_row: self.weights.columns,
                residual: residual.map_or(std::ptr::null(), |residual| residual.as_ptr().add(at)),
                residual_row: self.weights.columns,
                activation: self.activation,
                end: self.weights.kind.product_end(),
            };
            let compute = self.weights.kind.products(wide)[rows];
            if is_aside {
                aside(&mut job, compute, rows, columns, wide * lanes)
            } else {
                compute(&job)
            }
        }
    }
}

/// Computes a tile that has fewer columns than its vectors have lanes.
///
/// # Safety
/// As [`tile`], but that there are so many columns of each row of the output and of the residual.
unsafe fn aside(job: &mut Job, compute: Compute, rows: usize, columns: usize, wide: usize) {
    const FLOATS: usize = ROWS_MAX * VECTORS * LANES_MAX;
    let (mut made, mut added) =
        (MaybeUninit::<[f32; FLOATS]>::uninit(), MaybeUninit::<[f32; FLOATS]>::uninit());
    let (made, added) = (made.as_mut_ptr().cast::<f32>(), added.as_mut_ptr().cast::<f32>());
    let (output, output_row) = (job.output, job.output_row);
    // SAFETY: the caller's promise, and both arrays have room for any tile, which reads of the second
    // what is cleared before, and writes of the first what is copied from there.
    unsafe {
        if !job.residual.is_null() {
            added.write_bytes(0, rows * wide);
            for row in 0..rows {
                let from = job.residual.add(row * job.residual_row);
                std::ptr::copy_nonoverlapping(from, added.add(row * wide), columns);
            }
            (job.residual, job.residual_row) = (added, wide);
        }
        (job.output, job.output_row) = (made, wide);
        compute(job);
        for row in 0..rows {
            let to = output.add(row * output_row);
            std::ptr::copy_nonoverlapping(made.add(row * wide), to, columns);
        }
    }
}

/// How the tiles of a product, and its groups of columns, are shared out.
pub(super) struct Shares {
    tiles: usize,
    groups: usize,
    /// Tiles that go through all columns of a part before the next ones do.
    stretch: usize,
    /// Parts of the columns.
    splits: usize,
}

impl Shares {
    /// Among so many threads, in stretches of so many tiles at most.
    pub(super) fn of(tiles: usize, groups: usize, stretch: usize, threads: usize) -> Shares {
        let stretch = stretch.clamp(1, tiles.max(1));
        if threads == 1 {
            return Shares { tiles, groups, stretch, splits: 1 };
        }
        // Threads share rows before columns: each row is read by one of them alone.
        let parts = PARTS_EACH * threads;
        let stretch = stretch.min(tiles.div_ceil(parts)).max(1);
        let splits = parts.div_ceil(tiles.div_ceil(stretch).max(1)).clamp(1, groups);
        Shares { tiles, groups, stretch, splits }
    }

    /// Parts.
    pub(super) fn count(&self) -> usize {
        self.tiles.div_ceil(self.stretch) * self.splits
    }

    /// The groups and the tiles of a part.
    pub(super) fn part(&self, part: usize) -> (Range<usize>, Range<usize>) {
        let (at, split) = (part / self.splits, part % self.splits);
        let groups = self.groups * split / self.splits..self.groups * (split + 1) / self.splits;
        (groups, at * self.stretch..self.tiles.min((at + 1) * self.stretch))
    }
}

/// The first row of a tile, and how many it has: all about as many.
pub(super) fn tile_rows(tile: usize, tiles: usize, rows: usize) -> (usize, usize) {
    let first = tile * rows / tiles;
    (first, (tile + 1) * rows / tiles - first)
}
