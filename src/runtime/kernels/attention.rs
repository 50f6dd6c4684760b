//! Attention: what some rows see of others, without the table of all their products ever being whole.

use super::activation::Activation;
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::product::{Job, VECTORS, tile_rows};
use super::rows::SoftmaxJob;
use std::cell::RefCell;

/// Floats that a thread keeps from one run to the next: four megabytes.
const KEPT_FLOATS_MAX: usize = 1 << 20;

thread_local! {
    /// Keys turned, and the scores of a tile's rows.
    static ASIDE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Where the rows of one buffer lie, in values of its type.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Layout {
    /// The first value of each head.
    pub(in crate::runtime) heads: Vec<usize>,
    /// From one row to the next.
    pub(in crate::runtime) row: usize,
    /// From one value of a row to the next.
    pub(in crate::runtime) value: usize,
}

impl Layout {
    /// How many values are made, if each head has so many rows of so many of them, side by side; none
    /// where two rows share one, or one is in no row.
    pub(super) fn made(&self, rows: usize, values: usize) -> Option<usize> {
        let rows_of =
            |head: &usize| (0..rows).map(|row| *head + row * self.row).collect::<Vec<_>>();
        let mut starts: Vec<usize> = self.heads.iter().flat_map(rows_of).collect();
        starts.sort_unstable();
        let made = starts.last()? + values;
        let is_apart = starts.is_sorted_by(|one, next| one + values <= *next);
        (is_apart && made == self.heads.len() * rows * values && self.value == 1).then_some(made)
    }

    /// The values that a buffer has at least, if each head has so many rows of so many of them.
    pub(super) fn needed(&self, rows: usize, values: usize) -> Option<usize> {
        let far =
            (rows - 1).checked_mul(self.row)?.checked_add((values - 1).checked_mul(self.value)?)?;
        self.heads.iter().max()?.checked_add(far)?.checked_add(1)
    }
}

/// What attention is made of.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Heads {
    /// Rows that see, rows that are seen, values that are compared, and values that are seen.
    pub(in crate::runtime) queries: usize,
    pub(in crate::runtime) keys: usize,
    pub(in crate::runtime) compared: usize,
    pub(in crate::runtime) seen: usize,
    pub(in crate::runtime) query: Layout,
    pub(in crate::runtime) key: Layout,
    pub(in crate::runtime) value: Layout,
    pub(in crate::runtime) output: Layout,
    /// What is added to the scores: a row for each query, a value for each key.
    pub(in crate::runtime) mask: Option<Layout>,
    /// What scores are multiplied with before.
    pub(in crate::runtime) factor: f32,
}

/// Softmax of queries times keys, times values, for each head.
#[derive(Debug)]
pub(in crate::runtime) struct Attention {
    kind: Kind,
    heads: Heads,
    /// Floats that the buffers have at least: queries, keys, values, mask.
    needed: [usize; 4],
    made: usize,
}

impl Attention {
    /// None where the layouts do not fit together: of queries and what is made, values lie one after
    /// the other, and no two rows that are made share a value.
    pub(in crate::runtime) fn new(kind: Kind, heads: Heads) -> Option<Attention> {
        let Heads { queries, keys, compared, seen, .. } = heads;
        let number = heads.output.heads.len();
        let all = [&heads.query, &heads.key, &heads.value].into_iter().chain(&heads.mask);
        if [queries, keys, compared, seen, number].contains(&0)
            || all.into_iter().any(|layout| layout.heads.len() != number)
            || heads.query.value != 1
        {
            return None;
        }
        let made = heads.output.made(queries, seen)?;
        let needed = [
            heads.query.needed(queries, compared)?,
            heads.key.needed(keys, compared)?,
            heads.value.needed(keys, seen)?,
            match &heads.mask {
                Some(mask) => mask.needed(queries, keys)?,
                None => 0,
            },
        ];
        Some(Attention { kind, heads, needed, made })
    }

    /// Multiplications.
    pub(in crate::runtime) fn work(&self) -> usize {
        let Heads { queries, keys, compared, seen, ref output, .. } = self.heads;
        output.heads.len() * queries * keys * (compared + seen)
    }

    /// What each query sees, for all heads.
    ///
    /// # Panics
    /// When a buffer is shorter than its layout, or the mask is missing or unwanted.
    pub(in crate::runtime) fn run(
        &self,
        [query, key, value]: [&[f32]; 3],
        mask: Option<&[f32]>,
        crew: &dyn Crew,
    ) -> Vec<f32> {
        let given = [query.len(), key.len(), value.len(), mask.map_or(0, <[f32]>::len)];
        assert!(self.needed.iter().zip(given).all(|(needed, given)| *needed <= given), "{given:?}");
        assert!(mask.is_some() == self.heads.mask.is_some(), "a mask that the other side lacks");
        let number = self.heads.output.heads.len();
        // Few heads for many threads: each has its rows in as many parts, and its keys as often.
        let splits = match crew.size() {
            1 => 1,
            size if number.is_multiple_of(size) || 4 * size <= number => 1,
            size => size,
        };
        let given = [query, key, value];
        let fill = |output: &Output<'_>| {
            output.in_parts(crew, number * splits, |part, output| {
                let (head, split) = (part / splits, (part % splits, splits));
                let mut aside = ASIDE.take();
                self.part(head, split, given, mask, output, &mut aside);
                if aside.len() <= KEPT_FLOATS_MAX {
                    ASIDE.set(aside);
                }
            });
        };
        // SAFETY: all rows of all heads are made, which are as many values and share none (`new`).
        unsafe { Output::filled(self.made, fill) }
    }

    /// One head, for one of so many parts of its queries, which no other call computes.
    fn part(
        &self,
        head: usize,
        (split, splits): (usize, usize),
        [query, key, value]: [&[f32]; 3],
        mask: Option<&[f32]>,
        output: &Output<'_>,
        aside: &mut Vec<f32>,
    ) {
        let Heads { queries, keys, compared, seen, .. } = self.heads;
        let (lanes, high) = (self.kind.lanes(), self.kind.rows());
        let padded = keys.next_multiple_of(lanes);
        let wide = seen.next_multiple_of(lanes);
        // Values that lie side by side in whole vectors are read where they are.
        let is_packed = self.heads.value.value != 1 || wide != seen;
        let packed = if is_packed { wide * keys } else { 0 };
        aside.resize(padded * (compared + high) + packed + high * wide, 0.0);
        let (turned, rest) = aside.split_at_mut(padded * compared);
        let (scores, rest) = rest.split_at_mut(padded * high);
        let (packed, sums) = rest.split_at_mut(packed);
        self.turn(&key[self.heads.key.heads[head]..], turned, padded);
        let value = &value[self.heads.value.heads[head]..];
        if is_packed {
            let Layout { row, value: step, .. } = self.heads.value;
            for (key, packed) in packed.chunks_exact_mut(wide).enumerate() {
                for (at, to) in packed.iter_mut().enumerate() {
                    *to = if at < seen { value[key * row + at * step] } else { 0.0 };
                }
            }
        }
        let (values, values_row) = match is_packed {
            true => (packed.as_ptr(), wide),
            false => (value.as_ptr(), self.heads.value.row),
        };
        let query = &query[self.heads.query.heads[head]..];
        let tiles = queries.div_ceil(high);
        let softmax = self.kind.softmax_row();
        for tile in tiles * split / splits..tiles * (split + 1) / splits {
            let (first, rows) = tile_rows(tile, tiles, queries);
            // SAFETY: `run` found the buffers as long as their layouts, within which these rows and
            // values are; turned keys, scores and sums have room for whole vectors of any tile.
            unsafe {
                for column in (0..padded).step_by(VECTORS * lanes) {
                    let vectors = VECTORS.min((padded - column) / lanes);
                    self.kind.products(vectors)[rows](&Job {
                        input: query.as_ptr().add(first * self.heads.query.row),
                        input_row: self.heads.query.row,
                        terms: compared,
                        weights: turned.as_ptr().add(column * compared),
                        weights_row: vectors * lanes,
                        bias: std::ptr::null(),
                        output: scores.as_mut_ptr().add(column),
                        output_row: padded,
                        residual: std::ptr::null(),
                        residual_row: 0,
                        activation: Activation::NONE,
                        end: self.kind.product_end(),
                    });
                }
            }
            for (row, scores) in scores.chunks_exact_mut(padded).take(rows).enumerate() {
                scores[keys..].fill(f32::NEG_INFINITY);
                if let (Some(mask), Some(layout)) = (mask, &self.heads.mask) {
                    let mask = &mask[layout.heads[head] + (first + row) * layout.row..];
                    if layout.value == 1 {
                        for (score, mask) in scores[..keys].iter_mut().zip(mask) {
                            *score += mask;
                        }
                    } else {
                        for (key, score) in scores[..keys].iter_mut().enumerate() {
                            *score += mask[key * layout.value];
                        }
                    }
                }
                // SAFETY: a row of scores is whole vectors.
                unsafe {
                    softmax(&SoftmaxJob { values: scores.as_mut_ptr(), vectors: padded / lanes });
                }
            }
            for column in (0..wide).step_by(VECTORS * lanes) {
                let vectors = VECTORS.min((wide - column) / lanes);
                // SAFETY: as above; a row that is made has `seen` values from its start on, no two
                // rows share one (`new`), and no other call has these rows.
                unsafe {
                    let start = self.heads.output.heads[head] + first * self.heads.output.row;
                    let to = output.at(start, (rows - 1) * self.heads.output.row + seen);
                    let is_whole = wide == seen;
                    self.kind.products(vectors)[rows](&Job {
                        input: scores.as_ptr(),
                        input_row: padded,
                        terms: keys,
                        weights: values.add(column),
                        weights_row: values_row,
                        bias: std::ptr::null(),
                        output: if is_whole {
                            to.add(column)
                        } else {
                            sums.as_mut_ptr().add(column)
                        },
                        output_row: if is_whole { self.heads.output.row } else { wide },
                        residual: std::ptr::null(),
                        residual_row: 0,
                        activation: Activation::NONE,
                        end: self.kind.product_end(),
                    });
                }
            }
            if wide != seen {
                for (row, sums) in sums.chunks_exact(wide).take(rows).enumerate() {
                    let start =
                        self.heads.output.heads[head] + (first + row) * self.heads.output.row;
                    // SAFETY: as above.
                    unsafe {
                        std::ptr::copy_nonoverlapping(sums.as_ptr(), output.at(start, seen), seen);
                    }
                }
            }
        }
    }

    /// Keys as weights of a product: group by group of two vectors of them, in each value by value.
    fn turn(&self, key: &[f32], turned: &mut [f32], padded: usize) {
        let Heads { keys, compared, factor, .. } = self.heads;
        let Layout { row, value, .. } = self.heads.key;
        let group = VECTORS * self.kind.lanes();
        for start in (0..padded).step_by(group) {
            let wide = group.min(padded - start);
            let turned = &mut turned[start * compared..][..wide * compared];
            for column in 0..wide {
                if keys <= start + column {
                    turned[column..].iter_mut().step_by(wide).for_each(|to| *to = 0.0);
                    continue;
                }
                let from = key[(start + column) * row..].iter().step_by(value.max(1));
                for (to, from) in turned[column..].iter_mut().step_by(wide).zip(from) {
                    *to = factor * from;
                }
            }
        }
    }
}
