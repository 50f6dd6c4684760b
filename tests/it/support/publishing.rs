//! The way from a model to a publish by the API of an ops center, as its clients go it.

use super::engine::Engine;
use super::fixture;
use super::founded::{Center, Client, Reply};
use super::process::PATIENCE;
use super::python::request;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A client of one center, in one workspace.
pub struct Author {
    pub client: Client,
    pub workspace: i64,
}

/// A pipeline version that was saved.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The number that publishes are asked for by.
    pub id: i64,
    /// The number of its pipeline.
    pub pipeline: i64,
    /// Its UUID.
    pub version: String,
}

impl Author {
    /// The administrator of a center, in the workspace that is there from the beginning.
    pub fn of(center: &Center) -> Author {
        Author { client: center.client(), workspace: center.workspace }
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.client.post(&format!("/v1/api/{path}"), body)
    }

    /// Uploads a fixture and saves a pipeline of that one model.
    pub fn save(&self, pipeline: &str, model: &str) -> Saved {
        self.save_of(pipeline, &self.upload(model))
    }

    /// Uploads a fixture; the model as steps name it, once it is checked.
    pub fn upload(&self, model: &str) -> Value {
        let name = model.split('.').next().unwrap();
        let bytes = std::fs::read(fixture(&format!("models/{model}"))).unwrap();
        let path = format!(
            "/v1/api/models/upload_stream?filename={model}&name={name}&visibility=private&workspace_id={}",
            self.workspace
        );
        let uploaded = self.client.send("POST", &path, "application/octet-stream", &bytes).ok();
        let version = self.checked(&uploaded["insert_models"]["returning"][0]["models"][0]["id"]);
        json!({ "name": name, "version": version["model_version"], "sha": version["sha"] })
    }

    /// Saves a version of a pipeline of one model.
    pub fn save_of(&self, pipeline: &str, model: &Value) -> Saved {
        let definition = json!({ "steps": [{ "ModelInference": { "models": [model] } }] });
        let order = json!({
            "pipeline_id": pipeline, "workspace_id": self.workspace, "definition": definition,
        });
        self.save_as(&order)
    }

    /// Saves a version of a pipeline that is written so.
    pub fn save_as(&self, order: &Value) -> Saved {
        let saved = self.post("pipelines/create", order).ok();
        Saved {
            id: saved["pipeline_variant_pk_id"].as_i64().unwrap(),
            pipeline: saved["pipeline_pk_id"].as_i64().unwrap(),
            version: saved["pipeline_variant_version"].as_str().unwrap().to_owned(),
        }
    }

    /// The model version of that number, once it is checked.
    fn checked(&self, id: &Value) -> Value {
        until(|| {
            let version = self.post("models/get_version", &json!({ "id": id })).ok();
            assert_ne!(version["status"], "error", "{version}");
            (version["status"] == "ready").then_some(version)
        })
    }

    /// Asks for a publish and gives its number.
    pub fn ask(&self, version: i64) -> i64 {
        let asked = self.post("pipelines/publish", &json!({ "pipeline_version_id": version }));
        assert_eq!(asked.status, 202, "{}", asked.text());
        asked.json()["id"].as_i64().unwrap()
    }

    /// How a publish is.
    pub fn status(&self, id: i64) -> Value {
        self.post("pipelines/get_publish_status", &json!({ "id": id })).ok()
    }

    /// How a publish is when it has ended, well or not.
    pub fn ended(&self, id: i64) -> Value {
        until(|| {
            let publish = self.status(id);
            ["Published", "Error"].contains(&publish["status"].as_str()?).then_some(publish)
        })
    }

    /// A publish that is there.
    pub fn published(&self, version: i64) -> Value {
        let publish = self.ended(self.ask(version));
        assert_eq!(publish["status"], "Published", "{publish}");
        publish
    }

    /// Adds an edge to a publish.
    pub fn add_edge(&self, publish: &Value, name: &str) -> Value {
        let added = self.post(
            "pipelines/add_edge_to_publish",
            &json!({ "pipeline_publish_id": publish["id"], "name": name, "tags": ["a"] }),
        );
        assert_eq!(added.status, 201, "{}", added.text());
        added.json()
    }

    /// The commands of an edge with its bundle.
    pub fn commands(&self, name: &str, added: &Value) -> Value {
        let bundle = &added["docker_run_variables"]["EDGE_BUNDLE"];
        self.post("edges/commands", &json!({ "name": name, "edge_bundle": bundle })).ok()
    }
}

/// Asks again and again until there is something.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "nothing came of it");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The variables that a printed `docker run` sets, with the shell's own put in.
pub fn docker_environment(command: &str, shell: &[(&str, &str)]) -> Vec<(String, String)> {
    let words = command.lines().filter_map(|line| line.strip_prefix("-e "));
    let pairs = words.map(|word| word.trim_end_matches(" \\").split_once('=').unwrap());
    let value = |value: &str| match value.strip_prefix('$') {
        None => value.to_owned(),
        Some(name) => {
            let found = shell.iter().find(|(known, _)| *known == name);
            found.unwrap_or_else(|| panic!("the shell has no {name}")).1.to_owned()
        }
    };
    pairs.map(|(name, text)| (name.to_owned(), value(text))).collect()
}

/// The variables of an engine for an edge that was added: its bundle, and its login.
pub fn edge_variables(added: &Value) -> [(&'static str, &str); 3] {
    let bundle = &added["docker_run_variables"]["EDGE_BUNDLE"];
    let login = &added["pull_credentials"];
    let variables = [
        ("EDGE_BUNDLE", bundle),
        ("OCI_USERNAME", &login["username"]),
        ("OCI_PASSWORD", &login["password"]),
    ];
    variables.map(|(name, value)| (name, value.as_str().unwrap()))
}

/// An engine with exactly the variables of a printed `docker run`.
pub fn run_as_printed(printed: &Value, username: &str, password: &str) -> Engine {
    let shell = [("REGISTRYUSERNAME", username), ("REGISTRYPASSWORD", password)];
    let variables = docker_environment(printed.as_str().unwrap(), &shell);
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Engine::start(&variables)
}

/// Has an engine infer with the pipeline of the fraud net.
pub fn infers(engine: &Engine, pipeline: &str) {
    let answer = engine.infer_file(pipeline, &request("fraud_1.json"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()[0]["pipeline_name"], pipeline);
}
