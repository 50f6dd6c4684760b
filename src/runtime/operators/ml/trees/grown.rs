//! Trees as a model file describes them, checked: each step leads to a node, and no path is endless.

use tract_onnx::tract_core::internal::*;

/// What a branch asks of its feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Equal(f64),
    NotEqual(f64),
    Member(Vec<f64>),
}

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Branch(usize),
    Leaf(usize),
}

/// A node that asks.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) feature: u32,
    pub(super) question: Question,
    /// A value that is not there (NaN) goes the way of `yes`.
    pub(super) missing_is_yes: bool,
    pub(super) yes: Step,
    pub(super) no: Step,
}

/// All trees of an ensemble. A node may be reached from several others: converters write a
/// question for membership as a row of branches with one common child.
#[derive(Debug, Clone, Default)]
pub(super) struct Grown {
    pub(super) roots: Vec<Step>,
    pub(super) branches: Vec<Branch>,
    /// For each leaf what it adds to which target.
    pub(super) leaves: Vec<Vec<(u32, f64)>>,
}

/// A node's number in a message, for the person who made the model.
pub(super) type NameOf<'n> = &'n dyn Fn(Step) -> String;

/// The most steps from a root to a leaf: a question of `NaN` cannot be longer than the nodes, and
/// boosted trees are a few dozen deep, grown ones some thousand at the very worst.
pub(super) const STEPS_MAX: u32 = 100_000;

/// The largest feature number, so that it and a flag fit into 32 bits.
pub(super) const FEATURE_MAX: i64 = (1 << 31) - 1;

impl Grown {
    /// Refuses cycles, nodes that no root leads to, and targets out of range; a step that leads
    /// nowhere was refused while the file was read.
    pub(super) fn check(&self, targets: usize, name: NameOf<'_>) -> TractResult<()> {
        ensure!(!self.roots.is_empty(), "there is no tree");
        for (leaf, weights) in self.leaves.iter().enumerate() {
            if let Some((target, _)) =
                weights.iter().find(|(target, _)| *target as usize >= targets)
            {
                let leaf = name(Step::Leaf(leaf));
                bail!("{leaf} gives a weight to target {target}, of {targets}");
            }
        }
        let reached = self.depths(name)?;
        if let Some(lost) = reached.branches.iter().position(Option::is_none) {
            bail!("{} is reached from no root", name(Step::Branch(lost)));
        }
        if let Some(lost) = reached.leaves.iter().position(|reached| !reached) {
            bail!("{} is reached from no root", name(Step::Leaf(lost)));
        }
        Ok(())
    }

    /// The shortest and the longest way from each branch to a leaf, by a walk that finds cycles.
    pub(super) fn depths(&self, name: NameOf<'_>) -> TractResult<Reached> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Unseen,
            Open,
            Done,
        }
        let mut state = vec![State::Unseen; self.branches.len()];
        let mut branches: Vec<Option<(u32, u32)>> = vec![None; self.branches.len()];
        let mut leaves = vec![false; self.leaves.len()];
        // A stack of our own: the depth of a tree comes from a file.
        let mut path: Vec<usize> = Vec::new();
        // Each branch has one tree, so that all trees together are no larger than the file.
        let mut owner = vec![usize::MAX; self.branches.len()];
        for (tree, root) in self.roots.iter().enumerate() {
            match root {
                Step::Leaf(leaf) => leaves[*leaf] = true,
                Step::Branch(branch) => {
                    if state[*branch] != State::Unseen {
                        bail!("{} belongs to two trees", name(*root));
                    }
                    path.push(*branch);
                }
            }
            while let Some(branch) = path.last().copied() {
                let Branch { yes, no, .. } = &self.branches[branch];
                if state[branch] == State::Done {
                    path.pop();
                    continue;
                }
                state[branch] = State::Open;
                owner[branch] = tree;
                let mut ways: [(u32, u32); 2] = [(0, 0); 2];
                let mut waiting = false;
                for (way, step) in ways.iter_mut().zip([yes, no]) {
                    match step {
                        Step::Leaf(leaf) => leaves[*leaf] = true,
                        Step::Branch(next) => match (state[*next], branches[*next]) {
                            (State::Done, _) if owner[*next] != tree => {
                                bail!("{} belongs to two trees", name(Step::Branch(*next)))
                            }
                            (State::Done, Some(depth)) => *way = depth,
                            (State::Open, _) => {
                                let branch = name(Step::Branch(branch));
                                bail!("{branch} leads back to where it is reached from: a cycle")
                            }
                            (State::Done | State::Unseen, _) => {
                                path.push(*next);
                                waiting = true;
                            }
                        },
                    }
                }
                if waiting {
                    continue;
                }
                let shortest = ways[0].0.min(ways[1].0) + 1;
                let longest = ways[0].1.max(ways[1].1) + 1;
                ensure!(
                    longest <= STEPS_MAX,
                    "a tree is deeper than the {STEPS_MAX} allowed steps"
                );
                branches[branch] = Some((shortest, longest));
                state[branch] = State::Done;
                path.pop();
            }
        }
        Ok(Reached { branches, leaves })
    }
}

/// What the roots lead to.
pub(super) struct Reached {
    /// The steps of the shortest and the longest way to a leaf.
    pub(super) branches: Vec<Option<(u32, u32)>>,
    pub(super) leaves: Vec<bool>,
}
