//! The pipeline file that a person writes, YAML or JSON, and the recipe that is read from it.

use crate::ops::name::{NAME_CHARS_MAX, is_name};
use crate::pipeline::{LogPolicy, MODELS_MAX, STEPS_MAX, SyntaxError};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

mod steps;

pub(in crate::ops) use steps::StepRecipe;
use steps::{StepWire, ValidationWire};

/// A pipeline file. The largest that makes sense lists some dozens of models.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is to be published, every name in it known and every model's place found: the path of its
/// file, or nothing where models lie in an ops center.
#[derive(Debug)]
pub(in crate::ops) struct Recipe<P> {
    /// The pipeline's name.
    pub name: String,
    /// `None` lets the version follow from the content.
    pub version: Option<String>,
    /// When its author says it was made.
    pub created: Option<String>,
    /// Each model once.
    pub models: Vec<ModelRecipe<P>>,
    /// What happens in turn.
    pub steps: Vec<StepRecipe>,
    /// What of its inferences is kept.
    pub log: LogPolicy,
}

/// A model as a pipeline file names it.
#[derive(Debug)]
pub(in crate::ops) struct ModelRecipe<P> {
    /// Its name.
    pub name: String,
    /// Where its file is.
    pub place: P,
    /// Its version, where the author tells one.
    pub version: Option<String>,
    /// The columns for its inputs, by position.
    pub tensor_fields: Vec<String>,
}

/// Why a file is no recipe.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum RecipeError {
    #[error("{} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is larger than {FILE_BYTES_MAX} bytes: a pipeline file is some lines of text", .0.display())]
    TooLarge(PathBuf),
    #[error("the text has more than {FILE_BYTES_MAX} bytes: a pipeline file is some lines of text")]
    TextTooLarge,
    #[error("the text is no pipeline file")]
    MalformedText(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("model `{0}` has no `path` to its ONNX file: add one, relative to the pipeline file")]
    NoPath(String),
    #[error(
        "model `{0}` has a `path`: the models of an ops center are uploaded, and named by `name` and, \
         where it is not to be the newest, `version`"
    )]
    Path(String),
    #[error(
        "the recipe tells a `version`: leave it out, each version that is saved gets one of its own"
    )]
    Version,
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
    #[error("`log` cannot be followed: {0}")]
    Log(String),
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
    #[serde(default)]
    log: LogWire,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogWire {
    sample: u32,
    drop: Vec<String>,
    hash: Vec<String>,
    salt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelWire {
    name: String,
    path: Option<PathBuf>,
    version: Option<String>,
    #[serde(default)]
    tensor_fields: Vec<String>,
}

/// Reads a pipeline file, or makes the recipe for a single ONNX file.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Recipe<PathBuf>, RecipeError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let wire = if extension.eq_ignore_ascii_case("onnx") {
        single(path)
    } else {
        let text = text(path)?;
        let is_json = extension.eq_ignore_ascii_case("json");
        let malformed = |source| RecipeError::Malformed { path: path.to_owned(), source };
        wire_of(&text, is_json).map_err(malformed)?
    };
    let root = path.parent().unwrap_or(Path::new(""));
    resolve(wire, name, |model, path| {
        let path = root.join(path.ok_or_else(|| RecipeError::NoPath(model.to_owned()))?);
        if path.is_file() {
            Ok(path)
        } else {
            Err(RecipeError::NoFile { model: model.to_owned(), path })
        }
    })
}

/// Reads the text of a pipeline file, YAML or JSON, whose models lie in an ops center.
///
/// # Errors
/// What is wrong with it, and where.
pub(in crate::ops) fn parse(text: &str, name: Option<&str>) -> Result<Recipe<()>, RecipeError> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(RecipeError::TextTooLarge);
    }
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let wire = wire_of(text, is_json).map_err(RecipeError::MalformedText)?;
    if wire.version.is_some() {
        return Err(RecipeError::Version);
    }
    resolve(wire, name, |model, path| match path {
        None => Ok(()),
        Some(_) => Err(RecipeError::Path(model.to_owned())),
    })
}

fn wire_of(
    text: &str,
    is_json: bool,
) -> Result<FileWire, Box<dyn std::error::Error + Send + Sync>> {
    if is_json {
        return serde_json::from_str(text).map_err(Into::into);
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string().into())
}

fn single(path: &Path) -> FileWire {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
    let name = stem.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let model = ModelWire {
        name: name.clone(),
        path: path.file_name().map(PathBuf::from),
        version: None,
        tensor_fields: Vec::new(),
    };
    let steps = vec![StepWire::of_model(&name)];
    let (models, validations) = (vec![model], Vec::new());
    let log = LogWire::default();
    FileWire { name, version: None, created: None, models, steps, validations, log }
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

fn resolve<P>(
    wire: FileWire,
    name: Option<&str>,
    place: impl Fn(&str, Option<PathBuf>) -> Result<P, RecipeError>,
) -> Result<Recipe<P>, RecipeError> {
    let name = name.map_or(wire.name, str::to_owned);
    checked_name("pipeline", &name)?;
    for (what, found, max) in
        [("models", wire.models.len(), MODELS_MAX), ("steps", wire.steps.len(), STEPS_MAX)]
    {
        if found == 0 || found > max {
            return Err(RecipeError::Count { what, found, max });
        }
    }
    let mut models: Vec<ModelRecipe<P>> = Vec::new();
    for model in wire.models {
        checked_name("model", &model.name)?;
        if models.iter().any(|other| other.name == model.name) {
            return Err(RecipeError::SameName(model.name));
        }
        let ModelWire { name, path, version, tensor_fields } = model;
        let place = place(&name, path)?;
        models.push(ModelRecipe { name, place, version, tensor_fields });
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
    let LogWire { sample, drop, hash, salt } = wire.log;
    let log = LogPolicy { sample, drop, hash, salt };
    log.check().map_err(RecipeError::Log)?;
    Ok(Recipe { name, version: wire.version, created: wire.created, models, steps, log })
}

fn checked_name(what: &'static str, name: &str) -> Result<(), RecipeError> {
    let advice = if what == "pipeline" { ", or give another with --name" } else { "" };
    if is_name(name) {
        Ok(())
    } else {
        Err(RecipeError::Name { what, name: name.to_owned(), advice })
    }
}

#[cfg(test)]
mod tests;
