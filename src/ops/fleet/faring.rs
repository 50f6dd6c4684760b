//! The fleet's facts of one edge, as answers have them.

use super::turn::REPORTS_MISSED;
use crate::fleet::{Report, SESSION_LIFE_MS};
use crate::ops::settings::Settings;
use crate::ops::store::Faring;
use serde::Serialize;

/// After how much silence an edge counts as gone.
pub(in crate::ops) fn gone_after_ms(settings: &Settings) -> i64 {
    let report_ms = i64::try_from(settings.report_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    report_ms.saturating_mul(REPORTS_MISSED)
}

/// What an edge said of itself last, and what follows from it.
#[derive(Debug, Default, Serialize)]
pub(in crate::ops) struct FleetView {
    /// Days until its session ends without a further contact.
    pub session_days_left: Option<f64>,
    pub engine_version: Option<String>,
    pub engine_arch: Option<String>,
    pub host: Option<String>,
    /// What the device that joined is called, where another one goes on with its session.
    pub joined_host: Option<String>,
    pub uptime_seconds: Option<u64>,
    pub running_pipeline_url: Option<String>,
    pub running_version: Option<String>,
    pub running_digest: Option<String>,
    pub inferences: Option<u64>,
    pub failures: Option<u64>,
    /// Requests that were refused for what they asked or brought.
    pub refused: Option<u64>,
    /// Inferences that wait on the device.
    pub backlog_records: Option<u64>,
    pub backlog_bytes: Option<u64>,
    /// Inferences that are known to be lost.
    pub lost_records: Option<u64>,
    pub memory_free_bytes: Option<u64>,
    pub disk_free_bytes: Option<u64>,
    pub temperature_celsius: Option<f64>,
    /// How far the device's clock was ahead of ours.
    pub clock_ahead_seconds: Option<f64>,
}

impl FleetView {
    /// The facts of an edge at that time.
    pub(in crate::ops) fn of<T: AsRef<str>>(faring: Option<&Faring<T>>, now_ms: i64) -> FleetView {
        let Some(faring) = faring else { return FleetView::default() };
        let ends_ms = faring.seen_ms.saturating_add_unsigned(SESSION_LIFE_MS);
        let left_ms = ends_ms.saturating_sub(now_ms).max(0);
        let joined_host = faring.joined_host.as_ref().filter(|_| faring.is_elsewhere);
        let joined_host = joined_host.map(|host| host.as_ref().to_owned());
        let days = (left_ms as f64 / 86_400_000.0 * 10.0).floor() / 10.0;
        let view = FleetView { session_days_left: Some(days), joined_host, ..FleetView::default() };
        // A report of a later version that cannot be read leaves its edge in the list.
        let report: Option<Report> =
            faring.report.as_ref().and_then(|text| serde_json::from_str(text.as_ref()).ok());
        let Some(report) = report else { return view };
        let (running, journal) = (report.running, report.journal);
        let (running_pipeline_url, running_version, running_digest) = match running {
            Some(it) => (Some(it.pipeline_url), Some(it.version), Some(it.digest)),
            None => (None, None, None),
        };
        FleetView {
            engine_version: Some(report.engine.version),
            engine_arch: Some(report.engine.arch),
            host: report.device.host,
            uptime_seconds: Some(report.uptime_s),
            running_pipeline_url,
            running_version,
            running_digest,
            inferences: Some(report.counters.inferences),
            failures: Some(report.counters.failures),
            refused: Some(report.counters.refused),
            backlog_records: journal.map(|it| it.waiting_records),
            backlog_bytes: journal.map(|it| it.waiting_bytes),
            lost_records: journal.map(|it| it.lost),
            memory_free_bytes: report.memory.map(|it| it.free_bytes),
            disk_free_bytes: report.disk.map(|it| it.free_bytes),
            temperature_celsius: report.temperature_c,
            clock_ahead_seconds: faring.clock_ms.map(|ms| ms as f64 / 1000.0),
            ..view
        }
    }
}
