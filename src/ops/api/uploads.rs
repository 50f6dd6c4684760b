//! Uploads of models in one request: a body of parts as the original's, with the files beside the model, or the body itself.

use super::asked::is_csrf;
use super::multipart::{Multipart, MultipartError, PartHead};
use super::{Asked, Need, Problem, Route, answer};
use crate::exit;
use crate::http::server::{BodyError, Response};
use crate::oci::Digest;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::models::{self, MODEL_BYTES_MAX, Recorded, UploadError, Wanted};
use crate::ops::store::{SideRecord, Tx};
use crate::registry::Weighed;
use crate::runtime::SIDE_FILES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/v1/api/models/upload", upload),
    route("POST", "/v1/api/models/upload_and_convert", upload),
    route("POST", "/v1/api/models/upload_stream", upload_stream),
];

pub(super) const fn route(
    method: &'static str,
    path: &'static str,
    answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
) -> Route {
    Route { method, path, need: Need::SignedIn, answer }
}

/// Bytes of a body with a model in it: the largest model, and what stands about it.
pub(super) const BODY_BYTES_MAX: u64 = MODEL_BYTES_MAX + (4 << 20);

/// Whether the body of such a request is a model or a part of one, which is read as it comes.
pub(super) fn takes_a_file(method: &str, path: &str) -> bool {
    match method {
        "POST" => path.starts_with("/v1/api/models/upload") || path == PAGE_PATH,
        "PUT" => path.starts_with("/v1/api/uploads/"),
        _ => false,
    }
}

/// Where the dashboard's form sends a model.
pub(in crate::ops) const PAGE_PATH: &str = "/models";

/// Bytes of the part `metadata`: two schemas, and the names.
const METADATA_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a part that is one short value.
const VALUE_BYTES_MAX: u64 = 4 << 10;

/// The part for a file beside the model, named by the location that the model has for it.
const SIDE_PART: &str = "side_file";

/// What the parts beside the file say, in one of JSON or in one for each.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    visibility: Option<String>,
    workspace_id: Option<i64>,
    conversion: Option<Conversion>,
}

#[derive(Debug, Default, Deserialize)]
struct Conversion {
    framework: Option<String>,
}

impl Metadata {
    fn wanted(&self, file_name: Option<&str>) -> Result<Wanted, Problem> {
        let missing = |key: &str| {
            Problem::bad(
                "metadata",
                format!("`{key}` is missing: `metadata` needs `name` and `workspace_id`"),
            )
        };
        let name = self.name.as_deref().ok_or_else(|| missing("name"))?;
        let workspace = self.workspace_id.ok_or_else(|| missing("workspace_id"))?;
        Wanted::framework(self.conversion.as_ref().and_then(|it| it.framework.as_deref()))?;
        Ok(Wanted::checked(workspace, name, file_name, self.visibility.as_deref())?)
    }
}

fn upload(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let recorded = take_parts(center, asked)?;
    Ok(answer(200, &inserted(&recorded)))
}

/// Takes a model in a body of parts. Where the request shows the session's token in no header, the
/// part `csrf_token` has it, before the file.
///
/// # Errors
/// What of the parts cannot be, and who may not.
pub(in crate::ops) fn take_parts(
    center: &Center,
    asked: &mut Asked<'_, '_, '_>,
) -> Result<Recorded, Problem> {
    let mut is_forged = asked.owes_csrf();
    let csrf = asked.csrf();
    let content_type = asked.request.header("Content-Type").unwrap_or_default().to_owned();
    let told = asked.request.content_length();
    let mut metadata = Metadata::default();
    let mut file: Option<(Weighed, Option<String>)> = None;
    let mut beside: Vec<(String, Weighed)> = Vec::new();
    let mut parts = Multipart::new(&mut *asked.request, &content_type)
        .map_err(|error| Problem::new(415, "multipart", error.to_string()))?;
    while let Some(PartHead { name, file_name }) = parts.next_part().map_err(unread)? {
        match name.as_str() {
            "csrf_token" => {
                let text = parts.text(VALUE_BYTES_MAX).map_err(unread)?;
                is_forged &= !is_csrf(&String::from_utf8_lossy(&text), csrf.as_ref());
            }
            _ if is_forged => return Err(Problem::forged()),
            // A form with one field for all: the model is the file that is called so.
            "file" if file.is_some() => {
                let received = center.models.receive(&mut parts, told)?;
                let (mut first, mut other) = (file.take(), Some((received, file_name)));
                if is_onnx(&other) {
                    if is_onnx(&first) {
                        let sentence = "there are two parts `file` with models: send one model";
                        return Err(Problem::bad("multipart", sentence));
                    }
                    std::mem::swap(&mut first, &mut other);
                }
                file = first;
                if let Some((weighed, name)) = other {
                    beside.push((Wanted::location(name.as_deref())?, weighed));
                }
                if beside.len() > SIDE_FILES_MAX {
                    return Err(UploadError::SideFiles.into());
                }
            }
            "file" => {
                // What is known already is checked before the bytes are taken.
                if metadata.name.is_some() && metadata.workspace_id.is_some() {
                    metadata.wanted(file_name.as_deref())?;
                }
                file = Some((center.models.receive(&mut parts, told)?, file_name));
            }
            SIDE_PART if beside.len() == SIDE_FILES_MAX => {
                return Err(UploadError::SideFiles.into());
            }
            SIDE_PART => beside.extend(side_file(center, &mut parts, file_name, told)?),
            "metadata" => {
                let text = parts.text(METADATA_BYTES_MAX).map_err(unread)?;
                metadata = serde_json::from_slice(&text).map_err(|error| {
                    Problem::bad(
                        "metadata",
                        format!("the part `metadata` is not the JSON of an upload: {error}"),
                    )
                })?;
            }
            "name" | "visibility" | "workspace_id" => {
                let text = parts.text(VALUE_BYTES_MAX).map_err(unread)?;
                let text = String::from_utf8_lossy(&text).trim().to_owned();
                match name.as_str() {
                    "name" => metadata.name = Some(text),
                    "visibility" => metadata.visibility = Some(text),
                    _ => metadata.workspace_id = Some(number(&text)?),
                }
            }
            _ => {} // the original passes over what it does not know
        }
    }
    if is_forged {
        return Err(Problem::forged());
    }
    let (weighed, file_name) = file.ok_or_else(|| {
        Problem::bad("multipart", "there is no part `file`: send the ONNX file in one")
    })?;
    let wanted = metadata.wanted(file_name.as_deref())?;
    place(center, asked, &wanted, weighed, beside)
}

fn is_onnx(file: &Option<(Weighed, Option<String>)>) -> bool {
    let name = file.as_ref().and_then(|(_, name)| name.as_deref());
    name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".onnx"))
}

/// The part with a file beside the model; a browser's form sends an empty one where none was chosen.
fn side_file(
    center: &Center,
    part: &mut dyn Read,
    location: Option<String>,
    told: Option<u64>,
) -> Result<Option<(String, Weighed)>, Problem> {
    if location.as_deref().unwrap_or_default().is_empty() {
        let is_empty = part.read(&mut [0]).map_err(unread)? == 0;
        return if is_empty { Ok(None) } else { Err(UploadError::Location.into()) };
    }
    let location = Wanted::location(location.as_deref())?;
    Ok(Some((location, center.models.receive(part, told)?)))
}

fn upload_stream(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let missing = |key: &str| {
        let sentence = format!("`{key}` is missing: the query needs `name` and `workspace_id`");
        Problem::bad("query", sentence)
    };
    let name = asked.query("name").ok_or_else(|| missing("name"))?;
    let workspace = number(&asked.query("workspace_id").ok_or_else(|| missing("workspace_id"))?)?;
    let (file_name, visibility) = (asked.query("filename"), asked.query("visibility"));
    Wanted::framework(asked.query("framework").as_deref())?;
    let wanted = Wanted::checked(workspace, &name, file_name.as_deref(), visibility.as_deref())?;
    center.store.read(|tx| asked.may(tx, workspace, Role::Publisher))?;
    let told = asked.request.content_length();
    let weighed = center.models.receive(&mut *asked.request, told)?;
    Ok(answer(200, &inserted(&place(center, asked, &wanted, weighed, Vec::new())?)))
}

fn number(text: &str) -> Result<i64, Problem> {
    let wrong = |_| Problem::bad("workspace_id", "workspace_id must be a number");
    text.parse().map_err(wrong)
}

/// Makes a version of bytes that are there whole, and of the files beside them by location.
fn place(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    wanted: &Wanted,
    weighed: Weighed,
    beside: Vec<(String, Weighed)>,
) -> Result<Recorded, Problem> {
    let (digest, bytes) = (weighed.digest(), weighed.bytes());
    let (mut files, mut side_files) = (vec![weighed], Vec::<SideRecord>::new());
    for (location, weighed) in beside {
        if side_files.iter().any(|file| file.location == location) {
            return Err(UploadError::LocationTwice(location).into());
        }
        side_files.push(side_record(location, weighed.digest(), weighed.bytes()));
        files.push(weighed);
    }
    center.models.place(files, || {
        center.store.write(|tx| {
            asked.may(tx, wanted.workspace, Role::Publisher)?;
            let by = &asked.caller()?.user.id;
            let recorded =
                models::record(tx, wanted, digest, bytes, &side_files, by, asked.now_ms)?;
            noted(asked, tx, wanted, &recorded)?;
            Ok::<_, Problem>(recorded)
        })
    })
}

pub(super) fn side_record(location: String, digest: Digest, bytes: u64) -> SideRecord {
    let size_bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    SideRecord { location, sha: digest.hex(), size_bytes }
}

/// Takes a model that is in memory, as one that was uploaded.
///
/// # Errors
/// Those of an upload.
pub(in crate::ops) fn take_bytes(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    wanted: &Wanted,
    mut bytes: &[u8],
) -> Result<Recorded, Problem> {
    let told = Some(bytes.len() as u64);
    let weighed = center.models.receive(&mut bytes, told)?;
    place(center, asked, wanted, weighed, Vec::new())
}

pub(super) fn noted(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    wanted: &Wanted,
    recorded: &Recorded,
) -> Result<(), Problem> {
    let detail = json!({ "version": recorded.version, "sha": recorded.sha });
    Ok(asked.note(tx, "model.upload", Some(wanted.workspace), &wanted.name, detail)?)
}

/// The original's answer, whose id is the version's, and what it would take another request to learn.
pub(super) fn inserted(recorded: &Recorded) -> Value {
    let Recorded { model, id, version, sha } = recorded;
    json!({
        "insert_models": { "returning": [{ "models": [{ "id": id }] }] },
        "models_pk_id": model,
        "model_version": version,
        "sha": sha,
        "status": "attempting_load_native",
    })
}

/// The files beside a model, as answers have them.
pub(super) fn side_files_shown(files: &[SideRecord]) -> Vec<Value> {
    let shown = |SideRecord { location, sha, size_bytes }: &SideRecord| json!({ "location": location, "sha": sha, "size_bytes": size_bytes });
    files.iter().map(shown).collect()
}

/// A body that could not be read: by its framing, or by its parts.
pub(super) fn unread(error: std::io::Error) -> Problem {
    let inner = error.get_ref();
    if let Some(body) = inner.and_then(|it| it.downcast_ref::<BodyError>()) {
        return Problem::new(body.status(), "body", exit::chain(body));
    }
    if let Some(parts) = inner.and_then(|it| it.downcast_ref::<MultipartError>()) {
        return Problem::bad("multipart", parts.to_string());
    }
    Problem::bad("body", format!("the body cannot be read: {error}"))
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Problem {
        let sentence = error.to_string();
        match error {
            UploadError::Read(error) => unread(error),
            UploadError::Name(_) => Problem::bad("name", sentence),
            UploadError::FileName
            | UploadError::Visibility
            | UploadError::Framework(_)
            | UploadError::Location
            | UploadError::LocationTwice(_)
            | UploadError::SideFiles => Problem::bad("metadata", sentence),
            UploadError::Empty => Problem::bad("empty", sentence),
            UploadError::TooLarge => Problem::new(413, "too_large", sentence),
            UploadError::NoRoom { .. } => Problem::new(507, "disk_full", sentence),
            UploadError::Full(_) => Problem::new(507, "disk_full", sentence).because(&error),
            UploadError::Disk(_) => Problem::new(500, "disk", sentence).because(&error),
            UploadError::Busy
            | UploadError::Gap { .. }
            | UploadError::Total { .. }
            | UploadError::Unfinished { .. }
            | UploadError::BesideUnfinished
            | UploadError::Finished => Problem::conflict("upload", sentence),
            UploadError::Range(_) | UploadError::Length { .. } => Problem::bad("range", sentence),
            UploadError::Digest { .. } | UploadError::Sha => Problem::bad("sha256", sentence),
        }
    }
}

impl From<models::ResumedError> for Problem {
    fn from(error: models::ResumedError) -> Problem {
        match error {
            models::ResumedError::Upload(error) => error.into(),
            models::ResumedError::Store(error) => error.into(),
        }
    }
}

impl From<models::RecordError> for Problem {
    fn from(error: models::RecordError) -> Problem {
        match error {
            models::RecordError::Store(error) => error.into(),
            models::RecordError::NoRandomness(error) => error.into(),
        }
    }
}
