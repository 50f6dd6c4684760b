//! The `potoroo-engine` command: arguments and environment in, exit code out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's own output")]

use potoroo::engine::{self, Variables, config::SETTINGS};
use potoroo::exit::{Exit, Failure};
use std::process::ExitCode;

/// One word after the program's name.
struct Command {
    name: &'static str,
    /// The one flag that it takes, where it takes one.
    flag: Option<&'static str>,
    meaning: &'static str,
    /// Runs it; the flag is given or not.
    run: fn(Variables, bool) -> Result<(), Failure>,
}

/// A command about the system, with arguments of its own.
struct Administration {
    name: &'static str,
    meaning: &'static str,
    run: fn(Variables, &[&str]) -> Result<(), Failure>,
}

/// Both take `--dry-run` and `--root DIRECTORY`.
const ADMINISTRATION: &[Administration] = &[
    Administration {
        name: "install-service",
        meaning: "Writes a unit of systemd, and these variables into /etc/potoroo/engine.env, which \
                  root alone may read.",
        run: engine::install_service,
    },
    Administration {
        name: "uninstall-service",
        meaning: "Removes that unit; settings and models stay.",
        run: engine::uninstall_service,
    },
];

/// What the program does besides serving; each reads the same environment variables.
const COMMANDS: &[Command] = &[
    Command {
        name: "pull",
        flag: None,
        meaning: "Fetches the pipeline into the persistent directory, verifies it, and ends.",
        run: |variables, _| engine::pull(variables),
    },
    Command {
        name: "models",
        flag: Some("--json"),
        meaning: "Lists the pipelines and models in the persistent directory, each verified.",
        run: engine::models,
    },
    Command {
        name: "logs",
        flag: Some("--arrow"),
        meaning: "Prints what was inferred, a line of JSON for each row, the oldest first; with \
                  --arrow an Arrow file. An engine may be running.",
        run: engine::logs,
    },
    Command {
        name: "gc",
        flag: None,
        meaning: "Takes away what no pipeline in the persistent directory needs; not while an \
                  engine runs.",
        run: |variables, _| engine::gc(variables),
    },
    Command {
        name: "doctor",
        flag: Some("--json"),
        meaning: "Examines settings, device, network, registry and store, and says what to do.",
        run: engine::doctor,
    },
    Command {
        name: "healthcheck",
        flag: None,
        meaning: "Asks the engine on this machine whether it is well; ends with 0 or 1.",
        run: |variables, _| engine::healthcheck(variables),
    },
];

fn main() -> ExitCode {
    // Before anything from outside is read.
    if let Err(failure) = engine::own_volume() {
        return ended(Err(failure));
    }
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    ended(match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => engine::run(environment()),
        ["--help" | "-h" | "help"] => {
            print!("{}", help());
            Ok(())
        }
        ["--version" | "-V"] => {
            println!("potoroo-engine {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        [name, flags @ ..] => command(name, flags),
    })
}

fn ended(end: Result<(), Failure>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(failure) => {
            eprintln!("{}", failure.report());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Variables that are no UTF-8 are none of ours.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn command(name: &str, flags: &[&str]) -> Result<(), Failure> {
    if let Some(Administration { run, .. }) = ADMINISTRATION.iter().find(|it| it.name == name) {
        return run(environment(), flags);
    }
    let known = COMMANDS.iter().find(|command| command.name == name);
    match (known, flags) {
        (Some(command), []) => (command.run)(environment(), false),
        (Some(command), [flag]) if command.flag == Some(*flag) => {
            (command.run)(environment(), true)
        }
        (_, _) => {
            let arguments = [&[name], flags].concat().join(" ");
            Err(Failure::new(Exit::Usage, format!("unknown arguments: {arguments}"))
                .hint("the engine is set up by environment variables: see `potoroo-engine --help`"))
        }
    }
}

fn help() -> String {
    let mut text = String::from(
        "Pulls a published pipeline and serves it over HTTP.\n\n\
         Usage: potoroo-engine [--help | --version | COMMAND]\n\n\
         Commands, all set up by the same environment variables:\n",
    );
    for Command { name, flag, meaning, .. } in COMMANDS {
        let flag = flag.map_or_else(String::new, |flag| format!(" [{flag}]"));
        text.push_str(&format!("  {name}{flag}\n      {meaning}\n"));
    }
    for Administration { name, meaning, .. } in ADMINISTRATION {
        text.push_str(&format!("  {name} [--dry-run] [--root DIRECTORY]\n      {meaning}\n"));
    }
    text.push_str("\nEnvironment variables:\n");
    for setting in SETTINGS {
        text.push_str(&format!(
            "  {}\n      {}\n      default: {}\n",
            setting.name, setting.meaning, setting.default
        ));
    }
    text.push_str("\nExit codes:\n");
    for (exit, meaning) in [
        (Exit::Done, "ended by a signal, in good order"),
        (Exit::Failed, "failed otherwise"),
        (Exit::Usage, "settings are wrong"),
        (Exit::ModelRefused, "a model does not load"),
        (Exit::CredentialsRefused, "the registry refused the credentials"),
        (Exit::NotFound, "the registry has no such pipeline"),
        (Exit::Unreachable, "the registry does not answer"),
        (Exit::Corrupt, "what was fetched is not what its digest says"),
        (Exit::Disk, "the persistent directory cannot be used"),
        (
            Exit::Unsigned,
            "no trusted key has signed the pipeline, and POTOROO_SIGNATURES asks for one",
        ),
    ] {
        text.push_str(&format!("  {}  {meaning}\n", exit as u8));
    }
    text
}
