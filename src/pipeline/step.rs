//! One step of a pipeline: models that run, a split between them, a check, or a choice of what goes on.

use super::{ModelKey, Validation};

/// What happens in turn. Each step begins with the columns that the one before it left.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Rows go through each of these models. The first one's outputs are the answer, and go on to
    /// the next step; those of the others, the challengers, are shown beside it.
    ModelInference(Vec<ModelKey>),
    /// Rows go through one of several models, drawn by weight.
    RandomSplit(RandomSplit),
    /// Rows go through the model that the value of a column chooses.
    KeySplit(KeySplit),
    /// Rows are held against validations.
    Check(Vec<Validation>),
    /// Which of the models of the step before are shown beside the answer.
    AuditResults {
        /// The first, from 0 on.
        from: usize,
        /// The one after the last; to the end when it is not told.
        to: Option<usize>,
    },
    /// All results are given; that is what happens without this step too.
    MultiOut,
    /// Another of the models of the step before gives the answer.
    Nth(usize),
    /// Only these columns go on.
    ColumnsSelect(Vec<String>),
}

/// A split by weight.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomSplit {
    /// The column whose value draws the model, the same one for the same value everywhere and
    /// always. Without it, or where a request lacks it, each request draws anew.
    pub hash_key: Option<String>,
    /// Each model and its share of the sum of the weights; weights are finite and above 0.
    pub weights: Vec<(ModelKey, f64)>,
}

/// A split by the value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySplit {
    /// The column.
    pub split_key: String,
    /// The model for every value that has no route.
    pub control: ModelKey,
    /// The model for a value, as text.
    pub routes: Vec<(String, ModelKey)>,
}

impl Step {
    /// The models that the step names, those that answer first.
    pub fn models(&self) -> Vec<&ModelKey> {
        match self {
            Step::ModelInference(keys) => keys.iter().collect(),
            Step::RandomSplit(split) => split.weights.iter().map(|(key, _)| key).collect(),
            Step::KeySplit(split) => {
                let routes = split.routes.iter().map(|(_, key)| key);
                std::iter::once(&split.control).chain(routes).collect()
            }
            Step::Check(_)
            | Step::AuditResults { .. }
            | Step::MultiOut
            | Step::Nth(_)
            | Step::ColumnsSelect(_) => Vec::new(),
        }
    }

    /// The kind, as definitions spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::ModelInference(_) => "ModelInference",
            Step::RandomSplit(_) => "RandomSplit",
            Step::KeySplit(_) => "MetaValueSplit",
            Step::Check(_) => "Check",
            Step::AuditResults { .. } => "AuditResults",
            Step::MultiOut => "MultiOut",
            Step::Nth(_) => "Nth",
            Step::ColumnsSelect(_) => "ColumnsSelect",
        }
    }

    /// Every kind that [`kind`](Self::kind) gives, for a sentence.
    pub const KINDS: &str = "`ModelInference`, `RandomSplit`, `MetaValueSplit`, `Check`, \
                             `AuditResults`, `MultiOut`, `Nth` and `ColumnsSelect`";
}
