//! The command line of `potoroo-ops`: arguments in, what was done and the commands for it out.

mod backup;
mod carry;
mod password;
mod publish;
mod registry;
mod serve;

use crate::exit::Failure;
use clap::{Parser, Subcommand};

/// Publishes pipelines for potoroo engines.
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
    Serve(serve::ServeArguments),
    /// Write all records, keys and files of an ops center into one tar file; it may be running.
    Backup(backup::BackupArguments),
    /// Make a data directory again from such a file.
    Restore(backup::RestoreArguments),
    /// Check the models of a pipeline and push it to a registry or into a directory.
    Publish(publish::PublishArguments),
    /// Make a key pair to sign with, in the form of cosign's.
    Keygen(carry::KeygenArguments),
    /// Write a published pipeline and its signatures into one tar file, an OCI image layout.
    Export(carry::ExportArguments),
    /// Push a pipeline and its signatures from such a tar file to a registry.
    Import(carry::ImportArguments),
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
            Verb::Publish(arguments) => {
                Ok(publish::report(&super::publish::publish(&arguments.order()?)?))
            }
            Verb::Backup(arguments) => arguments.run(),
            Verb::Restore(arguments) => arguments.run(),
            Verb::Keygen(arguments) => arguments.run(),
            Verb::Export(arguments) => arguments.run(),
            Verb::Import(arguments) => arguments.run(),
        }
    }
}
