//! A journal's frames: inferences gathered into Arrow batches between checksums, and read back.
//!
//! ```text
//! Entry ─Run─▶ Gathered ─▶ Arrow stream (zstd) ─frame─▶ bytes ─frames─▶ Frame ─Rows─▶ JSON or Arrow file
//! ```
//! The engine writes them, the ops center keeps them as they came, and both read them here.

mod alike;
mod column;
mod frame;
mod gathered;
mod hashed;
mod header;
mod log;
mod packed;
mod rows;
mod summary;
#[cfg(test)]
mod tests;

pub use frame::{
    CHECKSUM_BYTES, FRAME_BYTES_MAX, Frame, FrameError, Frames, HEADER_BYTES_MAX, MAGIC,
    PAYLOAD_BYTES_MAX, PREFIX_BYTES, encode, first, frame_bytes, frames,
};
pub use gathered::{Alike, Entry, GatherError, Gathered, Origin, Stamp};
pub use hashed::hashed;
pub use header::{Batch, Header, Loss, LossReason, SEQUENCE_MAX};
pub use log::{ArrowLog, JsonLog, Shown};
#[cfg(feature = "ops")]
pub(super) use log::{grouped, member, stored};
pub use packed::Run;
pub use rows::Rows;
#[cfg(feature = "ops")]
pub use summary::bucket_told;
pub use summary::{Summary, bucket};
