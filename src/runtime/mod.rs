//! The door to tract: loads ONNX files, keeps one plan for each shape, and runs rows through them.
//!
//! ```text
//! file ──load──▶ Model ──bind(table)──▶ runs ──plan for the shape──▶ outputs, joined
//!                  │
//!                  └─ several in turn: Chain
//! ```
//! No tract type leaves this room, and no panic of tract does either: each call into it stands
//! inside `error::contained`.

mod bind;
mod chain;
mod check;
mod deadline;
mod error;
mod late;
mod load;
mod onnx;
mod operators;
mod plan;
mod run;
mod values;
mod whole;

pub use chain::{Chain, Link, Outcome};
pub use check::{INITIALISERS_MAX, NAME_BYTES_MAX, NODES_MAX, TENSOR_BYTES_MAX};
pub use deadline::Deadline;
pub use error::{LoadError, RunError, Unsupported};
pub use load::Model;
pub use onnx::FILE_BYTES_MAX;
pub use run::{Pool, PoolError};

#[cfg(test)]
mod tests;
