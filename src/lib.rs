//! Potoroo: a pipeline of ONNX models is published once and answers on many small boards.
//!
//! The flow on one screen. A person publishes:
//!
//! ```text
//! pipeline file ─▶ ops::publish ─▶ runtime (does each model load?) ─▶ registry (push) or layout
//! ```
//!
//! A device serves:
//!
//! ```text
//! environment ─▶ engine::config ─▶ registry (pull, verify) ─▶ engine::store ─▶ runtime (load, warm up)
//!                                                                          │
//! sensor ─▶ http::server ─▶ codec (bytes to table) ─▶ runtime (rows to outputs) ─▶ codec ─▶ sensor
//! ```
//!
//! Rooms use only rooms below them. Words know nothing of the world: [`tensor`], [`oci`],
//! [`pipeline`], [`fleet`]. Hands touch it: [`allocator`], [`clock`], [`logging`], [`exit`], [`disk`],
//! [`http`], [`supervisor`].
//! Crafts turn one into the other: [`codec`], [`registry`], [`runtime`]. Programs put them in
//! order: `engine` and `ops`, which never use each other. A test reads the sources and holds it.

pub mod fleet;
pub mod oci;
pub mod pipeline;
pub mod tensor;

pub mod allocator;
pub mod clock;
pub mod disk;
pub mod exit;
pub mod http;
pub mod logging;
pub mod supervisor;

pub mod codec;
pub mod registry;
pub mod runtime;

#[cfg(test)]
mod random;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "ops")]
pub mod ops;
