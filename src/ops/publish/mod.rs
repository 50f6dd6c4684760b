//! Publishing: from a pipeline file or an ONNX file to an artifact that any engine pulls.
//!
//! ```text
//! file ──recipe──▶ models checked as the engine would ──artifact──▶ registry or layout ──▶ handout
//! ```

pub(in crate::ops) mod artifact;
mod check;
pub(in crate::ops) mod deliver;
pub(in crate::ops) mod fit;
mod known;
pub(in crate::ops) mod recipe;

use crate::exit::{Exit, Failure};
use crate::logging::AT_PUBLISH;
use crate::oci::{Digest, Reference, ReferenceError, RegistryHost, Tag};
use crate::ops::Login;
use crate::ops::chart::{Chart, Cpus, EngineConfig, Helm, Spec};
use crate::ops::handout::{Handout, Systemd};
use crate::ops::sign::{Signed, Signing, sign};
use crate::pipeline::Definition;
use crate::registry::Layout;
use crate::registry::signature::Form;
use deliver::{into_layout, into_registry, unwatched};
use std::path::PathBuf;

pub use check::{CheckedModel, SideFile};

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
    /// The CPUs of an engine in the commands that are handed out.
    pub cpus: Cpus,
    /// Whether a Helm chart goes beside the pipeline, and what its engines get.
    pub chart: Option<EngineConfig>,
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
    /// The same for a device without containers.
    pub systemd: Systemd,
    /// The chart, where one was asked for.
    pub chart: Option<PublishedChart>,
}

/// A chart that is there.
#[derive(Debug)]
pub struct PublishedChart {
    /// What it is called.
    pub helm: Helm,
    /// The commands that install it.
    pub commands: String,
    /// The values file that they read.
    pub values: String,
}

/// The engine image of this version, where a registry of its own is asked for.
const ENGINE_IMAGE: &str = "engines/potoroo-engine";

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
    let files = models.iter().map(artifact::ModelFile::from);
    let artifact = artifact::build(&definition, definition.to_json(), files)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let tag: Tag = definition.version.parse().map_err(|error| {
        Failure::new(Exit::Usage, error).hint("give the pipeline another version")
    })?;
    let manifest = artifact.descriptor();
    let mut signed = Vec::new();
    let mut chart = None;
    let engine_url = engine_url(order);
    let planned = planned_chart(order, &definition, &engine_url)?;
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
            let reference = pipeline_reference(host, prefix, &definition)?;
            let repository = &reference.repository;
            let remote = login.remote(&reference);
            into_registry(&artifact, &remote, &reference.version, &unwatched())?;
            if let Some(signing) = &order.signing {
                let name = format!("{host}/{repository}");
                signed = sign(signing, &name, &manifest, &remote, &mut |signature| {
                    remote.push_attached(&manifest.digest, signature)
                })?;
            }
            if let Some((built, place)) = &planned {
                let digest = built.push(&login.remote(place))?;
                log::info!(target: AT_PUBLISH, "digest={digest} msg=\"chart sent\"");
                chart = Some(built.helm(host, prefix));
            }
            reference.to_string()
        }
    };
    let registry = match &order.target {
        Target::Registry { host, .. } => Some(host),
        Target::Layout(_) => None,
    };
    let handout = Handout {
        engine_url: &engine_url,
        pipeline_url: &pipeline_url,
        registry,
        cpus: order.cpus.whole(),
        edge_bundle: None,
        chart: chart.as_ref(),
    };
    Ok(Published {
        digest: artifact.digest(),
        models,
        signed,
        docker_run: handout.docker_run(),
        compose: handout.compose(),
        systemd: handout.systemd(),
        chart: handout
            .helm()
            .zip(handout.helm_values())
            .zip(chart.clone())
            .map(|((commands, values), helm)| PublishedChart { helm, commands, values }),
        engine_url,
        pipeline_url,
    })
}

/// The engine image: the one that was asked for, or that of this version beside the pipelines.
fn engine_url(order: &Order) -> String {
    let version = env!("CARGO_PKG_VERSION");
    order.engine_url.clone().unwrap_or_else(|| match &order.target {
        Target::Registry { host, prefix, .. } => {
            let prefix = prefix.trim_matches('/');
            let slash = if prefix.is_empty() { "" } else { "/" };
            format!("{host}/{prefix}{slash}{ENGINE_IMAGE}:v{version}")
        }
        Target::Layout(_) => format!("localhost/potoroo-engine:v{version}"),
    })
}

/// Where the pipeline goes in a registry: `{host}/{prefix}/pipelines/{name}:{version}`.
fn pipeline_reference(
    host: &RegistryHost,
    prefix: &str,
    definition: &Definition,
) -> Result<Reference, Failure> {
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let Definition { name, version, .. } = definition;
    format!("{host}/{prefix}{slash}pipelines/{name}:{version}").parse().map_err(|error| {
        Failure::new(Exit::Usage, error).hint("check --registry and the pipeline's name")
    })
}

/// The chart that was asked for and its place, made before anything is sent: what is wrong with it
/// leaves no pipeline behind.
fn planned_chart(
    order: &Order,
    definition: &Definition,
    engine_url: &str,
) -> Result<Option<(Chart, Reference)>, Failure> {
    let (Some(engine), Target::Registry { host, prefix, .. }) = (&order.chart, &order.target)
    else {
        return Ok(None);
    };
    let wrong = |error| Failure::new(Exit::Usage, error).hint("or publish without --chart");
    let image: Reference = engine_url.parse().map_err(|error: ReferenceError| {
        let hint = "a chart wants the image with its registry: --engine-url docker.io/me/engine:v1";
        Failure::new(Exit::Usage, error).hint(hint)
    })?;
    let spec = Spec {
        pipeline: definition.name.clone(),
        version: definition.version.clone(),
        pipeline_url: pipeline_reference(host, prefix, definition)?,
        app_version: match image.version.tag() {
            Some(tag) => tag.to_string(),
            None => format!("v{}", env!("CARGO_PKG_VERSION")),
        },
        engine_url: image,
        registry: host.clone(),
        engine: engine.clone(),
    };
    let chart = Chart::build(&spec).map_err(wrong)?;
    let place = chart.place(host, prefix).map_err(wrong)?;
    Ok(Some((chart, place)))
}
