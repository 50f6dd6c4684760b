//! The engine as a process, and `curl` as its client.

use super::ops::publish_layout;
use super::process::{Ended, Running, run};
use super::{fixture, python};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// `potoroo-engine` on a free loopback port with an empty persistent directory.
pub struct Engine {
    pub process: Running,
    /// `127.0.0.1:port`.
    pub address: String,
    _home: Option<TempDir>,
}

/// The engine under test: the one that was built with the tests, or that `POTOROO_ENGINE` names.
pub fn path() -> PathBuf {
    let named = std::env::var_os("POTOROO_ENGINE");
    named.map_or_else(built, PathBuf::from)
}

/// The engine that was built with the tests, whatever is under test.
pub fn built() -> PathBuf {
    env!("CARGO_BIN_EXE_potoroo-engine").into()
}

/// The engine's command with an environment of its own, keeping models in `persist`.
pub fn command(persist: &Path) -> Command {
    command_of(&path(), persist)
}

fn command_of(program: &Path, persist: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("POTOROO_LISTEN", "127.0.0.1:0")
        .env("POTOROO_PERSIST", persist)
        .env("POTOROO_GRACE_SECONDS", "0")
        .env("CONFIG_CPUS", "2");
    command
}

impl Engine {
    /// Starts with these further variables and waits until it listens.
    pub fn start(variables: &[(&str, &str)]) -> Engine {
        Engine::start_after("true", variables)
    }

    /// The same after these words of a shell, such as `ulimit -n 64`.
    pub fn start_after(words: &str, variables: &[(&str, &str)]) -> Engine {
        let home = tempfile::tempdir().unwrap();
        let started = Engine::start_in_after(home.path(), words, variables);
        Engine { _home: Some(home), ..started }
    }

    /// Starts this engine instead of the one under test.
    pub fn start_of(program: &Path, variables: &[(&str, &str)]) -> Engine {
        let home = tempfile::tempdir().unwrap();
        let started = Engine::start_by(&command_of(program, home.path()), "true", variables);
        Engine { _home: Some(home), ..started }
    }

    /// The same with a persistent directory that outlives it.
    pub fn start_in(home: &Path, variables: &[(&str, &str)]) -> Engine {
        Engine::start_in_after(home, "true", variables)
    }

    fn start_in_after(home: &Path, words: &str, variables: &[(&str, &str)]) -> Engine {
        Engine::start_by(&command(home), words, variables)
    }

    fn start_by(plain: &Command, words: &str, variables: &[(&str, &str)]) -> Engine {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{words} && exec \"$0\"")]).arg(plain.get_program());
        let own = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(own).envs(variables.iter().copied());
        let mut process = Running::start(&mut command);
        let line = process.line_with("msg=ready");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("listen="));
        let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
        Engine { process, address, _home: None }
    }

    /// Publishes a fixture (a pipeline file or a model) into a layout and serves it.
    pub fn serving(file: &str) -> Engine {
        let layout = tempfile::tempdir().unwrap();
        let published = publish_layout(&fixture(file), layout.path());
        // The engine reads its models while it starts; the layout may go when it listens.
        Engine::start(&[("PIPELINE_URL", &published.pipeline_url)])
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `curl` with these arguments after the URL of `path`; answers with status and body.
    pub fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        curl(&self.url(path), arguments)
    }

    /// Posts a file, with this content type, to the pipeline.
    pub fn infer(&self, pipeline: &str, content_type: &str, body: &Path) -> Answer {
        let body = format!("@{}", body.display());
        let content_type = format!("Content-Type: {content_type}");
        self.curl(&format!("/pipelines/{pipeline}"), &["-H", &content_type, "--data-binary", &body])
    }

    /// Posts an Arrow file or pandas-records, by the file's ending.
    pub fn infer_file(&self, pipeline: &str, body: &Path) -> Answer {
        let content_type = match body.extension().and_then(|ending| ending.to_str()) {
            Some("arrow") => python::ARROW,
            _ => python::RECORDS,
        };
        self.infer(pipeline, content_type, body)
    }
}

/// `curl` with these arguments after the URL.
pub fn curl(url: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60", "-w", "\n%{http_code} %{content_type}"]);
    Answer::from(run(command.arg(url).args(arguments)))
}

/// What `curl` got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    fn from(ended: Ended) -> Answer {
        let text = ended.success().stdout;
        let (body, rest) = text.rsplit_once('\n').unwrap();
        let (status, content_type) = rest.split_once(' ').unwrap();
        Answer {
            status: status.parse().unwrap(),
            content_type: content_type.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
