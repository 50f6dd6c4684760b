//! Pipelines: saved as immutable versions, whose steps were run before, and copied.
//!
//! ```text
//! definition or recipe ──draft──▶ every model found ──trial──▶ steps fit ──▶ version with its config blob
//! ```
//! The config blob is made once, at saving, so that each publish of a version has the same bytes.

mod copied;
mod draft;

pub(in crate::ops) use copied::moved;
pub(in crate::ops) use draft::{Draft, Form, PipelineError};

use super::center::Center;
use super::store::StoreError;
use super::trial::{Bounds, Order, Verdict, hold};
use crate::clock::rfc3339;
use crate::pipeline::{Definition, ModelEntry};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long the steps of a pipeline may take to load and run: a client waits for it.
const TRIAL_TIME: Duration = Duration::from_secs(120);

/// Held while the steps of a pipeline are tried: one at a time, as memory is counted on.
static TRYING: Mutex<()> = Mutex::new(());

/// A definition as it is published, with the JSON that people see.
#[derive(Debug)]
pub(in crate::ops) struct Fitted {
    /// A UUID.
    pub version: String,
    /// JSON, as it was sent, or what was sent as a recipe.
    pub definition: String,
    /// JSON: the config blob.
    pub config: String,
}

/// Runs the steps of a draft, and completes its definition by what they tell.
///
/// # Errors
/// What does not fit, and where.
pub(in crate::ops) fn fitted(
    center: &Center,
    draft: Draft,
    version: String,
    now_ms: i64,
) -> Result<Fitted, PipelineError> {
    let Draft { mut definition, sent, files, .. } = draft;
    definition.version = version.clone();
    if definition.created.is_none() {
        definition.created = Some(created(now_ms));
    }
    let beside = beside(center, &definition)?;
    let order = Order::Pipeline { config: text(&definition), files: paths(center, &files), beside };
    let held = {
        let _trying = TRYING.lock().unwrap_or_else(PoisonError::into_inner);
        hold(center.models.program(), &order, Bounds::of(TRIAL_TIME))
    };
    let config = match held? {
        Verdict::Pipeline { config } => config,
        Verdict::Unfit { sentence, hint } => return Err(PipelineError::unfit(sentence, hint)),
        Verdict::Model(_) => {
            let sentence = "the check gave the verdict of something else: save it again";
            return Err(PipelineError::unfit(sentence.to_owned(), None));
        }
    };
    // The process ran strangers' models: of what it says, only what the steps tell is taken.
    let told = Definition::parse(config.as_bytes())?;
    definition.inputs = told.inputs;
    definition.outputs = told.outputs;
    definition.known_answers = told.known_answers;
    let sent = sent.unwrap_or_else(|| steps(&definition));
    let (definition, config) = (sent.to_string(), text(&definition));
    Ok(Fitted { version, definition, config })
}

/// When a version was saved, as its config tells it.
fn created(now_ms: i64) -> String {
    rfc3339(Duration::from_millis(u64::try_from(now_ms).unwrap_or(0)))
}

fn paths(center: &Center, files: &[String]) -> BTreeMap<String, std::path::PathBuf> {
    let path = |sha: &String| Some((sha.clone(), center.models.file(sha)?));
    files.iter().filter_map(path).collect()
}

/// The files beside those of the models, by version and location.
fn beside(
    center: &Center,
    definition: &Definition,
) -> Result<BTreeMap<String, BTreeMap<String, std::path::PathBuf>>, StoreError> {
    center.store.read(|tx| {
        let of_model = |entry: &ModelEntry| {
            let files = tx.side_files_by_uuid(&entry.key.version)?;
            Ok((entry.key.version.clone(), center.models.beside(&files)))
        };
        definition.models.iter().map(of_model).collect()
    })
}

/// The config blob's text; what `to_json` writes is UTF-8.
fn text(definition: &Definition) -> String {
    String::from_utf8_lossy(&definition.to_json()).into_owned()
}

/// The original's `definition` of a pipeline that was not sent in this form.
fn steps(definition: &Definition) -> serde_json::Value {
    let config: serde_json::Value =
        serde_json::from_slice(&definition.to_json()).unwrap_or_default();
    serde_json::json!({ "id": config["id"], "steps": config["steps"] })
}
