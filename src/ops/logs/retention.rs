//! How long logs are kept: so many days, and so many bytes; whole segments go, the oldest first.

use super::segments::Segments;
use crate::exit;
use crate::logging::AT_LOGS;
use crate::ops::settings::LogsKept;
use crate::ops::store::{LogSegment, Store};

const DAY_MS: i64 = 86_400_000;

impl LogsKept {
    /// Those segments that have had their time, or are over what may be kept.
    fn gone(self, segments: &[LogSegment], now_ms: i64) -> Vec<LogSegment> {
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        // A segment is written for a day.
        let kept_ms = (i64::from(self.days) + 1).saturating_mul(DAY_MS);
        let has_ended = |segment: &LogSegment| segment.created_ms.saturating_add(kept_ms) < now_ms;
        let mut gone = Vec::new();
        for segment in segments {
            if has_ended(segment) || self.bytes < bytes {
                bytes -= segment.bytes;
                gone.push(segment.clone());
            }
        }
        gone
    }

    /// Takes away what is not kept any more. What fails is logged, and tried again the next time.
    pub(super) fn keep(self, store: &Store, segments: &mut Segments, now_ms: i64) {
        let known = match store.read(|tx| tx.log_segments()) {
            Ok(known) => known,
            Err(error) => return log::error!(target: AT_LOGS, "msg={:?}", exit::chain(&error)),
        };
        for segment in self.gone(&known, now_ms) {
            let LogSegment { id, pipeline, day, .. } = &segment;
            match store.write(|tx| tx.remove_log_segment(*id)) {
                Ok(totals) => log::info!(
                    target: AT_LOGS,
                    "pipeline={pipeline} day={day} records={} bytes={} msg=\"logs have had their time\"",
                    totals.records,
                    totals.bytes
                ),
                Err(error) => {
                    log::error!(target: AT_LOGS, "msg={:?}", exit::chain(&error));
                    continue;
                }
            }
            if let Err(error) = segments.remove(&segment) {
                log::error!(target: AT_LOGS, "msg={:?}", exit::chain(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(days_and_bytes: &[(i64, u64)]) -> Vec<LogSegment> {
        let segment = |(id, (day, bytes)): (usize, &(i64, u64))| LogSegment {
            id: id as i64,
            pipeline: 1,
            day: String::new(),
            bytes: *bytes,
            created_ms: day * DAY_MS,
        };
        days_and_bytes.iter().enumerate().map(segment).collect()
    }

    fn gone(kept: LogsKept, segments: &[LogSegment], day: i64) -> Vec<i64> {
        kept.gone(segments, day * DAY_MS).iter().map(|segment| segment.id).collect()
    }

    #[test]
    fn a_segment_stays_for_all_the_days_after_its_own() {
        let (segments, kept) = (
            segments(&[(0, 1), (3, 1)]),
            LogsKept { days: 7, bytes: 100, edge_bytes_per_s: 8 << 20 },
        );
        assert_eq!(gone(kept, &segments, 8), [0_i64; 0]);
        assert_eq!(gone(kept, &segments, 9), [0]);
        assert_eq!(gone(kept, &segments, 12), [0, 1]);
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let segments = segments(&[(0, 60), (1, 30), (2, 30)]);
        assert_eq!(
            gone(LogsKept { days: 99, bytes: 100, edge_bytes_per_s: 8 << 20 }, &segments, 3),
            [0]
        );
        assert_eq!(
            gone(LogsKept { days: 99, bytes: 29, edge_bytes_per_s: 8 << 20 }, &segments, 3),
            [0, 1, 2]
        );
        assert_eq!(
            gone(LogsKept { days: 99, bytes: 120, edge_bytes_per_s: 8 << 20 }, &segments, 3),
            [0_i64; 0]
        );
    }
}
