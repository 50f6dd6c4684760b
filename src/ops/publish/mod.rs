//! Publishing: from a pipeline file or an ONNX file to an artifact that any engine pulls.
//!
//! ```text
//! file ──recipe──▶ models checked as the engine would ──artifact──▶ registry or layout ──▶ handout
//! ```

mod artifact;
mod check;
pub(in crate::ops) mod fit;
mod handout;
mod known;
pub(in crate::ops) mod recipe;

use crate::exit::{Exit, Failure};
use crate::logging::AT_PUBLISH;
use crate::oci::{Descriptor, Digest, Reference, RegistryHost, Tag, Version, media_type};
use crate::ops::Login;
use crate::ops::sign::{Signed, Signing, sign};
use crate::registry::signature::Form;
use crate::registry::{Action, Layout, Pushed, Remote};
use artifact::Artifact;
use std::path::{Path, PathBuf};

pub use check::CheckedModel;

/// What is to be published, and where.
#[derive(Debug)]
pub struct Order {
    /// A pipeline file (YAML or JSON), or an ONNX file for a pipeline of that one model.
    pub file: PathBuf,
    /// The pipeline's name, instead of the one in the file or the ONNX file's own.
    pub name: Option<String>,
    /// A file of known answers that the engine is to prove at its start.
    pub known_answers: Option<PathBuf>,
    /// Where it goes.
    pub target: Target,
    /// The engine image for the commands that are handed out.
    pub engine_url: Option<String>,
    /// With which key it is signed, if it is.
    pub signing: Option<Signing>,
}

/// Where a publish goes.
#[derive(Debug)]
pub enum Target {
    /// A registry: the repository is `{host}/{prefix}/pipelines/{name}`.
    Registry {
        /// The registry.
        host: RegistryHost,
        /// The path before `pipelines/`, often empty.
        prefix: String,
        /// Who pushes, and how.
        login: Box<Login>,
    },
    /// An OCI image layout in this directory, made when it is not there.
    Layout(PathBuf),
}

/// A publish that is there.
#[derive(Debug)]
pub struct Published {
    /// What `PIPELINE_URL` is to be.
    pub pipeline_url: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// The models, as the engine's runtime sees them.
    pub models: Vec<CheckedModel>,
    /// The engine image in the commands below.
    pub engine_url: String,
    /// The forms in which it is signed.
    pub signed: Vec<(Form, Signed)>,
    /// How to run it, ready to paste.
    pub docker_run: String,
    /// The same for `docker compose`.
    pub compose: String,
}

/// Checks the models, and pushes them with their definition.
///
/// # Errors
/// When the file is wrong, a model does not load, or the target refuses.
pub fn publish(order: &Order) -> Result<Published, Failure> {
    let recipe = recipe::read(&order.file, order.name.as_deref()).map_err(|error| {
        Failure::new(Exit::Usage, error).hint("correct the file and publish again")
    })?;
    let known = order.known_answers.as_deref().map(known::read).transpose()?;
    let (definition, models) = check::check(&recipe, known)?;
    let artifact =
        artifact::build(&definition, &models).map_err(|error| Failure::new(Exit::Failed, error))?;
    let tag: Tag = definition.version.parse().map_err(|error| {
        Failure::new(Exit::Usage, error).hint("give the pipeline another version")
    })?;
    let bytes = artifact.manifest_bytes.len() as u64;
    let manifest = Descriptor::new(media_type::MANIFEST, artifact.digest(), bytes);
    let mut signed = Vec::new();
    let pipeline_url = match &order.target {
        Target::Layout(directory) => {
            let layout = Layout::create(directory)?;
            into_layout(&artifact, &layout, &tag)?;
            if let Some(signing) = &order.signing {
                // Which registry it goes to later is not known here.
                let name = format!("pipelines/{}", definition.name);
                signed = sign(signing, &name, &manifest, &layout, &mut |signature| {
                    layout.put_attached(&manifest.digest, signature)
                })?;
            }
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
            format!("oci-layout:{}:{tag}", directory.display())
        }
        Target::Registry { host, prefix, login } => {
            let repository = [prefix.trim_matches('/'), "pipelines", &definition.name]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("/");
            let reference: Reference =
                format!("{host}/{repository}:{tag}").parse().map_err(|error| {
                    Failure::new(Exit::Usage, error)
                        .hint("check --registry and the pipeline's name")
                })?;
            let remote = login.remote(&reference);
            into_registry(&artifact, &remote, &reference.version)?;
            if let Some(signing) = &order.signing {
                let name = format!("{host}/{repository}");
                signed = sign(signing, &name, &manifest, &remote, &mut |signature| {
                    remote.push_attached(&manifest.digest, signature)
                })?;
            }
            reference.to_string()
        }
    };
    let handout = handout::Handout::new(order, &pipeline_url);
    Ok(Published {
        digest: artifact.digest(),
        models,
        signed,
        docker_run: handout.docker_run(),
        compose: handout.compose(),
        engine_url: handout.engine_url,
        pipeline_url,
    })
}

fn into_layout(artifact: &Artifact, layout: &Layout, tag: &Tag) -> Result<(), Failure> {
    layout.put_blob_from(&artifact.manifest.config, &mut artifact.config.as_slice())?;
    for (layer, file) in artifact.layers() {
        layout.put_blob_from(layer, &mut opened(file)?)?;
    }
    layout.put_manifest(tag, &artifact.manifest_bytes)?;
    Ok(())
}

fn into_registry(artifact: &Artifact, remote: &Remote, version: &Version) -> Result<(), Failure> {
    remote.login(Action::Push)?;
    let config = &artifact.config;
    remote.push_blob(&artifact.manifest.config, &mut || {
        Ok(Box::new(std::io::Cursor::new(config.clone())))
    })?;
    for (layer, file) in artifact.layers() {
        let Descriptor { digest, size, .. } = layer;
        let pushed = remote.push_blob(layer, &mut || Ok(Box::new(std::fs::File::open(file)?)))?;
        match pushed {
            Pushed::Sent => log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=sent"),
            Pushed::AlreadyThere => {
                log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=\"already there\"");
            }
        }
    }
    remote.push_manifest(version, &artifact.manifest_bytes)?;
    Ok(())
}

fn opened(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| {
        let sentence = format!("{} cannot be read: {error}", path.display());
        Failure::new(Exit::Usage, sentence)
    })
}
