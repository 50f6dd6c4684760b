//! The command line of `potoroo-ops`: arguments in, what was done and the commands for it out.

// A verb has a file of its own. Those that ask an ops center take `CenterArguments`, and print a
// table, or with `--json` the API's own answer.

mod backup;
mod carry;
mod center;
mod drift;
mod edge;
mod keep;
mod logs;
mod model;
mod password;
mod pipeline;
mod progress;
mod publish;
mod publishes;
mod registry;
mod rollout;
mod serve;
mod signing;
mod table;
mod token;
mod user;
mod workspace;

use crate::exit::{Exit, Failure};
use center::CenterArguments;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;

/// Publishes pipelines for potoroo engines, and runs the ops center.
#[derive(Parser)]
#[command(name = "potoroo-ops", version, about)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
    /// Log more to standard error.
    #[arg(long, global = true)]
    pub debug: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the ops center: API, publishing, edges, and a registry of its own.
    Serve(Box<serve::ServeArguments>),
    /// Ask the ops center on this machine whether it is well; ends with 0 or 1.
    Healthcheck(serve::HealthcheckArguments),
    /// Write all records, keys and files of an ops center into one tar file; it may be running.
    Backup(backup::BackupArguments),
    /// Make a data directory again from such a file.
    Restore(backup::RestoreArguments),
    /// Publish a pipeline file without an ops center; `start`, `list` and `show` ask an ops center.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Publish(Box<PublishCommand>),
    /// Sign in to an ops center, and keep a token for it.
    Login(LoginAtCenter),
    /// Forget the kept token.
    Logout,
    /// Tokens that programs show.
    Token(AtCenter<token::TokenVerb>),
    /// Users: list, invite, let in and out.
    User(AtCenter<user::UserVerb>),
    /// Workspaces, and who is in them.
    Workspace(AtCenter<workspace::WorkspaceVerb>),
    /// Models: upload, list, show.
    Model(AtCenter<model::ModelVerb>),
    /// Pipelines: save versions, list, show.
    Pipeline(AtCenter<pipeline::PipelineVerb>),
    /// Edges: add with a bundle, list, assign another publish, remove.
    Edge(AtCenter<edge::EdgeVerb>),
    /// Rollouts: bring a publish to many edges in waves.
    Rollout(AtCenter<rollout::RolloutVerb>),
    /// What edges inferred with a pipeline: the last of it, or as it comes.
    Logs(AtCenterWith<logs::LogsArguments>),
    /// All that edges inferred with a pipeline as one file: Arrow, Parquet or CSV.
    ExportLogs(AtCenterWith<logs::ExportArguments>),
    /// Drift: how far what edges infer has moved from a baseline.
    Drift(AtCenter<drift::DriftVerb>),
    /// Take away files that nothing names any more; the ops center does so itself each hour.
    Gc(AtCenterAlone),
    /// Make a key pair to sign with, in the form of cosign's.
    Keygen(carry::KeygenArguments),
    /// Write a published pipeline and its signatures into one tar file, an OCI image layout.
    Export(carry::ExportArguments),
    /// Push a pipeline and its signatures from such a tar file to a registry.
    Import(carry::ImportArguments),
    /// Load and run a model for the ops center, which starts this by itself.
    #[command(hide = true)]
    Trial,
    /// Print the completion of a shell, to be read by it at its start.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// A verb that asks an ops center.
#[derive(Args)]
struct AtCenter<V: Subcommand> {
    #[command(subcommand)]
    verb: V,
    #[command(flatten)]
    center: CenterArguments,
}

/// A command that asks an ops center.
#[derive(Args)]
struct AtCenterWith<A: Args> {
    #[command(flatten)]
    arguments: A,
    #[command(flatten)]
    center: CenterArguments,
}

/// A command that asks an ops center, and has nothing to say to it.
#[derive(Args)]
struct AtCenterAlone {
    #[command(flatten)]
    center: CenterArguments,
}

#[derive(Args)]
struct LoginAtCenter {
    #[command(flatten)]
    login: token::LoginCommand,
    #[command(flatten)]
    center: CenterArguments,
}

#[derive(Args)]
struct PublishCommand {
    #[command(subcommand)]
    at_center: Option<publishes::PublishVerb>,
    #[command(flatten)]
    file: Option<publish::PublishArguments>,
    #[command(flatten)]
    center: CenterArguments,
}

impl Command {
    /// Does what was asked and gives what is to be printed.
    ///
    /// # Errors
    /// What failed, with the exit code and what to do next.
    pub fn run(self) -> Result<String, Failure> {
        match self.verb {
            Verb::Serve(arguments) => {
                super::serve::serve(arguments.settings()?).map(|()| String::new())
            }
            Verb::Healthcheck(arguments) => arguments.run().map(|()| String::new()),
            Verb::Publish(command) => command.run(),
            Verb::Login(LoginAtCenter { login, center }) => login.run(&center),
            Verb::Logout => Ok(token::logout()),
            Verb::Token(AtCenter { verb, center }) => verb.run(&center),
            Verb::User(AtCenter { verb, center }) => verb.run(&center),
            Verb::Workspace(AtCenter { verb, center }) => verb.run(&center),
            Verb::Model(AtCenter { verb, center }) => verb.run(&center),
            Verb::Pipeline(AtCenter { verb, center }) => verb.run(&center),
            Verb::Edge(AtCenter { verb, center }) => verb.run(&center),
            Verb::Rollout(AtCenter { verb, center }) => verb.run(&center),
            Verb::Logs(AtCenterWith { arguments, center }) => arguments.run(&center),
            Verb::ExportLogs(AtCenterWith { arguments, center }) => arguments.run(&center),
            Verb::Drift(AtCenter { verb, center }) => verb.run(&center),
            Verb::Gc(AtCenterAlone { center }) => {
                let swept = center.client()?.post("garbage/collect", &serde_json::json!({}))?;
                Ok(told(&center, &swept, || {
                    format!("took away {} files of {} bytes\n", swept["blobs"], swept["bytes"])
                }))
            }
            Verb::Backup(arguments) => arguments.run(),
            Verb::Restore(arguments) => arguments.run(),
            Verb::Keygen(arguments) => arguments.run(),
            Verb::Export(arguments) => arguments.run(),
            Verb::Import(arguments) => arguments.run(),
            Verb::Completion { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Command::command(), "potoroo-ops", &mut script);
                String::from_utf8(script).map_err(|error| Failure::new(Exit::Failed, error))
            }
            Verb::Trial => super::trial::answer().map(|()| String::new()),
        }
    }
}

impl PublishCommand {
    fn run(self) -> Result<String, Failure> {
        match (self.at_center, self.file) {
            (Some(verb), _) => verb.run(&self.center),
            (None, Some(arguments)) => {
                let systemd = arguments.systemd;
                Ok(publish::report(&super::publish::publish(&arguments.order()?)?, systemd))
            }
            (None, None) => Err(Failure::new(Exit::Usage, "no file and no verb is named").hint(
                "`potoroo-ops publish FILE --registry HOST` publishes a file, `potoroo-ops publish start \
                 PIPELINE` asks an ops center to",
            )),
        }
    }
}

/// The API's own answer for programs, or what `table` makes of it for people.
fn told(center: &CenterArguments, answer: &Value, table: impl FnOnce() -> String) -> String {
    match center.json {
        true => format!("{answer:#}\n"),
        false => table(),
    }
}
