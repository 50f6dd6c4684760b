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
    /// The share of them that may fail beyond what failed before, 0 to 1.
    pub failed_share_max: f64,
    /// The share of them that may have a NaN or an infinity in their outputs beyond what had before,
    /// 0 to 1.
    pub nan_share_max: f64,
    /// The share of them that may fail a validation, 0 to 1; none where that is no reason.
    #[serde(default)]
    pub check_share_max: Option<f64>,
}

impl Watch {
    /// Where nobody says another: a hundred requests or ten minutes, of which one of twenty may fail,
    /// and one of a hundred be no number.
    pub const DEFAULT: Watch = Watch {
        requests: 100,
        seconds_max: 600,
        failed_share_max: 0.05,
        nan_share_max: 0.01,
        check_share_max: None,
    };

    /// Of an assignment that leads back to what ran well before.
    pub const NONE: Watch = Watch { requests: 0, seconds_max: 0, ..Watch::DEFAULT };
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
    /// The engine knows of it.
    Received,
    /// The pipeline is fetched and verified, beside the one that answers.
    Fetching,
    /// It is loaded, and its known answers are proven.
    Proving,
    /// It answers from this moment on.
    Switched,
    /// It answers, and its first requests are watched.
    Watching,
    /// It answers, and was not taken back.
    Settled,
    /// It never answered.
    Failed,
    /// It answered, and the one before answers again.
    Reverted,
}

/// Each state with its name in JSON.
const NAMES: [(AssignmentState, &str); 8] = [
    (AssignmentState::Received, "received"),
    (AssignmentState::Fetching, "fetching"),
    (AssignmentState::Proving, "proving"),
    (AssignmentState::Switched, "switched"),
    (AssignmentState::Watching, "watching"),
    (AssignmentState::Settled, "settled"),
    (AssignmentState::Failed, "failed"),
    (AssignmentState::Reverted, "reverted"),
];

impl AssignmentState {
    /// The state of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<AssignmentState> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Whether it is at its end, well or not.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            AssignmentState::Received
            | AssignmentState::Fetching
            | AssignmentState::Proving
            | AssignmentState::Switched
            | AssignmentState::Watching => false,
            AssignmentState::Settled | AssignmentState::Failed | AssignmentState::Reverted => true,
        }
    }
}
