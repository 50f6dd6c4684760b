//! What a pipeline is: its definition as published, and the record of one inference through it.

mod definition;
mod known;
mod policy;
mod record;
mod step;
mod validation;
mod version;
mod wire;

pub use definition::{
    Definition, DefinitionError, FILE_TYPE, FILE_TYPE_MODEL, FILE_TYPE_SIDE, MODELS_MAX,
    ModelEntry, ModelKey, NAME_CHARS_MAX, RUNTIME_ONNX, STEPS_MAX, SideFiles,
};
pub use known::{Difference, KNOWN_BYTES_MAX, KNOWN_ROWS_MAX, KnownAnswers};
pub use policy::{LogPolicy, POLICY_COLUMNS_MAX, SALT_BYTES, SAMPLE_MAX, Treatment};
pub use record::{Record, ShadowOutputs};
pub use step::{KeySplit, RandomSplit, Step};
pub use validation::{
    EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, Expression, Finding, Ports, RESERVED_NAME, Sense,
    Side, SyntaxError, Unfit, VALIDATIONS_MAX, Validation,
};
pub use version::derived_version;
