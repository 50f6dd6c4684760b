//! Trees laid out for the cache: every question is `value <= threshold`, in one array of small nodes.

use super::grown::{Branch, Grown, Question, Step};
use std::ops::{Add, AddAssign, Div};
use tract_onnx::tract_core::internal::*;

/// The number type of thresholds and weights.
pub(super) trait Real:
    Datum + Copy + PartialOrd + Add<Output = Self> + AddAssign + Div<Output = Self>
{
    const ZERO: Self;
    const NAN: Self;

    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
    fn is_nan(self) -> bool;

    /// The largest number below this one; NaN, which nothing is at most, below all numbers.
    fn below(self) -> Self;
}

macro_rules! real {
    ($type:ident) => {
        impl Real for $type {
            const ZERO: $type = 0.0;
            const NAN: $type = $type::NAN;

            fn of(value: f64) -> $type {
                value as $type
            }

            fn wide(self) -> f64 {
                f64::from(self)
            }

            fn is_nan(self) -> bool {
                self.is_nan()
            }

            fn below(self) -> $type {
                if self == $type::NEG_INFINITY { $type::NAN } else { self.next_down() }
            }
        }
    };
}

real!(f32);
real!(f64);

/// Set in `Node::feature` where NaN is taken to be at most the threshold.
pub(super) const NAN_IS_AT_MOST: u32 = 1 << 31;

/// A question, or a leaf, which leads to itself: rows that are there already wait for the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<T> {
    pub(super) threshold: T,
    pub(super) feature: u32,
    /// Where a value leads that is at most the threshold, and where one leads that is not.
    pub(super) next: [u32; 2],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    pub(super) root: u32,
    /// Steps to the nearest and to the farthest leaf.
    pub(super) shortest: u32,
    pub(super) longest: u32,
}

/// What leaves add up to.
#[derive(Debug)]
pub(super) enum Weights<T> {
    /// Each leaf has a weight for each column.
    Dense(Vec<T>),
    /// Leaf `n` has entries `starts[n]..starts[n + 1]` of column and weight.
    Sparse { starts: Vec<u32>, entries: Vec<(u32, T)> },
}

/// All trees of an ensemble: first every branch, tree by tree from its root down, then every leaf.
#[derive(Debug)]
pub(super) struct Forest<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) branches: u32,
    pub(super) trees: Vec<Tree>,
    pub(super) weights: Weights<T>,
    /// The targets that any leaf has a weight for, in ascending order: the columns.
    pub(super) columns: Vec<u32>,
}

/// Columns up to which each leaf has room for all: few enough to be added without asking which.
const DENSE_COLUMNS_MAX: usize = 4;

impl<T: Real> Forest<T> {
    /// Lays out checked trees. `sums`: weights of a row are added up, so that a weight of zero may
    /// stand where there is none.
    pub(super) fn plant(grown: &Grown, sums: bool) -> TractResult<Forest<T>> {
        let depths = grown.depths(&|_| "a node".to_owned())?.branches;
        let mut plan = Plan::new(grown);
        for root in &grown.roots {
            plan.tree(*root);
        }
        let total = plan.nodes + grown.leaves.len();
        ensure!(total < NAN_IS_AT_MOST as usize, "the trees have {total} nodes, more than fit");
        let branches = plan.nodes as u32;
        let leaf = |leaf: usize| branches + plan.leaves[leaf] as u32;
        let at = |step: Step| match step {
            Step::Branch(branch) => plan.starts[branch] as u32,
            Step::Leaf(index) => leaf(index),
        };
        let blank = Node { threshold: T::ZERO, feature: 0, next: [0, 0] };
        let mut nodes = vec![blank; total];
        for (index, branch) in grown.branches.iter().enumerate() {
            let start = plan.starts[index];
            lay(&mut nodes, start, branch, at(branch.yes), at(branch.no));
        }
        for (index, node) in nodes.iter_mut().enumerate().skip(branches as usize) {
            node.next = [index as u32; 2];
        }
        let trees = grown.roots.iter().map(|root| {
            let (shortest, longest) = match root {
                Step::Branch(branch) => depths[*branch].unwrap_or_default(),
                Step::Leaf(_) => (0, 0),
            };
            // A question may have become several nodes.
            let longest = longest.saturating_mul(plan.longest_question);
            Tree { root: at(*root), shortest, longest }
        });
        let trees: Vec<Tree> = trees.collect();
        let (columns, weights) = weigh(grown, &plan.order, sums);
        Ok(Forest { nodes, branches, trees, weights, columns })
    }
}

/// Where each branch and each leaf comes to stand.
struct Plan<'g> {
    grown: &'g Grown,
    starts: Vec<usize>,
    leaves: Vec<usize>,
    /// The leaves in their new order.
    order: Vec<usize>,
    nodes: usize,
    longest_question: u32,
    queue: std::collections::VecDeque<Step>,
    seen: (Vec<bool>, Vec<bool>),
}

impl<'g> Plan<'g> {
    fn new(grown: &'g Grown) -> Plan<'g> {
        let (branches, leaves) = (grown.branches.len(), grown.leaves.len());
        Plan {
            grown,
            starts: vec![0; branches],
            leaves: vec![0; leaves],
            order: Vec::with_capacity(leaves),
            nodes: 0,
            longest_question: 1,
            queue: std::collections::VecDeque::new(),
            seen: (vec![false; branches], vec![false; leaves]),
        }
    }

    /// Level by level: the first steps of all rows meet in the same few lines of the cache.
    fn tree(&mut self, root: Step) {
        self.queue.push_back(root);
        while let Some(step) = self.queue.pop_front() {
            match step {
                Step::Branch(branch) if !std::mem::replace(&mut self.seen.0[branch], true) => {
                    let Branch { question, yes, no, .. } = &self.grown.branches[branch];
                    self.starts[branch] = self.nodes;
                    let nodes = length(question);
                    self.nodes += nodes;
                    self.longest_question = self.longest_question.max(nodes as u32);
                    self.queue.extend([*yes, *no]);
                }
                Step::Leaf(leaf) if !std::mem::replace(&mut self.seen.1[leaf], true) => {
                    self.leaves[leaf] = self.order.len();
                    self.order.push(leaf);
                }
                Step::Branch(_) | Step::Leaf(_) => {}
            }
        }
    }
}

/// Nodes that a question takes: a value is equal when it is at most this, and not at most the
/// number below.
fn length(question: &Question) -> usize {
    match question {
        Question::AtMost(_) | Question::Below(_) | Question::AtLeast(_) | Question::Above(_) => 1,
        Question::Equal(_) | Question::NotEqual(_) => 2,
        Question::Member(values) => 2 * values.len(),
    }
}

fn lay<T: Real>(nodes: &mut [Node<T>], start: usize, branch: &Branch, yes: u32, no: u32) {
    let missing = branch.missing_is_yes;
    let mut put = |place: usize, threshold: T, next: [u32; 2], nan_is_at_most: bool| {
        let flag = if nan_is_at_most { NAN_IS_AT_MOST } else { 0 };
        nodes[place] = Node { threshold, feature: branch.feature | flag, next };
    };
    // NaN is not at most anything, nor at least; a flag says where it takes the other way.
    match &branch.question {
        Question::AtMost(value) => put(start, T::of(*value), [yes, no], missing),
        Question::Below(value) => put(start, T::of(*value).below(), [yes, no], missing),
        Question::AtLeast(value) | Question::Above(value) if value.is_nan() => {
            put(start, T::NAN, [yes, no], missing);
        }
        Question::AtLeast(value) => put(start, T::of(*value).below(), [no, yes], !missing),
        Question::Above(value) => put(start, T::of(*value), [no, yes], !missing),
        Question::Equal(value) => {
            equal(&mut put, start, T::of(*value), yes, no, missing);
        }
        // NaN is equal to nothing: unlike to every value, and so a yes either way.
        Question::NotEqual(value) => {
            equal(&mut put, start, T::of(*value), no, yes, false);
        }
        Question::Member(values) => {
            for (index, value) in values.iter().enumerate() {
                let place = start + 2 * index;
                let last = index + 1 == values.len();
                let other = if last { no } else { place as u32 + 2 };
                equal(&mut put, place, T::of(*value), yes, other, missing);
            }
        }
    }
}

fn equal<T: Real>(
    put: &mut impl FnMut(usize, T, [u32; 2], bool),
    start: usize,
    value: T,
    equal: u32,
    other: u32,
    nan_is_equal: bool,
) {
    put(start, value, [start as u32 + 1, other], nan_is_equal);
    put(start + 1, value.below(), [other, equal], false);
}

/// The columns, and the weights of the leaves in this order.
fn weigh<T: Real>(grown: &Grown, order: &[usize], sums: bool) -> (Vec<u32>, Weights<T>) {
    let mut columns: Vec<u32> = grown.leaves.iter().flatten().map(|(target, _)| *target).collect();
    columns.sort_unstable();
    columns.dedup();
    let column = |target: u32| columns.binary_search(&target).unwrap_or(0);
    let entries: usize = grown.leaves.iter().map(Vec::len).sum();
    let room = columns.len() * grown.leaves.len();
    let full = columns.len() <= DENSE_COLUMNS_MAX || 2 * entries >= room;
    if sums && full && always_hit(grown, columns.len(), &column) {
        let mut weights = vec![T::ZERO; room];
        for (row, leaf) in order.iter().enumerate() {
            for (target, weight) in &grown.leaves[*leaf] {
                weights[row * columns.len() + column(*target)] += T::of(*weight);
            }
        }
        return (columns, Weights::Dense(weights));
    }
    let mut starts = vec![0];
    let mut listed: Vec<(u32, T)> = Vec::with_capacity(entries);
    for leaf in order {
        let weights = grown.leaves[*leaf].iter();
        listed.extend(weights.map(|(target, weight)| (column(*target) as u32, T::of(*weight))));
        starts.push(listed.len() as u32);
    }
    (columns, Weights::Sparse { starts, entries: listed })
}

/// Whether each column gets a weight from every row: a classifier answers another way for a class
/// that no leaf spoke of.
fn always_hit(grown: &Grown, columns: usize, column: &dyn Fn(u32) -> usize) -> bool {
    let mut hit = vec![false; columns];
    let mut seen = vec![u32::MAX; grown.branches.len()];
    let mut path = Vec::new();
    for (tree, root) in grown.roots.iter().enumerate() {
        let mut counts = vec![0_usize; columns];
        let mut leaves = 0;
        path.push(*root);
        while let Some(step) = path.pop() {
            match step {
                Step::Branch(branch) if seen[branch] != tree as u32 => {
                    seen[branch] = tree as u32;
                    path.extend([grown.branches[branch].yes, grown.branches[branch].no]);
                }
                Step::Branch(_) => {}
                Step::Leaf(leaf) => {
                    leaves += 1;
                    let mut columns: Vec<usize> =
                        grown.leaves[leaf].iter().map(|(target, _)| column(*target)).collect();
                    columns.sort_unstable();
                    columns.dedup();
                    columns.into_iter().for_each(|column| counts[column] += 1);
                }
            }
        }
        for (hit, count) in hit.iter_mut().zip(counts) {
            *hit |= count == leaves;
        }
    }
    hit.into_iter().all(|hit| hit)
}
