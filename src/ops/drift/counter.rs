//! The counter: a thread that counts each frame of the logs once for each baseline of its pipeline.

use super::baseline::Baseline;
use super::count::Counts;
use super::make::DriftError;
use super::report::HOUR_MS;
use crate::codec::logs::LogBatch;
use crate::exit;
use crate::logging::AT_LOGS;
use crate::ops::center::Center;
use crate::ops::logs::{Logs, Walk, Walked};
use crate::ops::store::{BaselineRecord, HourCounts, LogOrder, LogsAsked, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often is looked for what came, unless somebody looks at a baseline: the index of an hour does not
/// change in less.
const EVERY: Duration = Duration::from_secs(60);

/// Frames that are counted before the counts are written down.
const FRAMES_AT_ONCE: usize = 256;

/// Hours of edges that are in memory before that: each has as many numbers as a baseline has bins.
const HOURS_AT_ONCE: usize = 512;

/// Where the counter is told that somebody waits for it.
#[derive(Debug, Default)]
pub(in crate::ops) struct Bell {
    is_rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// Lets the counter look at once.
    pub(in crate::ops) fn ring(&self) {
        *self.is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }

    /// Until it is rung, or it is time anyway.
    fn wait(&self) {
        let rung = self.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, EVERY, |is_rung| !*is_rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Starts the thread, which ends with the program: what it had not written is counted again.
///
/// # Errors
/// When there is no thread.
pub(in crate::ops) fn start(center: Arc<Center>) -> std::io::Result<()> {
    let run = move || {
        loop {
            if let Err(error) = count_all(&center) {
                log::error!(target: AT_LOGS, "msg={:?}", exit::chain(&error));
            }
            center.drift.wait();
        }
    };
    std::thread::Builder::new().name("drift-counter".into()).spawn(run).map(|_| ())
}

fn count_all(center: &Center) -> Result<(), DriftError> {
    let kept_hours = (i64::from(center.settings.logs.days) + 1) * 24;
    let baselines: Vec<BaselineRecord> =
        center.store.read(|tx| tx.baselines(None)).map_err(DriftError::Store)?;
    for record in baselines {
        count(&center.store, &center.logs, &record)?;
        let before = center.now_ms() / HOUR_MS - kept_hours;
        let first = center.store.read(|tx| tx.first_hour(record.id))?;
        if first.is_some_and(|first| first < before) {
            center.store.write(|tx| tx.forget_hours(record.id, before))?;
        }
    }
    Ok(())
}

/// Counts what came since it was last counted for a baseline.
pub(super) fn count(store: &Store, logs: &Logs, record: &BaselineRecord) -> Result<(), DriftError> {
    let baseline = Baseline::read(record)?;
    let mut walk = Walk::after(logs, everything(record.pipeline), record.counted_frame);
    let mut written = record.counted_frame;
    loop {
        let mut gathered: HashMap<(String, i64), Counts> = HashMap::new();
        let mut frames = 0;
        while frames < FRAMES_AT_ONCE
            && gathered.len() < HOURS_AT_ONCE
            && let Some((edge, walked)) = walk.next()?
        {
            frames += 1;
            let new = || Counts::none(&baseline);
            match walked {
                Walked::Nothing => {}
                Walked::Summary(summary, ms) => {
                    let counts = gathered.entry((edge, ms.div_euclid(HOUR_MS)));
                    counts.or_insert_with(new).add_summary(&baseline, &summary);
                }
                Walked::Rows(batch) => {
                    let columns = batch.columns();
                    for (hour, rows) in hours(&batch) {
                        let counts = gathered.entry((edge.clone(), hour)).or_insert_with(new);
                        counts.add(&baseline, &columns, rows);
                    }
                }
            }
        }
        if frames == 0 {
            return Ok(());
        }
        let place = walk.place();
        let is_ours = store.write(|tx| {
            if !tx.set_counted_frame(record.id, (written, place))? {
                return Ok(false);
            }
            let mut together: HashMap<i64, Counts> = HashMap::new();
            for ((edge, hour), counts) in &gathered {
                together.entry(*hour).or_insert_with(|| Counts::none(&baseline)).plus(counts);
                add(tx, (record.id, &baseline), (edge, *hour), counts)?;
            }
            for (hour, counts) in &together {
                add(tx, (record.id, &baseline), ("", *hour), counts)?;
            }
            Ok::<_, StoreError>(true)
        })?;
        if !is_ours {
            return Ok(());
        }
        written = place;
    }
}

fn add(
    tx: &crate::ops::store::Tx<'_>,
    (id, baseline): (i64, &Baseline),
    (edge, hour): (&str, i64),
    more: &Counts,
) -> Result<(), StoreError> {
    let mut counts = Counts::none(baseline);
    if let Some(known) = tx.hour_counts(id, edge, hour)? {
        counts.plus_bytes(known.rows.unsigned_abs(), &known.counts);
    }
    counts.plus(more);
    tx.set_hour_counts(
        id,
        &HourCounts {
            edge: edge.to_owned(),
            hour,
            rows: i64::try_from(counts.rows).unwrap_or(i64::MAX),
            counts: counts.bytes(),
        },
    )
}

/// The rows of a batch, hour by hour as they follow each other.
fn hours(batch: &LogBatch) -> Vec<(i64, std::ops::Range<usize>)> {
    let mut found: Vec<(i64, std::ops::Range<usize>)> = Vec::new();
    for (row, ms) in batch.times().into_iter().enumerate() {
        let hour = ms.div_euclid(HOUR_MS);
        match found.last_mut() {
            Some((last, rows)) if *last == hour => rows.end = row + 1,
            Some(_) | None => found.push((hour, row..row + 1)),
        }
    }
    found
}

fn everything(pipeline: i64) -> LogsAsked {
    LogsAsked {
        pipeline,
        edges: Vec::new(),
        version: None,
        is_failures: false,
        is_summary: false,
        from_ms: None,
        until_ms: None,
        order: LogOrder::Arrival,
        after: None,
        newest: None,
    }
}
