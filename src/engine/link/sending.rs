//! Sending the journal: batch after batch in order, each until the ops center has it for good.

use super::Shared;
use super::keys::Keys;
use super::line::{Line, LineError, Of, Sent};
use super::worker::RETRY;
use crate::engine::journal::{Batch, Journal};
use crate::fleet::{Code, LOG_BATCH_BYTES_MAX, LOG_CONTENT_TYPE, LOGS_PATH, LogsAnswer};
use crate::http::client::Patience;
use crate::logging::{AT_LINK, quoted};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a batch where nothing else is said: a slow mobile link takes seconds for it, and little
/// is sent again when it breaks.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes of the smallest batch, however slow the pace: several frames go together.
const BATCH_BYTES_MIN: usize = 64 << 10;

/// For how long one batch may take the whole link when a pace is set; then it is left alone until the
/// pace is kept.
const BURST: Duration = Duration::from_secs(4);

/// How long nothing to send is waited for before it is seen whether the engine stops.
const LOOK: Duration = Duration::from_millis(500);

const _: () = assert!(BATCH_BYTES <= LOG_BATCH_BYTES_MAX, "an ops center takes such a batch");

/// Whoever has joined, and may send.
#[derive(Clone)]
pub(super) struct Speaker {
    pub(super) line: Arc<Line>,
    pub(super) keys: Arc<Keys>,
    pub(super) of: Of,
}

/// Sends what is in the journal until the engine stops. What was not acknowledged is sent again, by the
/// next process too: the ops center knows by its numbers what it has.
pub(super) fn run(shared: &Shared, journal: &Journal, bytes_per_second: Option<u64>) {
    let batch_bytes = batch_bytes(bytes_per_second);
    let (mut failures, mut last_failure) = (0_u32, String::new());
    while !shared.is_leaving() {
        if !journal.wait(LOOK) {
            continue;
        }
        let Some(speaker) = shared.speaker(LOOK) else { continue };
        let Some(batch) = journal.next_batch(batch_bytes) else {
            // It was taken out meanwhile, or is not read yet.
            shared.pause(LOOK);
            continue;
        };
        let begun = Instant::now();
        match sent(&speaker, &batch) {
            Ok(answer) if answer.journal == batch.journal && answer.next > batch.first => {
                failures = 0;
                last_failure.clear();
                journal.acknowledge(answer.journal, answer.next);
                let due = bytes_per_second.map(|pace| due(batch.bytes.len(), pace));
                shared.pause(due.unwrap_or_default().saturating_sub(begun.elapsed()));
            }
            Ok(answer) => {
                journal.lacks(answer.journal, answer.next);
                failures = failures.saturating_add(1);
                let sentence = format!(
                    "the ops center has the journal up to {} and was sent it from {} on: look at its log",
                    answer.next, batch.first
                );
                complain(&mut last_failure, sentence);
                shared.pause(RETRY.wait_after(failures, None));
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if error.code().is_some_and(wants_a_report) {
                    shared.silence(&speaker);
                }
                complain(&mut last_failure, error.sentence());
                shared.pause(RETRY.wait_after(failures, error.wait()));
            }
        }
    }
}

fn sent(speaker: &Speaker, batch: &Batch) -> Result<LogsAnswer, LineError> {
    let sent = Sent {
        path: LOGS_PATH,
        content_type: LOG_CONTENT_TYPE,
        body: &batch.bytes,
        patience: Patience::Commit,
    };
    speaker.line.ask(&speaker.keys, speaker.of, &sent)
}

/// Whether a report is what has to come first, or what finds out what is the matter.
fn wants_a_report(code: Code) -> bool {
    code.is_final() || code == Code::ReportFirst || code == Code::SayAgain
}

fn complain(last: &mut String, sentence: String) {
    let line = format!("{} msg=\"the journal waits on this device\"", quoted("cause", &sentence));
    if *last == sentence {
        log::debug!(target: AT_LINK, "{line}");
    } else {
        log::warn!(target: AT_LINK, "{line}");
        *last = sentence;
    }
}

fn batch_bytes(bytes_per_second: Option<u64>) -> usize {
    let Some(pace) = bytes_per_second else { return BATCH_BYTES };
    let burst = usize::try_from(pace.saturating_mul(BURST.as_secs())).unwrap_or(BATCH_BYTES);
    burst.clamp(BATCH_BYTES_MIN, BATCH_BYTES)
}

/// How long so many bytes take at that pace.
fn due(bytes: usize, bytes_per_second: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_over_batches_that_are_worth_a_request() {
        assert_eq!(batch_bytes(None), BATCH_BYTES);
        assert_eq!(batch_bytes(Some(1 << 10)), BATCH_BYTES_MIN);
        assert_eq!(batch_bytes(Some(64 << 10)), 256 << 10);
        assert_eq!(batch_bytes(Some(u64::MAX)), BATCH_BYTES);
        assert_eq!(due(256 << 10, 64 << 10), Duration::from_secs(4));
    }
}
