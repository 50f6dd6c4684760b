//! Rollouts: one publish to many edges in waves, halted when too many fail, and what each edge is to run.

// A rollout moves when somebody speaks: an edge by its report, a person by asking. No edge could take
// anything in a moment in which none reports, so no thread waits for one.
//
// ```text
// report ─contact─▶ assignment told ─▶ advance ─▶ failures over the limit ─▶ halted, sent back
//                                        └─▶ wave over, or its time ─▶ next wave, or done
// ```

mod contact;
mod plan;
mod progress;

pub(in crate::ops) use contact::contact;
pub(in crate::ops) use plan::{Amount, Plan};
pub(in crate::ops) use progress::{advance, end, standing};

#[cfg(test)]
mod tests;
