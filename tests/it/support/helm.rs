//! Helm as its own library runs it, and Kubernetes' schemas on what comes out.

use super::fixture;
use super::process::run;
use super::python::python;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A chart as `helm pull` brings it, and the digest of its manifest.
pub struct Pulled {
    pub archive: PathBuf,
    pub digest: String,
}

/// `helm pull oci://CHART --version VERSION` into a directory, with a login where there is one.
pub fn pull(chart: &str, version: &str, into: &Path, login: Option<(&str, &str)>) -> Pulled {
    let mut command = Command::new(python());
    command.arg(fixture("helm.py")).args(["pull", chart, version]).arg(into);
    if let Some((user, password)) = login {
        command.env("HELM_USER", user).env("HELM_PASSWORD", password);
    }
    let ended = run(&mut command).success();
    let mut lines = ended.stdout.lines();
    let archive = lines.next().unwrap().into();
    Pulled { archive, digest: lines.next().unwrap().to_owned() }
}

/// What became of a chart with some values.
#[derive(Debug)]
pub enum Rendered {
    Refused(String),
    Objects(Release),
}

/// The objects of a release, and what is wrong with them.
#[derive(Debug)]
pub struct Release {
    pub objects: Vec<Value>,
    pub faults: Vec<String>,
    pub notes: String,
}

impl Rendered {
    /// The objects, of which none may have a fault.
    pub fn sound(self) -> Release {
        match self {
            Rendered::Refused(why) => panic!("refused: {why}"),
            Rendered::Objects(release) => {
                assert!(release.faults.is_empty(), "{:#?}", release.faults);
                release
            }
        }
    }

    pub fn refusal(self) -> String {
        match self {
            Rendered::Refused(why) => why,
            Rendered::Objects(release) => panic!("not refused: {:?}", release.kinds()),
        }
    }
}

impl Release {
    /// The one object of this kind.
    pub fn only(&self, kind: &str) -> &Value {
        let mut found = self.objects.iter().filter(|one| one["kind"] == kind);
        let first = found.next().unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()));
        assert!(found.next().is_none(), "more than one {kind}: {:?}", self.kinds());
        first
    }

    /// Kind and name of each object, sorted.
    pub fn kinds(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let name =
            |one: &Value| format!("{} {}", text(&one["kind"]), text(&one["metadata"]["name"]));
        let mut kinds: Vec<String> = self.objects.iter().map(name).collect();
        kinds.sort();
        kinds
    }

    /// What pods are made from.
    pub fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]["spec"]
    }

    /// The value of a Secret's key.
    pub fn secret(&self, secret: &str, key: &str) -> String {
        let named = |one: &&Value| one["kind"] == "Secret" && one["metadata"]["name"] == secret;
        let found = self.objects.iter().find(named).unwrap();
        let bytes = STANDARD.decode(found["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// A variable of the engine: its value, or where it is from.
    pub fn variable(&self, name: &str) -> Option<&Value> {
        let all = self.pod()["containers"][0]["env"].as_array().unwrap();
        let found = all.iter().find(|variable| variable["name"] == name)?;
        found.get("value").or(found.get("valueFrom"))
    }
}

/// The chart with each of these values.
pub fn render_each(archive: &Path, values: &[Value]) -> Vec<Rendered> {
    let cases: Vec<Value> = values.iter().map(|values| json!({"values": values})).collect();
    render_cases(archive, &cases)
}

/// The chart as a release of this name.
pub fn render_named(archive: &Path, name: &str, values: &Value) -> Rendered {
    render_cases(archive, &[json!({"name": name, "values": values})]).remove(0)
}

/// The chart with a values file as a person writes it.
pub fn render_file(archive: &Path, name: &str, namespace: &str, file: &str) -> Rendered {
    let case = json!({"name": name, "namespace": namespace, "file": file});
    render_cases(archive, &[case]).remove(0)
}

fn render_cases(archive: &Path, cases: &[Value]) -> Vec<Rendered> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cases.json");
    std::fs::write(&file, json!(cases).to_string()).unwrap();
    let script = fixture("helm.py");
    let arguments = [script.as_path(), Path::new("render"), archive, &file];
    let ended = run(Command::new(python()).args(arguments)).success();
    let rendered: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(rendered.len(), cases.len());
    rendered.into_iter().map(read).collect()
}

fn read(mut rendered: Value) -> Rendered {
    if let Some(why) = rendered["refused"].as_str() {
        return Rendered::Refused(why.to_owned());
    }
    let mut faults: Vec<String> = serde_json::from_value(rendered["lint"].take()).unwrap();
    let invalid: Vec<String> = serde_json::from_value(rendered["invalid"].take()).unwrap();
    faults.extend(invalid);
    Rendered::Objects(Release {
        objects: serde_json::from_value(rendered["objects"].take()).unwrap(),
        faults,
        notes: rendered["notes"].as_str().unwrap().to_owned(),
    })
}
