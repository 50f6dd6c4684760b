//! From roots to leaves, several rows or several trees at a time, so that none waits for another's memory.

use super::forest::{Forest, NAN_IS_AT_MOST, Node, Real, Weights};

/// Walks that run side by side: enough to hide the time that a load takes, few enough to stay in
/// registers (8 was as fast as 16 on x86-64, and faster than 4).
const LANES: usize = 8;

/// Bytes of rows in a block: with the nodes of one tree they fit into a first-level cache of 32 KiB.
const BLOCK_BYTES: usize = 16 << 10;

/// Rows in a block at most: beyond, a tree's nodes are used often enough.
const BLOCK_ROWS_MAX: usize = 256;

/// Rows that are scored together.
pub(super) fn block_rows(row_bytes: usize) -> usize {
    (BLOCK_BYTES / row_bytes.max(1)).clamp(LANES, BLOCK_ROWS_MAX)
}

impl<T: Real> Forest<T> {
    /// The sums of each row's weights, row by row and in the order of the columns, and which of
    /// them got a weight at all; `None` when all did.
    pub(super) fn sums(&self, values: &[T], width: usize, rows: usize) -> Scores<T> {
        let columns = self.columns.len();
        let mut sums = vec![T::ZERO; rows * columns];
        match &self.weights {
            Weights::Dense(weights) if columns == 1 => {
                self.walk(values, width, rows, |row, leaf| sums[row] += weights[leaf]);
            }
            Weights::Dense(weights) if columns == 2 => {
                let weights = weights.as_chunks::<2>().0;
                let pairs = sums.as_chunks_mut::<2>().0;
                self.walk(values, width, rows, |row, leaf| {
                    let (sum, weight) = (&mut pairs[row], &weights[leaf]);
                    sum[0] += weight[0];
                    sum[1] += weight[1];
                });
            }
            Weights::Dense(weights) => self.walk(values, width, rows, |row, leaf| {
                let sums = &mut sums[row * columns..][..columns];
                let weights = &weights[leaf * columns..][..columns];
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += *weight);
            }),
            Weights::Sparse { .. } => {
                return self.fold(values, width, rows, |so_far, weight| so_far + weight);
            }
        }
        Scores { values: sums, hit: None }
    }

    /// As [`sums`](Self::sums), with another way to put two weights together.
    pub(super) fn fold(
        &self,
        values: &[T],
        width: usize,
        rows: usize,
        with: impl Fn(T, T) -> T,
    ) -> Scores<T> {
        let columns = self.columns.len();
        let mut folded = vec![T::ZERO; rows * columns];
        let mut hit = vec![false; rows * columns];
        let Weights::Sparse { starts, entries } = &self.weights else {
            return Scores { values: folded, hit: Some(hit) }; // planted for sums: never asked
        };
        self.walk(values, width, rows, |row, leaf| {
            let (from, to) = (starts[leaf] as usize, starts[leaf + 1] as usize);
            for (column, weight) in &entries[from..to] {
                let place = row * columns + *column as usize;
                folded[place] = if hit[place] { with(folded[place], *weight) } else { *weight };
                hit[place] = true;
            }
        });
        Scores { values: folded, hit: Some(hit) }
    }

    /// Calls `visit` with each row and the leaf that it comes to in each tree, for each row in the
    /// order of the trees. The rows have `width` values each, and every feature is among them.
    fn walk(&self, values: &[T], width: usize, rows: usize, visit: impl FnMut(usize, usize)) {
        if values[..rows * width].iter().any(|value| value.is_nan()) {
            self.walk_by::<true>(values, width, rows, visit);
        } else {
            self.walk_by::<false>(values, width, rows, visit);
        }
    }

    fn walk_by<const NAN: bool>(
        &self,
        values: &[T],
        width: usize,
        rows: usize,
        mut visit: impl FnMut(usize, usize),
    ) {
        let values = &values[..rows * width];
        if rows < LANES {
            for row in 0..rows {
                let values = &values[row * width..][..width];
                self.walk_trees::<NAN>(values, |leaf| visit(row, leaf));
            }
            return;
        }
        for tree in &self.trees {
            let mut from = 0;
            let mut done = 0;
            while done < rows {
                let starts: [usize; LANES] = std::array::from_fn(|lane| (from + lane) * width);
                let mut at = [tree.root; LANES];
                self.descend::<NAN>(values, &starts, &mut at, tree.shortest, tree.longest);
                // The last group begins earlier, so that it is a whole one too.
                for (lane, at) in at.iter().enumerate().skip(done - from) {
                    visit(from + lane, (at - self.branches) as usize);
                }
                done = from + LANES;
                from = done.min(rows - LANES);
            }
        }
    }

    /// One row through groups of trees: the same as several rows through one tree.
    fn walk_trees<const NAN: bool>(&self, row: &[T], mut visit: impl FnMut(usize)) {
        for trees in self.trees.chunks(LANES) {
            let last = trees[trees.len() - 1];
            let mut at: [u32; LANES] =
                std::array::from_fn(|lane| trees.get(lane).unwrap_or(&last).root);
            let shortest = trees.iter().map(|tree| tree.shortest).min().unwrap_or(0);
            let longest = trees.iter().map(|tree| tree.longest).max().unwrap_or(0);
            self.descend::<NAN>(row, &[0; LANES], &mut at, shortest, longest);
            for at in at.iter().take(trees.len()) {
                visit((at - self.branches) as usize);
            }
        }
    }

    /// Takes each lane from where it is to a leaf.
    #[inline(always)]
    fn descend<const NAN: bool>(
        &self,
        values: &[T],
        starts: &[usize; LANES],
        at: &mut [u32; LANES],
        shortest: u32,
        longest: u32,
    ) {
        let nodes = self.nodes.as_slice();
        for _ in 0..shortest {
            step::<T, NAN>(nodes, values, starts, at);
        }
        for _ in shortest..longest {
            if at.iter().all(|at| *at >= self.branches) {
                return;
            }
            step::<T, NAN>(nodes, values, starts, at);
        }
    }
}

/// Sums, or what else a fold made of the weights.
#[derive(Debug)]
pub(super) struct Scores<T> {
    pub(super) values: Vec<T>,
    pub(super) hit: Option<Vec<bool>>,
}

/// One step of every lane, without a branch that the data decides: the processor would guess wrong
/// half the time.
#[inline(always)]
fn step<T: Real, const NAN: bool>(
    nodes: &[Node<T>],
    values: &[T],
    starts: &[usize; LANES],
    at: &mut [u32; LANES],
) {
    for (at, start) in at.iter_mut().zip(starts) {
        let node = &nodes[*at as usize];
        let feature = (node.feature & !NAN_IS_AT_MOST) as usize;
        let value = values[start + feature];
        // Not `>`: NaN is not at most the threshold.
        let at_most = value <= node.threshold
            || (NAN && value.is_nan() && node.feature & NAN_IS_AT_MOST != 0);
        *at = node.next[usize::from(!at_most)];
    }
}
