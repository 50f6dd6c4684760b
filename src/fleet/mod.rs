//! What the engine and the ops center say to each other: the bundle, joining, reports, logs and refusals.

// All paths are below `https://<OPSCENTER_HOST>/edge/v1/`. Every request is signed as `signed.rs` says;
// every refusal is a [`Refusal`] in JSON. A reader ignores keys that it does not know, so that engines
// and ops centers of neighbouring versions understand each other.

mod assignment;
mod bundle;
mod id;
mod join;
mod key;
mod logs;
mod refusal;
mod report;
mod signed;

pub use assignment::{Assignment, AssignmentReport, AssignmentState, Watch};
pub use bundle::{Bundle, BundleError};
pub use id::{Id, IdError};
pub use join::{Device, EngineFacts, JoinRequest, Joined, SessionFacts};
pub use key::{KeyTextError, PublicKey, Signature};
pub use logs::{LOG_BATCH_BYTES_MAX, LOG_CONTENT_TYPE, LogsAnswer};
pub use refusal::{Code, Refusal};
pub use report::{Amount, Counters, JournalState, Report, ReportAnswer, Running};
pub use signed::{Contact, ContactError, header};

/// The path that an engine joins by.
pub const JOIN_PATH: &str = "/edge/v1/join";

/// The path that an engine reports to.
pub const REPORT_PATH: &str = "/edge/v1/report";

/// The path that an engine sends its journal to.
pub const LOGS_PATH: &str = "/edge/v1/logs";

/// The largest body of a request or an answer in JSON, in bytes: ours have 2 KB, and a registry's
/// longest reference fits in many times.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 10;

/// How long a session holds after each contact, in milliseconds: 7 days, as the contract says.
pub const SESSION_LIFE_MS: u64 = 7 * 24 * 3600 * 1000;

/// What stands for the token in a bundle where a device keeps the identity that it has.
pub const KEPT_TOKEN: &str = "omitted_for_replace";

#[cfg(test)]
mod tests;
