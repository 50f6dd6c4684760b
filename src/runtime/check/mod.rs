//! Looks a model over before tract is given it, and tells everything that is wrong at once.
//!
//! ```text
//! messages ──survey──▶ sound names, data, attributes ──parse──▶ graph ──analysis──▶ shapes in bounds
//! ```
//! tract takes much on trust: some faults make it panic, some make it fill the memory, and some
//! give answers that mean nothing. What can be seen beforehand is refused here, by name.

mod analysis;
mod attributes;
mod constants;
mod forms;
mod memory;
mod names;
mod shapes;
mod survey;
mod tensors;

pub use analysis::TENSOR_BYTES_MAX;
pub use memory::free_memory_bytes;
pub use survey::{INITIALISERS_MAX, NAME_BYTES_MAX, NODES_MAX};

pub(super) use analysis::{sized, sized_if};
pub use memory::Shortage;
pub(super) use shapes::{Axes, misfits};
pub(super) use survey::survey;
