//! The pipeline file that a person writes, YAML or JSON, and the recipe that is read from it.

use crate::pipeline::{MODELS_MAX, STEPS_MAX};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

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
    /// The models' places in `models`, in the order in which they run.
    pub(super) steps: Vec<usize>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepWire {
    model: String,
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
    let steps = vec![StepWire { model: name.clone() }];
    FileWire { name, version: None, created: None, models: vec![model], steps }
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
    for (index, step) in wire.steps.into_iter().enumerate() {
        match models.iter().position(|model| model.name == step.model) {
            Some(place) => steps.push(place),
            None => {
                return Err(RecipeError::UnknownModel { step: index + 1, model: step.model });
            }
        }
    }
    if let Some(unused) = (0..models.len()).find(|place| !steps.contains(place)) {
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
mod tests {
    use super::*;

    fn recipe(text: &str) -> Result<Recipe, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("m.onnx"), "").unwrap();
        let path = directory.path().join("pipeline.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path, None).map_err(|error| crate::exit::chain(&error))
    }

    #[test]
    fn a_pipeline_file_is_read() {
        let text = "name: fraud\nmodels:\n  - name: a\n    path: m.onnx\n  - name: b\n    \
                    path: m.onnx\n    tensor_fields: [x]\nsteps:\n  - model: b\n  - model: a\n";
        let recipe = recipe(text).unwrap();
        assert_eq!(recipe.steps, [1, 0]);
        assert_eq!(recipe.models[1].tensor_fields, ["x"]);
    }

    #[test]
    fn each_fault_of_a_pipeline_file_has_its_sentence() {
        let model = "models: [{name: a, path: m.onnx}]";
        let cases = [
            (format!("name: Fraud\n{model}\nsteps: [{{model: a}}]"), "`Fraud` cannot be the name"),
            (format!("name: f\n{model}\nsteps: []"), "0 steps"),
            (format!("name: f\n{model}\nsteps: [{{model: b}}]"), "step 1 names the model `b`"),
            (format!("name: f\n{model}\nstep: [{{model: a}}]"), "step"),
            ("name: f\nmodels: [{name: a, path: x.onnx}]\nsteps: [{model: a}]".into(), "not there"),
            (
                "name: f\nmodels: [{name: a, path: m.onnx}, {name: a, path: m.onnx}]\nsteps: \
                 [{model: a}]"
                    .into(),
                "two models are called `a`",
            ),
            (
                "name: f\nmodels: [{name: a, path: m.onnx}, {name: b, path: m.onnx}]\nsteps: \
                 [{model: a}]"
                    .into(),
                "`b` is in no step",
            ),
            ("- 1".into(), "no pipeline file"),
        ];
        for (text, part) in cases {
            let error = recipe(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(part), "{text}\ngave: {error}");
        }
    }

    #[test]
    fn an_onnx_file_alone_is_a_pipeline_of_one_step() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Fraud_MLP.onnx");
        std::fs::write(&path, "").unwrap();
        let recipe = read(&path, None).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.steps.len()), ("fraud-mlp", 1));
        assert_eq!(recipe.models[0].path, path);
    }
}
