//! What an ops center wants an edge to run, how closely that is watched, and how it went.

use serde::{Deserialize, Serialize};

/// What an edge shall run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The name of this assignment; one that was seen to its end is not begun again.
    pub id: String,
    /// Where the pipeline is.
    pub pipeline_url: String,
    /// The publish, by the number that the ops center has for it.
    pub publish_id: i64,
    /// The publish that it takes the place of.
    #[serde(default)]
    pub replaces: Option<i64>,
    /// When it is taken back.
    pub watch: Watch,
}

/// How a pipeline that has just taken over is watched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// So many requests are looked at.
    pub requests: u64,
    /// And for so long at the most, seconds: an edge without requests is not watched for ever.
    pub seconds_max: u64,
    /// The share of them that may fail, 0 to 1.
    pub failed_share_max: f64,
    /// The share of them that may have a NaN in their outputs, 0 to 1.
    pub nan_share_max: f64,
}

/// How an assignment goes or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentReport {
    /// Which.
    pub id: String,
    /// How far it is.
    pub state: AssignmentState,
    /// Why it did not come about or was taken back: a sentence.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How far an assignment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The pipeline is fetched, verified and loaded beside the one that answers.
    Preparing,
    /// It answers, and its first requests are watched.
    Watching,
    /// It answers, and was not taken back.
    Done,
    /// It answered, and the one before answers again.
    TakenBack,
    /// It never answered.
    Refused,
}
