//! A copy of a pipeline version under another name, in its workspace or another with the same files.

use super::{Fitted, PipelineError, created, steps, text};
use crate::ops::store::{PipelineVersion, StoreError, Tx};
use crate::pipeline::{Definition, ModelKey, Step};
use std::collections::HashMap;

/// The version `from` as a version of the pipeline `name` in a workspace. Nothing is run: the steps
/// and the files are the same.
///
/// # Errors
/// When the workspace lacks the file of a model.
pub(in crate::ops) fn moved(
    tx: &Tx<'_>,
    from: &PipelineVersion,
    workspace: i64,
    name: &str,
    version: String,
    now_ms: i64,
) -> Result<Fitted, PipelineError> {
    let mut definition = Definition::parse(from.config.as_bytes())?;
    let mut keys = HashMap::new();
    for entry in &mut definition.models {
        let key = moved_key(tx, &entry.key, workspace)?;
        keys.insert(entry.key.clone(), key.clone());
        entry.key = key;
    }
    for key in definition.steps.iter_mut().flat_map(keys_of) {
        if let Some(moved) = keys.get(key) {
            *key = moved.clone();
        }
    }
    definition.name = name.to_owned();
    definition.version = version.clone();
    definition.created = Some(created(now_ms));
    Ok(Fitted { version, definition: steps(&definition).to_string(), config: text(&definition) })
}

/// The same model in the workspace: the very version, or one of that name with the same file.
fn moved_key(tx: &Tx<'_>, key: &ModelKey, workspace: i64) -> Result<ModelKey, PipelineError> {
    let sha = key.sha.hex();
    let same = tx.model_version_named(workspace, &key.name, Some(&key.version))?;
    let found = match same.filter(|found| found.sha == sha) {
        Some(found) => Some(found),
        None => tx.model_version_of_file(workspace, &key.name, &sha, &key.version)?,
    };
    let missing = || PipelineError::NotThere { name: key.name.clone(), sha: sha.clone() };
    let found = found.ok_or_else(missing)?;
    let malformed = |_| StoreError::Malformed { what: "a model version" };
    let sha = format!("sha256:{}", found.sha).parse().map_err(malformed)?;
    Ok(ModelKey { name: found.name, version: found.version, sha })
}

fn keys_of(step: &mut Step) -> Vec<&mut ModelKey> {
    match step {
        Step::ModelInference(keys) => keys.iter_mut().collect(),
        Step::RandomSplit(split) => split.weights.iter_mut().map(|(key, _)| key).collect(),
        Step::KeySplit(split) => {
            let routes = split.routes.iter_mut().map(|(_, key)| key);
            std::iter::once(&mut split.control).chain(routes).collect()
        }
        Step::Check(_)
        | Step::AuditResults { .. }
        | Step::MultiOut
        | Step::Nth(_)
        | Step::ColumnsSelect(_) => Vec::new(),
    }
}
