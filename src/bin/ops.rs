//! The `potoroo-ops` command: arguments in, exit code out.

#![expect(clippy::print_stderr, reason = "a command's own output")]

use clap::Parser;
use potoroo::exit::Exit;
use potoroo::logging::{self, Verbosity};
use potoroo::ops::cli::Command;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = Command::parse();
    logging::start(if command.debug { Verbosity::Debug } else { Verbosity::Normal });
    match command.run() {
        Ok(text) => match std::io::stdout().lock().write_all(text.as_bytes()) {
            // Whoever read it has read enough, as `head` does.
            Ok(()) => ExitCode::from(Exit::Done as u8),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(Exit::Done as u8),
            Err(error) => {
                eprintln!("error: standard output cannot be written: {error}");
                ExitCode::from(Exit::Failed as u8)
            }
        },
        Err(failure) => {
            eprintln!("{}", failure.report());
            ExitCode::from(failure.exit as u8)
        }
    }
}
