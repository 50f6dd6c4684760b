//! The report: how an edge fares, said at a pace that the ops center sets, and what is wanted of it.

use super::{Assignment, AssignmentReport, Device, EngineFacts, Id, SessionFacts};
use serde::{Deserialize, Serialize};

/// What `POST report` carries; serial, boot and times are in the headers of every request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What device speaks.
    pub device: Device,
    /// What engine speaks.
    pub engine: EngineFacts,
    /// How long this process runs, seconds.
    pub uptime_s: u64,
    /// What answers requests; none while nothing does yet.
    #[serde(default)]
    pub running: Option<Running>,
    /// What was computed since the process began.
    pub counters: Counters,
    /// What waits to be sent; none where no journal is kept.
    #[serde(default)]
    pub journal: Option<JournalState>,
    /// The file system of the persistent directory.
    #[serde(default)]
    pub disk: Option<Amount>,
    /// The memory that the engine may have.
    #[serde(default)]
    pub memory: Option<Amount>,
    /// The hottest of the board's sensors, degrees Celsius; none where it has none.
    #[serde(default)]
    pub temperature_c: Option<f64>,
    /// How the last assignment goes or went.
    #[serde(default)]
    pub assignment: Option<AssignmentReport>,
    /// The engine stops in good order, and this is the last that is heard of it.
    #[serde(default)]
    pub leaving: bool,
}

/// What answers requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The reference that it was fetched by.
    pub pipeline_url: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's version.
    pub version: String,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
}

/// What was computed since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Inferences that were answered with a result.
    pub inferences: u64,
    /// Inferences that failed though they were asked for as they should be: for want of a turn or of
    /// time, by a fault of the engine, or because the models could not compute them.
    pub failures: u64,
    /// Requests that were refused for what they asked or brought.
    #[serde(default)]
    pub refused: u64,
}

/// What an engine keeps until the ops center has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalState {
    /// The journal.
    pub journal: Id,
    /// Inferences that wait.
    pub waiting_records: u64,
    /// Their bytes on disk.
    pub waiting_bytes: u64,
    /// Inferences that are known to be lost, of all time.
    pub lost: u64,
    /// The device's time of the oldest that waits, milliseconds since 1970.
    #[serde(default)]
    pub oldest_ms: Option<u64>,
}

/// How much of something there is, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// What is still free.
    pub free_bytes: u64,
    /// The whole, where it is known.
    #[serde(default)]
    pub total_bytes: Option<u64>,
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// How the session stands.
    #[serde(flatten)]
    pub facts: SessionFacts,
    /// What the edge shall run; none while what it runs is right.
    #[serde(default)]
    pub wanted: Option<Assignment>,
    /// How long until the next report, seconds.
    pub interval_s: u64,
}
