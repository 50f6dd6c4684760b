//! Tree ensembles of every version of the domain: read, checked, laid out for the cache, and scored in blocks.
//!
//! ```text
//! attributes ─ listed (versions 1, 3) ─┐                       ┌─ verdict (a classifier's answer)
//!                                      ├─▶ Grown ─▶ Forest ─▶ walk
//! attributes ─ tensors (version 5) ────┘  (checked)            └─ sums (a regressor's)
//! ```

mod ensemble;
mod forest;
mod grown;
mod listed;
mod tensors;
#[cfg(test)]
mod tests;
mod verdict;
mod walk;

pub(super) use ensemble::{classifier, regressor, tree_ensemble};
