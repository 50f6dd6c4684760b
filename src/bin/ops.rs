//! The `potoroo-ops` command: arguments in, what was done and the commands for it out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's own output")]

use clap::{Args, Parser, Subcommand, ValueEnum};
use potoroo::exit::{Exit, Failure};
use potoroo::logging::{self, Verbosity};
use potoroo::oci::{Reference, RegistryHost, Source};
use potoroo::ops::Login;
use potoroo::ops::chart::{Arch, Cpus, EngineConfig, Memory};
use potoroo::ops::export::{Moved, export, import};
use potoroo::ops::handout::Systemd;
use potoroo::ops::keygen::keygen;
use potoroo::ops::publish::{Order, Published, PublishedChart, Target, publish};
use potoroo::ops::sign::{PrivateKey, Signed, Signing};
use potoroo::ops::surroundings::Surroundings;
use potoroo::registry::signature::Form;
use potoroo::registry::{Credentials, Secret};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// A password read from standard input or a file.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// The variable with the password of a private key, the same as cosign's.
const KEY_PASSWORD: &str = "COSIGN_PASSWORD";

/// Publishes pipelines for potoroo engines.
#[derive(Parser)]
#[command(name = "potoroo-ops", version, about)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
    /// Log more to standard error.
    #[arg(long, global = true)]
    debug: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Check the models of a pipeline and push it to a registry or into a directory.
    Publish(PublishArguments),
    /// Make a key pair to sign with, in the form of cosign's.
    Keygen(KeygenArguments),
    /// Write a published pipeline and its signatures into one tar file, an OCI image layout.
    Export(ExportArguments),
    /// Push a pipeline and its signatures from such a tar file to a registry.
    Import(ImportArguments),
}

#[derive(Args)]
struct PublishArguments {
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
    systemd: bool,
    /// Sign it with this private key: a file of `keygen`'s or cosign's, or plain PKCS #8 in PEM.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// How the signature travels: cosign reads both, versions before 3 the tag alone.
    #[arg(long, value_enum, default_value = "both", requires = "sign")]
    sign_form: SignForm,
    /// Read the key's password from this file; `COSIGN_PASSWORD` holds it otherwise.
    #[arg(long, value_name = "FILE", requires = "sign")]
    sign_password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SignForm {
    /// A manifest with the tag `sha256-….sig`.
    Tag,
    /// A Sigstore bundle that refers to the artifact.
    Bundle,
    /// One of each.
    Both,
}

#[derive(Args)]
struct LoginArguments {
    /// The registry's user name.
    #[arg(long, env = "OCI_USERNAME")]
    username: Option<String>,
    /// Read the registry's password from this file; `OCI_PASSWORD` holds it otherwise.
    #[arg(long, conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    /// Read the registry's password from standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Speak to the registry without TLS. Loopback needs no permission.
    #[arg(long)]
    plain_http: bool,
}

#[derive(Args)]
struct KeygenArguments {
    /// The files are `PREFIX.key` and `PREFIX.pub`.
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    output_prefix: String,
    /// Read the key's password from this file; `COSIGN_PASSWORD` holds it otherwise.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Args)]
struct ExportArguments {
    /// `registry/repository:tag`, `…@sha256:…`, or `oci-layout:PATH:TAG`.
    source: Written<Source>,
    /// The tar file, which is replaced when it is there.
    file: PathBuf,
    #[command(flatten)]
    login: LoginArguments,
}

#[derive(Args)]
struct ImportArguments {
    /// The tar file; `oci-layout:PATH:TAG` where it holds several pipelines.
    file: String,
    /// `registry/repository:tag`.
    to: Written<Reference>,
    #[command(flatten)]
    login: LoginArguments,
}

/// What an argument names, and whether it is written with `https://`, which a reference forgets.
#[derive(Clone)]
struct Written<T> {
    it: T,
    is_tls: bool,
}

impl<T: FromStr> FromStr for Written<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        Ok(Written { it: text.parse()?, is_tls: is_tls(text) })
    }
}

fn is_tls(text: &str) -> bool {
    text.starts_with("https://")
}

fn main() -> ExitCode {
    let command = Command::parse();
    logging::start(if command.debug { Verbosity::Debug } else { Verbosity::Normal });
    match command.verb.run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::from(Exit::Done as u8)
        }
        Err(failure) => {
            eprintln!("{}", failure.report());
            ExitCode::from(failure.exit as u8)
        }
    }
}

impl Verb {
    /// Does what was asked and gives what is to be printed.
    fn run(self) -> Result<String, Failure> {
        match self {
            Verb::Publish(arguments) => {
                let systemd = arguments.systemd;
                Ok(report(&publish(&arguments.order()?)?, systemd))
            }
            Verb::Keygen(arguments) => {
                let password = key_password(arguments.password_file.as_deref())?;
                let password = password.ok_or_else(|| {
                    Failure::new(Exit::Usage, "there is no password for the new key").hint(
                        "set COSIGN_PASSWORD, to an empty text if there is to be none, or use \
                         --password-file",
                    )
                })?;
                let files = keygen(&arguments.output_prefix, &password)?;
                Ok(format!(
                    "private key: {}\npublic key: {}\nkey: {}\n",
                    files.private.display(),
                    files.public.display(),
                    files.id
                ))
            }
            Verb::Export(ExportArguments { source, file, login }) => {
                let login = match &source.it {
                    Source::Registry(from) => login.login(&from.registry, source.is_tls)?,
                    Source::Layout { .. } => Login::default(),
                };
                let moved = export(&source.it, &file, &login)?;
                let tag = moved.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
                let url = format!("oci-layout:{}{tag}", file.display());
                Ok(moved_report(&moved, &url))
            }
            Verb::Import(ImportArguments { file, to, login }) => {
                let source: Result<Source, _> = if file.starts_with("oci-layout:") {
                    file.parse()
                } else {
                    Ok(Source::Layout { path: file.into(), version: None })
                };
                let source = source
                    .map_err(|error| Failure::new(Exit::Usage, error).hint("name the tar file"))?;
                let login = login.login(&to.it.registry, to.is_tls)?;
                let moved = import(&source, &to.it, &login)?;
                Ok(moved_report(&moved, &to.it.to_string()))
            }
        }
    }
}

fn moved_report(moved: &Moved, url: &str) -> String {
    let Moved { digest, bytes, signatures, .. } = moved;
    format!("pipeline_url: {url}\ndigest: {digest}\nbytes: {bytes}\nsignatures: {signatures}\n")
}

impl PublishArguments {
    fn order(self) -> Result<Order, Failure> {
        let target = match (&self.layout, &self.registry) {
            (Some(directory), _) => Target::Layout(directory.clone()),
            (None, Some(registry)) => self.registry_target(registry)?,
            (None, None) => {
                let sentence = "there is neither --registry nor --layout";
                return Err(Failure::new(Exit::Usage, sentence).hint("name one of them"));
            }
        };
        let signing = self.signing()?;
        let PublishArguments { file, name, known_answers, engine_url, cpus, .. } = self;
        let (memory, arch) = (self.memory, self.arch);
        let chart = self.chart.then_some(EngineConfig { cpus, memory, arch });
        Ok(Order { file, name, known_answers, target, engine_url, cpus, chart, signing })
    }

    fn registry_target(&self, registry: &str) -> Result<Target, Failure> {
        let bare = registry.trim_start_matches("https://").trim_start_matches("oci://");
        let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
        let host: RegistryHost = host.parse().map_err(|error| {
            Failure::new(Exit::Usage, error).hint("give --registry as host, host:port or host/path")
        })?;
        let login = self.login.login(&host, is_tls(registry))?;
        Ok(Target::Registry { host, prefix: prefix.to_owned(), login: Box::new(login) })
    }

    fn signing(&self) -> Result<Option<Signing>, Failure> {
        let Some(path) = &self.sign else { return Ok(None) };
        let password = key_password(self.sign_password_file.as_deref())?;
        let key = PrivateKey::read(path, password.as_ref()).map_err(|error| {
            Failure::new(Exit::Usage, error).hint(
                "`potoroo-ops keygen` makes a key; COSIGN_PASSWORD or --sign-password-file opens \
                 it; `openssl pkcs8 -topk8 -nocrypt` turns an EC key into PKCS #8",
            )
        })?;
        let forms = match self.sign_form {
            SignForm::Tag => vec![Form::Tag],
            SignForm::Bundle => vec![Form::Bundle],
            SignForm::Both => vec![Form::Tag, Form::Bundle],
        };
        Ok(Some(Signing { key, forms }))
    }
}

/// The password of a private key; it may be empty, and there may be none.
fn key_password(file: Option<&std::path::Path>) -> Result<Option<Secret>, Failure> {
    let text = match file {
        Some(path) => Some(password_of(path)?),
        None => std::env::var(KEY_PASSWORD).ok(),
    };
    Ok(text.map(Secret::new))
}

impl LoginArguments {
    /// With `is_tls`, the registry is spoken to by TLS alone, loopback or not.
    fn login(&self, host: &RegistryHost, is_tls: bool) -> Result<Login, Failure> {
        let when = |wanted: bool| wanted.then(|| host.clone()).into_iter().collect();
        Ok(Login {
            credentials: self.credentials()?,
            plain_http: when(self.plain_http),
            tls_only: when(is_tls),
            surroundings: Surroundings::read()?,
        })
    }

    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let password = match (&self.password_file, self.password_stdin) {
            (Some(path), _) => Some(password_of(path)?),
            (None, true) => Some(password(std::io::stdin().lock())?),
            (None, false) => std::env::var("OCI_PASSWORD").ok().filter(|text| !text.is_empty()),
        };
        match (self.username.clone().filter(|name| !name.is_empty()), password) {
            (Some(username), Some(password)) => {
                Ok(Some(Credentials { username, password: Secret::new(password) }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(Failure::new(Exit::Usage, "there is a user name, but no password")
                    .hint("set OCI_PASSWORD, or use --password-file or --password-stdin"))
            }
            (None, Some(_)) => {
                Err(Failure::new(Exit::Usage, "there is a password, but no user name")
                    .hint("set OCI_USERNAME, or use --username"))
            }
        }
    }
}

fn password_of(path: &std::path::Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|error| {
        let sentence = format!("{} cannot be read: {error}", path.display());
        Failure::new(Exit::Usage, sentence)
    })?;
    password(file)
}

fn password(from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Usage, format!("the password cannot be read: {error}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn report(published: &Published, systemd: bool) -> String {
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
