//! How long an edge's inferences took, part by part of a time, told from a few frames of each.

use super::Logs;
use super::reading::{ReadError, Reader};
use crate::ops::store::StoreError;

/// Frames of each part that are read: an edge sends one every few seconds, and a page has no time for all.
const FRAMES_PER_PART: i64 = 4;

/// Bytes of all frames that are read, as they lie on the disk.
const BYTES_MAX: u64 = 4 << 20;

/// How long inferences of a part took, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Latency {
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// All but one in a hundred did not.
    pub p99_ns: u64,
    /// Of so many rows.
    pub rows: usize,
}

/// How long they took, from that time on, in so many parts of so many milliseconds.
///
/// # Errors
/// When records or files cannot be read.
pub(in crate::ops) fn latencies(
    logs: &Logs,
    edge: &str,
    (from_ms, part_ms): (i64, i64),
    parts: usize,
) -> Result<Vec<Option<Latency>>, ReadError> {
    let frames = logs.store.read(|tx| {
        let of = |part: usize| {
            let begin = from_ms + part_ms * part as i64;
            tx.edge_frames(edge, (begin, begin + part_ms), FRAMES_PER_PART)
        };
        (0..parts).map(of).collect::<Result<Vec<_>, StoreError>>()
    })?;
    let mut reader: Option<(i64, Reader)> = None;
    let mut left = BYTES_MAX;
    let mut found = Vec::with_capacity(parts);
    for part in frames {
        let mut took: Vec<u64> = Vec::new();
        for (pipeline, frame) in part {
            // Each part has something of one frame at least, as long as any has.
            if left < frame.bytes {
                break;
            }
            left -= frame.bytes;
            let (_, reader) = match &mut reader {
                Some(known) if known.0 == pipeline => known,
                other => other.insert((pipeline, Reader::new(&logs.root, pipeline))),
            };
            if let Some(batch) = reader.read(&frame)? {
                took.extend(batch.elapsed_ns());
            }
        }
        took.sort_unstable();
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied();
        let latency = at(0.5).zip(at(0.99));
        found.push(latency.map(|(p50_ns, p99_ns)| Latency { p50_ns, p99_ns, rows: took.len() }));
    }
    Ok(found)
}
