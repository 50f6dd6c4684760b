//! `publish`: its arguments, and what is printed of a publish.

use super::registry::{LoginArguments, external};
use super::signing::SigningArguments;
use crate::exit::{Exit, Failure};
use crate::ops::chart::{Arch, Cpus, EngineConfig, Memory};
use crate::ops::handout::Systemd;
use crate::ops::publish::{Order, Published, PublishedChart, Target};
use crate::ops::settings::External;
use crate::ops::sign::Signed;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct PublishArguments {
    /// A pipeline file (YAML or JSON), or an ONNX file for a pipeline of that one model.
    file: PathBuf,
    /// The pipeline's name, instead of the one in the file.
    #[arg(long)]
    name: Option<String>,
    /// The registry, with a path below it if wanted: `ghcr.io/my-team`.
    #[arg(long, env = "OCI_REGISTRY", required_unless_present = "layout")]
    registry: Option<String>,
    #[command(flatten)]
    login: LoginArguments,
    /// Write an OCI image layout into this directory instead of pushing.
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Rows with the outputs that an engine must give before it serves (JSON).
    #[arg(long, value_name = "FILE")]
    known_answers: Option<PathBuf>,
    /// The engine image for the commands that are printed.
    #[arg(long)]
    engine_url: Option<String>,
    /// Push a Helm chart beside the pipeline, and print the commands that install it.
    #[arg(long, conflicts_with = "layout")]
    chart: bool,
    /// The CPUs of an engine in the commands and in the chart: `4`, `0.5` or `500m`.
    #[arg(long, value_name = "CPUS", default_value = "1")]
    cpus: Cpus,
    /// The memory of an engine in the chart.
    #[arg(long, value_name = "BYTES", default_value = "1Gi", requires = "chart")]
    memory: Memory,
    /// The processor of the chart's nodes, `amd64` or `arm64`; any, where it is left out.
    #[arg(long, requires = "chart")]
    arch: Option<Arch>,
    /// Print a unit of systemd as well, for devices without containers.
    #[arg(long)]
    pub(super) systemd: bool,
    #[command(flatten)]
    signing: SigningArguments,
}

impl PublishArguments {
    /// The order that they are.
    pub(super) fn order(self) -> Result<Order, Failure> {
        let target = match (&self.layout, &self.registry) {
            (Some(directory), _) => Target::Layout(directory.clone()),
            (None, Some(registry)) => self.registry_target(registry)?,
            (None, None) => {
                let sentence = "there is neither --registry nor --layout";
                return Err(Failure::new(Exit::Usage, sentence).hint("name one of them"));
            }
        };
        let signing = self.signing.signing()?;
        let PublishArguments { file, name, known_answers, engine_url, cpus, .. } = self;
        let (memory, arch) = (self.memory, self.arch);
        let chart = self.chart.then_some(EngineConfig { cpus, memory, arch });
        Ok(Order { file, name, known_answers, target, engine_url, cpus, chart, signing })
    }

    fn registry_target(&self, registry: &str) -> Result<Target, Failure> {
        let External { host, prefix, login } = external(registry, &self.login)?;
        Ok(Target::Registry { host, prefix, login })
    }
}

/// The models with their ports, the signatures, and the commands to run it.
pub(super) fn report(published: &Published, systemd: bool) -> String {
    let mut text = String::new();
    for model in &published.models {
        let key = &model.entry.key;
        text.push_str(&format!(
            "model {} version {} sha256 {}\n",
            key.name,
            key.version,
            key.sha.hex()
        ));
        for port in &model.inputs {
            text.push_str(&format!("  input  {} {port}\n", port.name));
        }
        for port in &model.outputs {
            text.push_str(&format!("  output {} {port}\n", port.name));
        }
    }
    for (form, signed) in &published.signed {
        let what = match signed {
            Signed::Made => "made",
            Signed::AlreadyThere => "already there",
        };
        text.push_str(&format!("signature by {form}: {what}\n"));
    }
    text.push_str(&format!(
        "\npipeline_url: {}\ndigest: {}\nengine_url: {}\n",
        published.pipeline_url, published.digest, published.engine_url,
    ));
    if let Some(PublishedChart { helm, .. }) = &published.chart {
        text.push_str(&format!(
            "helm.reference: {}\nhelm.chart: {}\nhelm.version: {}\n",
            helm.reference, helm.chart, helm.version
        ));
    }
    text.push_str(&format!("\n{}\n\ncompose.yaml:\n\n{}", published.docker_run, published.compose));
    if let Some(PublishedChart { commands, values, .. }) = &published.chart {
        text.push_str(&format!("\nlocal-values.yaml:\n\n{values}\n{commands}"));
    }
    if systemd {
        let Systemd { unit, environment } = &published.systemd;
        text.push_str(&format!(
            "\n/etc/systemd/system/potoroo-engine.service:\n\n{unit}\n\
             /etc/potoroo/engine.env (mode 600):\n\n{environment}"
        ));
    }
    text
}
