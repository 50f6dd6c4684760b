//! `model`: models of an ops center, uploaded in parts that go on after a cut, listed and shown.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::pipeline::unread;
use super::progress::bar;
use super::table::table;
use super::told;
use crate::disk::Stretch;
use crate::exit::{Exit, Failure};
use crate::oci::Hasher;
use crate::ops::client::{OpsClient, Range};
use crate::runtime::census;
use clap::Subcommand;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of one part of an upload: a minute on a slow link, and little to send again.
const PART_BYTES: u64 = 8 << 20;

/// Parts in a row that may fail before an upload ends.
const FAILURES_MAX: u32 = 8;

/// How long the check of a model is waited for; the ops center goes on.
const CHECK_MAX: Duration = Duration::from_secs(600);

/// The pause between two looks at a check, and after a part that failed.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(super) enum ModelVerb {
    /// Upload an ONNX file as a further version of a model, and wait until it was checked.
    Upload {
        /// The file.
        file: PathBuf,
        /// The model's name; the file's otherwise.
        #[arg(long)]
        name: Option<String>,
        /// A file with weights of the model; those that it names are found in its folder without this.
        #[arg(long = "side", value_name = "FILE")]
        sides: Vec<PathBuf>,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// List the models of a workspace.
    List {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// List the versions of a model.
    Versions {
        /// Its name.
        name: String,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Show what the check of a version found: what it takes and gives, its operators, its size.
    Show {
        /// The version, by its number.
        id: i64,
    },
}

impl ModelVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            ModelVerb::Upload { file, name, sides, workspace } => {
                let workspace = workspace.id(&client)?;
                let uploaded = upload(&client, workspace, &file, name, &sides)?;
                let version = checked(&client, uploaded)?;
                Ok(told(center, &version, || shown(&version)))
            }
            ModelVerb::List { workspace } => {
                let body = json!({ "workspace_id": workspace.id(&client)? });
                let answer = client.post("models/list", &body)?;
                Ok(told(center, &answer, || {
                    let columns = [("ID", "id"), ("NAME", "name"), ("UPDATED", "updated_at")];
                    table(
                        &columns,
                        rows(&answer, "models"),
                        "no models: `potoroo-ops model upload FILE`",
                    )
                }))
            }
            ModelVerb::Versions { name, workspace } => {
                let body = json!({ "workspace_id": workspace.id(&client)? });
                let known = client.post("models/list", &body)?;
                let found = rows(&known, "models").iter().find(|it| it["name"] == name.as_str());
                let found = found.ok_or_else(|| {
                    Failure::new(Exit::NotFound, format!("there is no model `{name}`"))
                        .hint("`potoroo-ops model list` shows them")
                })?;
                let body = json!({ "model_id": name, "models_pk_id": found["id"] });
                let answer = client.post("models/list_versions", &body)?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "id"),
                        ("VERSION", "model_version"),
                        ("STATUS", "status"),
                        ("SHA256", "sha"),
                    ];
                    table(&columns, answer.as_array().map_or(&[], Vec::as_slice), "no versions")
                }))
            }
            ModelVerb::Show { id } => {
                let version = client.post("models/get_version", &json!({ "id": id }))?;
                Ok(told(center, &version, || shown(&version)))
            }
        }
    }
}

/// Sends a model's file, and those beside it, in parts; gives the number of its version.
fn upload(
    client: &OpsClient,
    workspace: i64,
    path: &Path,
    name: Option<String>,
    sides: &[PathBuf],
) -> Result<i64, Failure> {
    let beside = beside(path, sides)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase());
    let name = name.or_else(|| stem.map(|stem| stem.replace(['_', '.', ' '], "-")));
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let begun = json!({ "workspace_id": workspace, "name": name, "filename": file_name });
    let model = Sending::begin(client, path, begun)?;
    for (location, path) in beside {
        let begun = json!({
            "workspace_id": workspace, "name": name, "filename": location, "beside": model.id,
        });
        Sending::begin(client, &path, begun)?.whole(client)?;
    }
    let answer = model.whole(client)?;
    answer
        .pointer("/insert_models/returning/0/models/0/id")
        .and_then(Value::as_i64)
        .ok_or_else(|| unread("the version's id"))
}

/// The files that a model names, by location: one that is told, or the one in the model's folder.
fn beside(path: &Path, sides: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, Failure> {
    // What is no model is the ops center's to refuse.
    let named = census(&Stretch::whole(path.to_owned())).map(|it| it.beside).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let found = |location: String| {
        let last = Path::new(&location).file_name();
        let told = sides
            .iter()
            .find(|side| side.ends_with(&location))
            .or_else(|| sides.iter().find(|side| side.file_name() == last));
        let file = told.cloned().unwrap_or_else(|| folder.join(&location));
        if file.is_file() {
            return Ok((location, file));
        }
        let sentence =
            format!("the model keeps weights in `{location}`, and {} is no file", file.display());
        Err(Failure::new(Exit::Usage, sentence).hint("name the file with `--side FILE`"))
    };
    let found = named.into_iter().map(found).collect::<Result<Vec<_>, _>>()?;
    match sides.iter().find(|side| !found.iter().any(|(_, file)| file == *side)) {
        None => Ok(found),
        Some(side) => {
            let sentence = format!("the model names no file like {}", side.display());
            Err(Failure::new(Exit::Usage, sentence)
                .hint("leave it out, or give it the name that the model has for it"))
        }
    }
}

/// A file on its way to an upload.
struct Sending {
    id: String,
    path: PathBuf,
    file: File,
    total: u64,
}

impl Sending {
    fn begin(client: &OpsClient, path: &Path, mut begun: Value) -> Result<Sending, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let total = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        begun["size_bytes"] = total.into();
        let upload = client.post("uploads", &begun)?;
        let id = upload["id"].as_str().ok_or_else(|| unread("an upload's id"))?.to_owned();
        Ok(Sending { id, path: path.to_owned(), file, total })
    }

    /// Sends all of it, and finishes the upload.
    fn whole(mut self, client: &OpsClient) -> Result<Value, Failure> {
        let Sending { id, path, file, total } = &mut self;
        let (id, total) = (&*id, *total);
        let bar = bar("upload");
        let (mut at, mut failures) = (0, 0);
        while at < total {
            bar.at(Some(at), Some(total));
            file.seek(SeekFrom::Start(at)).map_err(|error| unreadable(path, &error))?;
            let range = Range { from: at, bytes: PART_BYTES.min(total - at), total };
            let mut part = (&*file).take(range.bytes);
            match client.put_part(&format!("uploads/{id}"), range, &mut part) {
                Ok(_) => {
                    at += range.bytes;
                    failures = 0;
                }
                Err(failure) if failure.exit == Exit::Unreachable && failures < FAILURES_MAX => {
                    // What came of the part is there: it is asked for, and gone on from.
                    failures += 1;
                    std::thread::sleep(PAUSE * failures);
                    if let Ok(there) = client.get(&format!("uploads/{id}")) {
                        at = there["received_bytes"].as_u64().unwrap_or(at).min(total);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        bar.done();
        let sha = sha_of(file).map_err(|error| unreadable(path, &error))?;
        client.post(&format!("uploads/{id}/finish"), &json!({ "sha256": sha }))
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("{} cannot be read: {error}", path.display()))
}

fn sha_of(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish().hex());
        }
        hasher.update(&buffer[..read]);
    }
}

/// The version once it was checked, or why it is refused.
fn checked(client: &OpsClient, id: i64) -> Result<Value, Failure> {
    let begun = Instant::now();
    loop {
        let version = client.post("models/get_version", &json!({ "id": id }))?;
        match version["status"].as_str() {
            Some("ready") => return Ok(version),
            Some("error") => {
                let why = version["error"].as_str().unwrap_or("the model is refused").to_owned();
                return Err(Failure::new(Exit::ModelRefused, why)
                    .hint("export a model that the runtime loads, and upload it"));
            }
            _ if begun.elapsed() > CHECK_MAX => return Ok(version),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// A version with what the check found.
fn shown(version: &Value) -> String {
    let text = |key: &str| version[key].as_str().unwrap_or("-").to_owned();
    let mut lines = format!(
        "model version {}\nversion: {}\nsha256: {}\nstatus: {}\n",
        version["id"],
        text("model_version"),
        text("sha"),
        text("status")
    );
    for file in rows(version, "side_files") {
        let location = file["location"].as_str().unwrap_or("-");
        lines.push_str(&format!("beside it: {location}, {} bytes\n", file["size_bytes"]));
    }
    if let Some(facts) = version["facts"].as_object() {
        for (name, value) in facts {
            lines.push_str(&format!("{name}: {value}\n"));
        }
    }
    lines
}
