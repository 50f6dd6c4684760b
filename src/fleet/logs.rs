//! Sending a journal: frames as they lie on the device's disk, and how far the ops center has them.

use super::Id;
use serde::{Deserialize, Serialize};

/// The content type of frames, one after another.
pub const LOG_CONTENT_TYPE: &str = "application/vnd.potoroo.journal.v1";

/// The most bytes of frames in one request: a mobile link takes a minute for so many.
pub const LOG_BATCH_BYTES_MAX: usize = 4 << 20;

/// The answer to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsAnswer {
    /// The journal that the frames are of.
    pub journal: Id,
    /// The first sequence number that the ops center does not have for good.
    pub next: u64,
}
