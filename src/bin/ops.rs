//! The `potoroo-ops` command: arguments in, a publish and its commands out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's own output")]

use clap::{Args, Parser, Subcommand};
use potoroo::exit::{Exit, Failure};
use potoroo::logging::{self, Verbosity};
use potoroo::oci::RegistryHost;
use potoroo::ops::publish::{Order, Published, Target, publish};
use potoroo::ops::surroundings::Surroundings;
use potoroo::registry::{Credentials, Secret};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// A password read from standard input or a file.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

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
    /// Write an OCI image layout into this directory instead of pushing.
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Rows with the outputs that an engine must give before it serves (JSON).
    #[arg(long, value_name = "FILE")]
    known_answers: Option<PathBuf>,
    /// The engine image for the commands that are printed.
    #[arg(long)]
    engine_url: Option<String>,
}

fn main() -> ExitCode {
    let command = Command::parse();
    logging::start(if command.debug { Verbosity::Debug } else { Verbosity::Normal });
    let ended = match command.verb {
        Verb::Publish(arguments) => arguments.order().and_then(|order| publish(&order)),
    };
    match ended {
        Ok(published) => {
            print!("{}", report(&published));
            ExitCode::from(Exit::Done as u8)
        }
        Err(failure) => {
            eprintln!("{}", failure.report());
            ExitCode::from(failure.exit as u8)
        }
    }
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
        let PublishArguments { file, name, known_answers, engine_url, .. } = self;
        Ok(Order { file, name, known_answers, target, engine_url })
    }

    fn registry_target(&self, registry: &str) -> Result<Target, Failure> {
        let bare = registry.trim_start_matches("https://").trim_start_matches("oci://");
        let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
        let host: RegistryHost = host.parse().map_err(|error| {
            Failure::new(Exit::Usage, error).hint("give --registry as host, host:port or host/path")
        })?;
        let plain_http = if self.plain_http { vec![host.clone()] } else { Vec::new() };
        let is_tls = registry.starts_with("https://");
        Ok(Target::Registry {
            tls_only: is_tls.then(|| host.clone()).into_iter().collect(),
            prefix: prefix.to_owned(),
            credentials: self.credentials()?,
            surroundings: Box::new(Surroundings::read()?),
            plain_http,
            host,
        })
    }

    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let password = match (&self.password_file, self.password_stdin) {
            (Some(path), _) => {
                let file = std::fs::File::open(path).map_err(|error| {
                    let sentence = format!("{} cannot be read: {error}", path.display());
                    Failure::new(Exit::Usage, sentence)
                })?;
                Some(password(file)?)
            }
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

fn password(from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Usage, format!("the password cannot be read: {error}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn report(published: &Published) -> String {
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
    text.push_str(&format!(
        "\npipeline_url: {}\ndigest: {}\nengine_url: {}\n\n{}\n\ncompose.yaml:\n\n{}",
        published.pipeline_url,
        published.digest,
        published.engine_url,
        published.docker_run,
        published.compose
    ));
    text
}
