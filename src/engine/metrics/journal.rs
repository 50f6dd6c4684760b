//! What is counted of the journal.

use super::{Page, label};
use crate::engine::journal::State;

/// The lines about a journal.
pub(super) fn write(page: &mut Page, state: &State) {
    page.counter(
        "potoroo_journal_records_total",
        "Inferences that are safe on the disk.",
        "",
        state.recorded,
    );
    page.counter(
        "potoroo_journal_passed_over_total",
        "Inferences that are no part of the sample that the pipeline's policy keeps.",
        "",
        state.passed_over,
    );
    const LOST: &str = "potoroo_journal_lost_total";
    page.head(LOST, "counter", "Inferences that are not in the journal, by reason.");
    for (reason, count) in state.lost {
        page.line(LOST, &label("reason", reason.word()), count);
    }
    page.gauge(
        "potoroo_journal_crashed",
        "Whether the run before ended without closing the journal; what was in memory then is lost.",
        u64::from(state.crashed),
    );
    page.counter(
        "potoroo_journal_written_bytes_total",
        "Bytes written to the journal.",
        "",
        state.written_bytes,
    );
    page.gauge(
        "potoroo_journal_written_bytes_today",
        "Bytes written to the journal since midnight, UTC, by the device's clock.",
        state.written_bytes_today,
    );
    page.counter("potoroo_journal_syncs_total", "Waits for the disk.", "", state.syncs);
    page.gauge("potoroo_journal_kept_bytes", "Bytes of the journal's files.", state.kept_bytes);
    page.gauge(
        "potoroo_journal_waiting_records",
        "Inferences that the ops center does not have.",
        state.waiting_records,
    );
    page.gauge("potoroo_journal_waiting_bytes", "Their bytes.", state.waiting_bytes);
    page.gauge(
        "potoroo_journal_queued_records",
        "Inferences in memory, on their way to the disk.",
        state.queued_records,
    );
    page.gauge("potoroo_journal_queued_bytes", "Their bytes.", state.queued_bytes);
}
