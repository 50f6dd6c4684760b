//! The door to tract: loads ONNX files, keeps one plan for each shape, and runs rows through them.
//!
//! ```text
//! file ──load──▶ Model ──bind(table)──▶ runs ──plan for the shape──▶ outputs, joined
//!                  │
//!                  └─ the steps of a pipeline: Flow
//! ```
//! No tract type leaves this room, and no panic of tract does either: each call into it stands
//! inside `error::contained`.

mod apart;
mod bind;
mod blocked;
mod cache;
mod census;
mod check;
mod deadline;
mod error;
mod flow;
mod kernels;
mod late;
mod left;
mod load;
mod onnx;
mod operators;
mod packing;
mod plan;
mod pool;
mod products;
mod profile;
mod run;
mod spent;
mod values;
mod whole;

pub use blocked::{families_in_use, integer_kernels_in_use, kernels_in_use, use_kernels};
pub use cache::Cache;
pub use census::{Census, census};
pub use check::free_memory_bytes;
pub use check::{INITIALISERS_MAX, NAME_BYTES_MAX, NODES_MAX, Shortage, TENSOR_BYTES_MAX};
pub use deadline::Deadline;
pub use error::{LoadError, RunError, Unsupported};
pub use flow::{Flow, FlowError, Link, Outcome, ProveError, Shadow, Split};
pub use kernels::{Families, NoFamily};
pub use load::Model;
pub use onnx::{Beside, FILE_BYTES_MAX, SIDE_FILES_MAX};
pub use pool::{Pool, PoolError, Turns};
pub use profile::{Part, Peak, Work, peak, profiled};

#[cfg(test)]
mod tests;
