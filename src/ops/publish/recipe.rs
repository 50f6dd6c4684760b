//! The pipeline file that a person writes, YAML or JSON, and the recipe that is read from it.

use crate::pipeline::{MODELS_MAX, STEPS_MAX, SyntaxError};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

mod steps;

pub(super) use steps::StepRecipe;
use steps::{StepWire, ValidationWire};

/// A pipeline file. The largest that makes sense lists some dozens of models.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A pipeline's or model's name: it stands in URLs, image references and Kubernetes names.
const NAME_CHARS_MAX: usize = 63;

/// What is to be published, every name in it known and every path resolved.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) name: String,
    /// `None` lets the version follow from the content.
    pub(super) version: Option<String>,
    pub(super) created: Option<String>,
    pub(super) models: Vec<ModelRecipe>,
    /// What happens in turn.
    pub(super) steps: Vec<StepRecipe>,
}

#[derive(Debug)]
pub(super) struct ModelRecipe {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) version: Option<String>,
    pub(super) tensor_fields: Vec<String>,
}

/// Why a file is no recipe.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecipeError {
    #[error("{} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is larger than {FILE_BYTES_MAX} bytes: a pipeline file is some lines of text", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is no pipeline file", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "`{name}` cannot be the name of a {what}: use at most {NAME_CHARS_MAX} of a-z, 0-9 and -, \
         with a letter or digit at both ends{advice}"
    )]
    Name { what: &'static str, name: String, advice: &'static str },
    #[error("the pipeline has {found} {what}; it needs 1 to {max}")]
    Count { what: &'static str, found: usize, max: usize },
    #[error("two models are called `{0}`: give each its own name")]
    SameName(String),
    #[error(
        "step {step} is none of `model`, `split`, `route` and `columns`, or several of them: write \
         one of these keys in each step"
    )]
    StepKind { step: usize },
    #[error("step {step} has `challengers` without the `model` that they challenge")]
    Challengers { step: usize },
    #[error(
        "the validation `{name}` needs `must_hold: EXPRESSION` or `anomaly: EXPRESSION`, one of them"
    )]
    ValidationSense { name: String },
    #[error("the validation `{name}`, `{text}`, cannot be read")]
    Validation {
        name: String,
        text: String,
        #[source]
        source: SyntaxError,
    },
    #[error("step {step} names the model `{model}`, which `models` does not list")]
    UnknownModel { step: usize, model: String },
    #[error("the model `{0}` is in no step: use it or leave it out")]
    UnusedModel(String),
    #[error("the file of model `{model}`, {}, is not there", path.display())]
    NoFile { model: String, path: PathBuf },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    name: String,
    version: Option<String>,
    created: Option<String>,
    models: Vec<ModelWire>,
    steps: Vec<StepWire>,
    #[serde(default)]
    validations: Vec<ValidationWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelWire {
    name: String,
    path: PathBuf,
    version: Option<String>,
    #[serde(default)]
    tensor_fields: Vec<String>,
}

/// Reads a pipeline file, or makes the recipe for a single ONNX file.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Recipe, RecipeError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let wire = if extension.eq_ignore_ascii_case("onnx") {
        single(path)
    } else {
        let text = text(path)?;
        let malformed = |source| RecipeError::Malformed { path: path.to_owned(), source };
        if extension.eq_ignore_ascii_case("json") {
            serde_json::from_str(&text).map_err(|error| malformed(error.into()))?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| malformed(error.to_string().into()))?
        }
    };
    resolve(wire, path.parent().unwrap_or(Path::new("")), name)
}

fn single(path: &Path) -> FileWire {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
    let name = stem.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let model = ModelWire {
        name: name.clone(),
        path: path.file_name().map(PathBuf::from).unwrap_or_default(),
        version: None,
        tensor_fields: Vec::new(),
    };
    let steps = vec![StepWire::of_model(&name)];
    let (models, validations) = (vec![model], Vec::new());
    FileWire { name, version: None, created: None, models, steps, validations }
}

fn text(path: &Path) -> Result<String, RecipeError> {
    let unreadable = |source| RecipeError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(RecipeError::TooLarge(path.to_owned()));
    }
    Ok(text)
}

fn resolve(wire: FileWire, root: &Path, name: Option<&str>) -> Result<Recipe, RecipeError> {
    let name = name.map_or(wire.name, str::to_owned);
    checked_name("pipeline", &name)?;
    for (what, found, max) in
        [("models", wire.models.len(), MODELS_MAX), ("steps", wire.steps.len(), STEPS_MAX)]
    {
        if found == 0 || found > max {
            return Err(RecipeError::Count { what, found, max });
        }
    }
    let mut models: Vec<ModelRecipe> = Vec::new();
    for model in wire.models {
        checked_name("model", &model.name)?;
        if models.iter().any(|other| other.name == model.name) {
            return Err(RecipeError::SameName(model.name));
        }
        let path = root.join(&model.path);
        if !path.is_file() {
            return Err(RecipeError::NoFile { model: model.name, path });
        }
        let ModelWire { name, version, tensor_fields, .. } = model;
        models.push(ModelRecipe { name, path, version, tensor_fields });
    }
    let mut steps = Vec::new();
    let place = |name: &str| models.iter().position(|model| model.name == name);
    for (index, step) in wire.steps.into_iter().enumerate() {
        steps.push(steps::resolve(step, index + 1, place)?);
    }
    steps.extend(steps::check(wire.validations)?);
    let used: Vec<usize> = steps.iter().flat_map(StepRecipe::places).collect();
    if let Some(unused) = (0..models.len()).find(|place| !used.contains(place)) {
        return Err(RecipeError::UnusedModel(models.swap_remove(unused).name));
    }
    Ok(Recipe { name, version: wire.version, created: wire.created, models, steps })
}

fn checked_name(what: &'static str, name: &str) -> Result<(), RecipeError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let right = bytes.len() <= NAME_CHARS_MAX
        && bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-');
    let advice = if what == "pipeline" { ", or give another with --name" } else { "" };
    if right { Ok(()) } else { Err(RecipeError::Name { what, name: name.to_owned(), advice }) }
}

#[cfg(test)]
mod tests;
