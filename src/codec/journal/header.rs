//! What a frame of a journal says about itself: records, a loss, or a summary, and of which place.

use super::frame::FrameError;
use crate::fleet::Id;
use serde::{Deserialize, Serialize};

/// The greatest sequence number: beyond it JSON's readers lose digits (RFC 8259, section 6).
pub const SEQUENCE_MAX: u64 = (1 << 53) - 1;

/// Characters of a name in a header, those of a pipeline's.
const NAME_CHARS_MAX: usize = crate::pipeline::NAME_CHARS_MAX;

/// Bytes of the other texts: a digest has 71.
const TEXT_BYTES_MAX: usize = 128;

/// Rows in one frame: no request brings more.
const ROWS_MAX: u64 = crate::codec::ROWS_MAX as u64;

/// The header of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Header {
    /// Inferences; the payload is an Arrow stream of one batch.
    Records(Batch),
    /// Inferences of which only counts are kept; the payload is JSON.
    Summary(Batch),
    /// Inferences that are not here; without payload.
    Loss(Loss),
}

/// Inferences of one pipeline that lie in one frame, without a gap in their numbers: what a policy
/// leaves out has none, and what was lost has its numbers in a loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The journal that they are numbered in.
    pub journal: Id,
    /// The number of the first inference, from 1 on.
    pub first: u64,
    /// How many inferences these are: the last has the number `first + count - 1`.
    pub count: u64,
    /// How many rows they had together.
    pub rows: u64,
    /// In how many rows a validation failed.
    pub failures: u64,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its version, a UUID; empty where the artifact does not tell it.
    pub version: String,
    /// The digest of the artifact's manifest.
    pub digest: String,
    /// The version of the engine.
    pub engine: String,
    /// The boot of the device during which this was, where the kernel tells it.
    pub boot: Option<Id>,
    /// When the first request was read: milliseconds since the Unix epoch by the device's clock.
    pub first_ms: u64,
    /// The same of the last.
    pub last_ms: u64,
    /// The same of the first by a clock that only goes forward from the start of the device.
    pub first_mono_ms: u64,
    /// The same of the last.
    pub last_mono_ms: u64,
    /// Names the columns and their types: equal where those are.
    pub schema: String,
}

/// Inferences that were answered and are not in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The journal that they are numbered in.
    pub journal: Id,
    /// The number of the first of them.
    pub first: u64,
    /// How many; 0 when that is not known, as after a crash, and then they have no numbers, and when
    /// this marks nothing but a beginning.
    pub count: u64,
    /// Why.
    pub reason: LossReason,
    /// The boot of the device during which it was noticed.
    pub boot: Option<Id>,
    /// When it was noticed, by the device's clock: milliseconds since the Unix epoch.
    pub ms: u64,
    /// The same by a clock that only goes forward from the start of the device.
    pub mono_ms: u64,
}

/// Why an inference is not in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossReason {
    /// The journal was as large as it may be, and the oldest went.
    Cap,
    /// The disk took nothing, or gave back something else.
    Disk,
    /// The program or the device stopped before it was written.
    Crash,
    /// More came than could be written.
    Queue,
    /// One alone was larger than a frame may be.
    Size,
    /// Nothing is lost: the mark, of no inference, of a name that begins with a start after a clean stop.
    Start,
}

impl LossReason {
    /// All that inferences are lost for, in the order of the enum.
    pub const ALL: [LossReason; 5] =
        [LossReason::Cap, LossReason::Disk, LossReason::Crash, LossReason::Queue, LossReason::Size];

    /// The word in headers and metrics.
    pub fn word(self) -> &'static str {
        match self {
            LossReason::Cap => "cap",
            LossReason::Disk => "disk",
            LossReason::Crash => "crash",
            LossReason::Queue => "queue",
            LossReason::Size => "size",
            LossReason::Start => "start",
        }
    }
}

impl Header {
    /// The journal that the frame is part of.
    pub fn journal(&self) -> Id {
        match self {
            Header::Records(batch) | Header::Summary(batch) => batch.journal,
            Header::Loss(loss) => loss.journal,
        }
    }

    /// The number of the first inference.
    pub fn first(&self) -> u64 {
        match self {
            Header::Records(batch) | Header::Summary(batch) => batch.first,
            Header::Loss(loss) => loss.first,
        }
    }

    /// How many inferences the frame stands for.
    pub fn count(&self) -> u64 {
        match self {
            Header::Records(batch) | Header::Summary(batch) => batch.count,
            Header::Loss(loss) => loss.count,
        }
    }

    /// When the first of them was, or was noticed to be lost, by the device's clock: milliseconds
    /// since the Unix epoch.
    pub fn first_ms(&self) -> u64 {
        match self {
            Header::Records(batch) | Header::Summary(batch) => batch.first_ms,
            Header::Loss(loss) => loss.ms,
        }
    }

    /// The number after the last inference.
    pub fn next(&self) -> u64 {
        self.first().saturating_add(self.count())
    }

    /// Refuses what no engine writes.
    pub(super) fn check(&self, payload_bytes: usize) -> Result<(), FrameError> {
        let wrong = |what| Err(FrameError::Facts { what });
        if self.first() == 0 || SEQUENCE_MAX < self.first() || SEQUENCE_MAX < self.next() {
            return wrong("a sequence number that is not from 1 to 2^53");
        }
        match self {
            Header::Records(batch) | Header::Summary(batch) => {
                if batch.count == 0 || batch.rows == 0 || ROWS_MAX < batch.rows {
                    return wrong("a batch without records, or with too many");
                }
                if batch.rows < batch.count || batch.rows < batch.failures {
                    return wrong("a batch of fewer rows than records or failures");
                }
                if payload_bytes == 0 {
                    return wrong("a batch without payload");
                }
                if NAME_CHARS_MAX < batch.pipeline.chars().count()
                    || batch.pipeline.chars().any(char::is_control)
                {
                    return wrong("a pipeline's name that no pipeline has");
                }
                let Batch { version, digest, engine, schema, .. } = batch;
                check_text(digest)?;
                check_text(engine)?;
                check_text(schema)?;
                // As a pipeline's name: whatever its author calls a version.
                if NAME_CHARS_MAX < version.chars().count() {
                    return wrong("a version that is too long");
                }
                Ok(())
            }
            Header::Loss(_) if payload_bytes != 0 => wrong("a loss with a payload"),
            Header::Loss(loss) if loss.reason == LossReason::Start && loss.count != 0 => {
                wrong("a start that lost something")
            }
            Header::Loss(_) => Ok(()),
        }
    }
}

fn check_text(text: &str) -> Result<(), FrameError> {
    if text.len() <= TEXT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(FrameError::Facts { what: "a text that is too long, or not of plain letters and digits" })
}
