//! A draft: what a client sends as a pipeline, in the original's form or ours, with every model found.

use crate::ops::name::{NAME_CHARS_MAX, is_name};
use crate::ops::publish::recipe::{self, Recipe, RecipeError};
use crate::ops::store::{ModelStatus, ModelVersion, StoreError, Tx};
use crate::ops::trial::TrialError;
use crate::pipeline::{
    Definition, DefinitionError, KnownAnswers, ModelEntry, ModelKey, RUNTIME_ONNX,
};
use serde_json::{Value, json};

/// What was sent, read, with its models still to be found.
#[derive(Debug)]
pub(in crate::ops) enum Form {
    /// The original's `definition`.
    Definition {
        /// As it is read.
        definition: Box<Definition>,
        /// As it was sent.
        sent: Value,
    },
    /// The pipeline file that a person writes.
    Recipe {
        /// As it is read.
        recipe: Recipe<()>,
        /// What came beside it.
        known: Option<KnownAnswers>,
    },
}

/// A definition whose models are there.
#[derive(Debug)]
pub(in crate::ops) struct Draft {
    /// Without a version.
    pub definition: Definition,
    /// What was sent, if that was a definition.
    pub sent: Option<Value>,
    /// The sha256 of each model's file.
    pub files: Vec<String>,
}

/// Why a pipeline is not saved.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum PipelineError {
    #[error(
        "`{0}` cannot be the name of a pipeline: use at most {NAME_CHARS_MAX} of a-z, 0-9 and -, with \
         a letter or digit at both ends"
    )]
    Name(String),
    #[error("send `definition` with `steps`, or a `recipe`, and one of them")]
    Form,
    #[error("`pipeline_id`, the pipeline's name, is missing")]
    NoName,
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error("the known answers: {0}")]
    Known(String),
    #[error(
        "{place} names the model `{name}` of version {version}, which is not in this workspace: \
         `models/list_versions` tells what is there"
    )]
    NoModel { place: String, name: String, version: String },
    #[error(
        "{place} names the model `{name}` of version {version} with the sha {told}, and it has {found}"
    )]
    Sha { place: String, name: String, version: String, told: String, found: String },
    #[error("the model `{name}` of version {version} cannot be served: {error}")]
    Unservable { name: String, version: String, error: String },
    #[error(
        "the model `{name}` of version {version} is still being checked: save the pipeline again in a moment"
    )]
    Checking { name: String, version: String },
    #[error("{0}")]
    Unfit(String),
    #[error(
        "the workspace has no model `{name}` with the sha {sha}, which the pipeline needs: upload its \
         file there first"
    )]
    NotThere { name: String, sha: String },
    #[error("the steps were not run")]
    Trial(#[from] TrialError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelineError {
    /// What a trial says, in the words of who saves and not of who publishes.
    pub(super) fn unfit(sentence: String, hint: Option<String>) -> PipelineError {
        let hint = hint.map(|hint| hint.replace("nothing was published", "nothing was saved"));
        PipelineError::Unfit(match hint {
            Some(hint) => format!("{sentence}: {hint}"),
            None => sentence,
        })
    }
}

impl Form {
    /// Reads what was sent: one of `definition` and `recipe`, known answers beside it.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub(in crate::ops) fn read(
        name: Option<&str>,
        definition: Option<Value>,
        recipe: Option<Value>,
        known: Option<Value>,
    ) -> Result<Form, PipelineError> {
        let known = known.map(|known| KnownAnswers::parse(known.to_string().as_bytes()));
        let known = known.transpose().map_err(PipelineError::Known)?;
        match (definition, recipe) {
            (Some(sent), None) => {
                let name = name.ok_or(PipelineError::NoName)?;
                if !is_name(name) {
                    return Err(PipelineError::Name(name.chars().take(NAME_CHARS_MAX).collect()));
                }
                // Only the steps are the client's to say: the rest follows from what is here.
                let config = json!({ "id": name, "steps": sent["steps"] });
                let mut definition = Box::new(Definition::parse(config.to_string().as_bytes())?);
                definition.known_answers = known;
                Ok(Form::Definition { definition, sent })
            }
            (None, Some(recipe)) => {
                let text = recipe.as_str().map_or_else(|| recipe.to_string(), str::to_owned);
                Ok(Form::Recipe { recipe: recipe::parse(&text, name)?, known })
            }
            (None, None) | (Some(_), Some(_)) => Err(PipelineError::Form),
        }
    }

    /// Finds every model in the workspace.
    ///
    /// # Errors
    /// The first that is not there, or not one that is served.
    pub(in crate::ops) fn draft(
        &self,
        tx: &Tx<'_>,
        workspace: i64,
    ) -> Result<Draft, PipelineError> {
        match self {
            Form::Definition { definition, sent } => {
                let mut definition = Definition::clone(definition);
                for entry in &mut definition.models {
                    let ModelKey { name, version, sha } = &entry.key;
                    let step = definition
                        .steps
                        .iter()
                        .position(|step| step.models().contains(&&entry.key));
                    let place = format!("step {} of the pipeline", step.unwrap_or_default() + 1);
                    let found = found(tx, workspace, &place, name, Some(version))?;
                    if found.sha != sha.hex() {
                        let (name, version) = (name.clone(), version.clone());
                        let (told, found) = (sha.hex(), found.sha);
                        return Err(PipelineError::Sha { place, name, version, told, found });
                    }
                    entry.tensor_fields = told_fields(tx, &found)?;
                }
                let files = definition.models.iter().map(|entry| entry.key.sha.hex()).collect();
                Ok(Draft { definition, sent: Some(sent.clone()), files })
            }
            Form::Recipe { recipe, known } => {
                let mut models = Vec::new();
                for model in &recipe.models {
                    let version = model.version.as_deref();
                    let found = found(tx, workspace, "the recipe", &model.name, version)?;
                    let tensor_fields = match model.tensor_fields.is_empty() {
                        true => told_fields(tx, &found)?,
                        false => model.tensor_fields.clone(),
                    };
                    let malformed = |_| StoreError::Malformed { what: "a model version" };
                    let sha = format!("sha256:{}", found.sha).parse().map_err(malformed)?;
                    let key = ModelKey { name: found.name, version: found.version, sha };
                    let runtime = RUNTIME_ONNX.to_owned();
                    models.push(ModelEntry { key, runtime, tensor_fields });
                }
                let keys: Vec<ModelKey> = models.iter().map(|entry| entry.key.clone()).collect();
                let files = keys.iter().map(|key| key.sha.hex()).collect();
                let definition = Definition {
                    name: recipe.name.clone(),
                    version: String::new(),
                    steps: recipe.steps.iter().flat_map(|step| step.published(&keys)).collect(),
                    models,
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    known_answers: known.clone(),
                    log: recipe.log.clone(),
                    created: recipe.created.clone(),
                };
                Ok(Draft { definition, sent: None, files })
            }
        }
    }
}

/// The version that a pipeline names, if it is there and is served.
fn found(
    tx: &Tx<'_>,
    workspace: i64,
    place: &str,
    name: &str,
    version: Option<&str>,
) -> Result<ModelVersion, PipelineError> {
    let missing = || PipelineError::NoModel {
        place: place.to_owned(),
        name: name.to_owned(),
        version: version.unwrap_or("any").to_owned(),
    };
    let found = tx.model_version_named(workspace, name, version)?.ok_or_else(missing)?;
    let (name, version) = (found.name.clone(), found.version.clone());
    match found.status {
        ModelStatus::Ready => Ok(found),
        ModelStatus::Attempting => Err(PipelineError::Checking { name, version }),
        ModelStatus::Error => {
            let error = found.error.unwrap_or_default();
            Err(PipelineError::Unservable { name, version, error })
        }
    }
}

/// The columns that a version was last told for its inputs.
fn told_fields(tx: &Tx<'_>, version: &ModelVersion) -> Result<Vec<String>, StoreError> {
    let config = tx.model_config(version.id)?;
    Ok(config.and_then(|config| config.tensor_fields).unwrap_or_default())
}
