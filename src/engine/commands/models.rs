//! `models`: what is in the store, by pipeline and model, and whether it is what its digests say.

use super::persist;
use crate::clock::DeviceClock;
use crate::engine::artifact::Artifact;
use crate::engine::store::{Kept, Store};
use crate::engine::{Variables, start_logging};
use crate::exit::{self, Exit, Failure};
use crate::logging::announce;
use crate::oci::{CONFIG_BYTES_MAX, Descriptor, Source, Version};
use crate::pipeline::{ModelKey, SideFiles};
use crate::registry::Layout;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// What the store holds.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    directory: &'a Path,
    pipelines: Vec<Pipeline>,
}

#[derive(Debug, Serialize)]
struct Pipeline {
    /// `current` or `previous`.
    role: &'static str,
    #[serde(flatten)]
    kept: Kept,
    name: Option<String>,
    version: Option<String>,
    models: Vec<Model>,
    verified: bool,
    /// What is wrong with its manifest or its config, where something is.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    version: String,
    sha: String,
    bytes: u64,
    verified: bool,
    /// What is wrong with its file, where something is.
    problem: Option<String>,
}

/// Prints what the store holds, for people or as JSON; every file is read through and verified.
///
/// An engine may be running meanwhile.
///
/// # Errors
/// When the store cannot be read, or something in it is damaged.
pub fn models(variables: Variables, as_json: bool) -> Result<(), Failure> {
    start_logging(&variables);
    let directory = persist(variables)?;
    let store = Store::look(&directory, Arc::new(DeviceClock))?;
    let pipelines = store.as_ref().map_or_else(Vec::new, pipelines);
    let damaged = pipelines.iter().filter(|pipeline| !pipeline.verified).count();
    let listing = Listing { directory: &directory, pipelines };
    if as_json {
        let text = serde_json::to_string_pretty(&listing);
        announce(&text.map_err(|error| Failure::new(Exit::Failed, error))?);
    } else {
        announce(listing.for_people().trim_end());
    }
    if damaged == 0 {
        return Ok(());
    }
    let sentence =
        format!("{damaged} of the pipelines in {} cannot be served", directory.display());
    Err(Failure::new(Exit::Corrupt, sentence).hint(
        "start the engine, or run `potoroo-engine pull`, with the registry in reach: what is \
         damaged is fetched again",
    ))
}

fn pipelines(store: &Store) -> Vec<Pipeline> {
    let (current, previous) = store.current_and_previous();
    let roles = [("current", current), ("previous", previous)];
    roles
        .into_iter()
        .filter_map(|(role, kept)| Some(pipeline(store.layout(), role, kept?)))
        .collect()
}

fn pipeline(layout: &Layout, role: &'static str, kept: Kept) -> Pipeline {
    match artifact(layout, &kept) {
        Ok(Artifact { definition, layers, beside }) => {
            let keys = definition.models.iter().map(|entry| &entry.key);
            let models: Vec<Model> = keys
                .filter_map(|key| {
                    let layer = layers.iter().find(|layer| layer.digest == key.sha)?;
                    let others = beside.get(key).into_iter().flat_map(SideFiles::values);
                    let others =
                        layers.iter().filter(|one| others.clone().any(|it| *it == one.digest));
                    Some(model(layout, key, layer, others))
                })
                .collect();
            let verified = models.iter().all(|model| model.verified);
            let (name, version) = (Some(definition.name), Some(definition.version));
            Pipeline { role, kept, name, version, models, verified, problem: None }
        }
        Err(failure) => Pipeline {
            role,
            kept,
            name: None,
            version: None,
            models: Vec::new(),
            verified: false,
            problem: Some(exit::chain(&*failure.error)),
        },
    }
}

fn artifact(layout: &Layout, kept: &Kept) -> Result<Artifact, Failure> {
    let source: Source = kept.url.parse().map_err(|error| Failure::new(Exit::Corrupt, error))?;
    let manifest = layout.manifest(&Version::Digest(kept.digest))?.manifest;
    let config = layout.read_blob(&manifest.config, CONFIG_BYTES_MAX)?;
    Artifact::read(&source, &manifest, &config)
}

/// What is told of a model: it is right when the `others` beside its file are, too.
fn model<'l>(
    layout: &Layout,
    key: &ModelKey,
    layer: &'l Descriptor,
    mut others: impl Iterator<Item = &'l Descriptor>,
) -> Model {
    let problem = |layer| layout.verify_blob(layer).err().map(|error| exit::chain(&error));
    let problem = problem(layer).or_else(|| others.find_map(problem));
    Model {
        name: key.name.clone(),
        version: key.version.clone(),
        sha: key.sha.hex(),
        bytes: layer.size,
        verified: problem.is_none(),
        problem,
    }
}

impl Listing<'_> {
    fn for_people(&self) -> String {
        let directory = self.directory.display();
        if self.pipelines.is_empty() {
            return format!("{directory} holds no pipeline yet");
        }
        let mut text = String::new();
        let verified = |problem: &Option<String>| match problem {
            None => "verified".to_owned(),
            Some(problem) => format!("NOT RIGHT: {problem}"),
        };
        for Pipeline { role, kept, name, version, models, problem, .. } in &self.pipelines {
            let name = name.as_deref().unwrap_or("(unknown)");
            let version = version.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{role} pipeline {name} {version}");
            let _ = writeln!(text, "  url     {}", kept.url);
            let _ = writeln!(text, "  digest  {} {}", kept.digest, verified(problem));
            let _ = writeln!(text, "  since   {}", kept.since);
            for Model { name, version, sha, bytes, problem, .. } in models {
                let _ = writeln!(text, "  model   {name} {version}");
                let _ =
                    writeln!(text, "          sha256 {sha}, {bytes} bytes, {}", verified(problem));
            }
        }
        text
    }
}
