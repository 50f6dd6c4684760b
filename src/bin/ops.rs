//! The `potoroo-ops` command: arguments in, exit code out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's own output")]

use clap::Parser;
use potoroo::exit::Exit;
use potoroo::logging::{self, Verbosity};
use potoroo::ops::cli::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = Command::parse();
    logging::start(if command.debug { Verbosity::Debug } else { Verbosity::Normal });
    match command.run() {
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
