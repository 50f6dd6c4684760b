//! Uploads of models: in one body of parts as the original's, as the body itself, or in parts that go on after a cut.

use super::asked::is_csrf;
use super::models::hidden;
use super::moment::moment;
use super::multipart::{Multipart, MultipartError, PartHead};
use super::{Asked, Need, Problem, Route, answer};
use crate::exit;
use crate::http::server::{BodyError, Response};
use crate::ops::access::{Role, fresh_uuid};
use crate::ops::center::Center;
use crate::ops::models::{
    self, ContentRange, MODEL_BYTES_MAX, Recorded, UPLOADS_MAX, UploadError, Wanted,
};
use crate::ops::store::{Tx, Upload};
use crate::registry::Weighed;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/v1/api/models/upload", upload),
    route("POST", "/v1/api/models/upload_and_convert", upload),
    route("POST", "/v1/api/models/upload_stream", upload_stream),
    route("POST", "/v1/api/uploads", begin),
    route("PUT", "/v1/api/uploads/{id}", append),
    route("GET", "/v1/api/uploads/{id}", look),
    route("DELETE", "/v1/api/uploads/{id}", forget),
    route("POST", "/v1/api/uploads/{id}/finish", finish),
];

const fn route(
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
    let mut parts = Multipart::new(&mut *asked.request, &content_type)
        .map_err(|error| Problem::new(415, "multipart", error.to_string()))?;
    while let Some(PartHead { name, file_name }) = parts.next_part().map_err(unread)? {
        match name.as_str() {
            "csrf_token" => {
                let text = parts.text(VALUE_BYTES_MAX).map_err(unread)?;
                is_forged &= !is_csrf(&String::from_utf8_lossy(&text), csrf.as_ref());
            }
            _ if is_forged => return Err(Problem::forged()),
            "file" if file.is_some() => {
                return Err(Problem::bad(
                    "multipart",
                    "there are two parts `file`: send one model",
                ));
            }
            "file" => {
                // What is known already is checked before the bytes are taken.
                if metadata.name.is_some() && metadata.workspace_id.is_some() {
                    metadata.wanted(file_name.as_deref())?;
                }
                file = Some((center.models.receive(&mut parts, told)?, file_name));
            }
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
    place(center, asked, &wanted, weighed)
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
    Ok(answer(200, &inserted(&place(center, asked, &wanted, weighed)?)))
}

fn number(text: &str) -> Result<i64, Problem> {
    let wrong = |_| Problem::bad("workspace_id", "workspace_id must be a number");
    text.parse().map_err(wrong)
}

/// Makes a version of bytes that are there whole.
fn place(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    wanted: &Wanted,
    weighed: Weighed,
) -> Result<Recorded, Problem> {
    center.models.place(weighed, |digest, bytes| {
        center.store.write(|tx| {
            asked.may(tx, wanted.workspace, Role::Publisher)?;
            let by = &asked.caller()?.user.id;
            let recorded = models::record(tx, wanted, digest, bytes, by, asked.now_ms)?;
            noted(asked, tx, wanted, &recorded)?;
            Ok::<_, Problem>(recorded)
        })
    })
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
    place(center, asked, wanted, weighed)
}

fn noted(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    wanted: &Wanted,
    recorded: &Recorded,
) -> Result<(), Problem> {
    let detail = json!({ "version": recorded.version, "sha": recorded.sha });
    Ok(asked.note(tx, "model.upload", Some(wanted.workspace), &wanted.name, detail)?)
}

/// The original's answer, whose id is the version's, and what it would take another request to learn.
fn inserted(recorded: &Recorded) -> Value {
    let Recorded { model, id, version, sha } = recorded;
    json!({
        "insert_models": { "returning": [{ "models": [{ "id": id }] }] },
        "models_pk_id": model,
        "model_version": version,
        "sha": sha,
        "status": "attempting_load_native",
    })
}

#[derive(Deserialize)]
struct Begin {
    workspace_id: i64,
    name: String,
    filename: Option<String>,
    visibility: Option<String>,
    size_bytes: Option<u64>,
    framework: Option<String>,
}

fn begin(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Begin { workspace_id, name, filename, visibility, size_bytes, framework } = asked.json()?;
    Wanted::framework(framework.as_deref())?;
    let wanted = Wanted::checked(workspace_id, &name, filename.as_deref(), visibility.as_deref())?;
    let user = asked.caller()?.user.id.clone();
    let upload = Upload {
        id: fresh_uuid()?,
        user,
        workspace: workspace_id,
        name: wanted.name,
        file_name: wanted.file_name,
        visibility: wanted.visibility,
        size_bytes,
        received_bytes: 0,
        model_version: None,
        created_ms: asked.now_ms,
    };
    let may = |tx: &Tx<'_>| {
        asked.may(tx, workspace_id, Role::Publisher)?;
        if tx.uploads_of(&upload.user)? >= UPLOADS_MAX {
            let sentence = format!(
                "{UPLOADS_MAX} of your uploads are under way: finish some, or take them away with DELETE"
            );
            return Err(Problem::new(429, "uploads", sentence));
        }
        Ok(())
    };
    center.store.read(may)?;
    models::begin(center, &upload)?;
    center.store.write(|tx| {
        may(tx)?;
        Ok::<_, Problem>(tx.add_upload(&upload)?)
    })?;
    Ok(answer(201, &under_way(&upload))
        .with_header("Location", format!("/v1/api/uploads/{}", upload.id)))
}

/// The upload of the path, if it is the caller's.
fn own(center: &Center, asked: &Asked<'_, '_, '_>) -> Result<Upload, Problem> {
    let id = asked.parameter("id");
    let unknown = || {
        let sentence = format!(
            "there is no upload {id} of yours: it is kept for a day after its last part; begin another one"
        );
        Problem::new(404, "unknown", sentence)
    };
    center.store.read(|tx| {
        let upload = tx.upload(id)?.ok_or_else(unknown)?;
        asked
            .may(tx, upload.workspace, Role::Publisher)
            .map_err(|problem| hidden(problem, unknown))?;
        if upload.user == asked.caller()?.user.id { Ok(upload) } else { Err(unknown()) }
    })
}

fn append(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let upload = own(center, asked)?;
    let told = asked.request.header("Content-Range").unwrap_or_default();
    let range = ContentRange::parse(told)
        .ok_or_else(|| UploadError::Range(told.chars().take(64).collect()))?;
    if let Some(found) = asked.request.content_length()
        && found != range.length
    {
        return Err(UploadError::Length { expected: range.length, found }.into());
    }
    models::append(center, &upload.id, range, &mut *asked.request)?;
    look(center, asked)
}

fn look(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Ok(answer(200, &under_way(&own(center, asked)?)))
}

fn forget(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    models::forget(center, &own(center, asked)?)?;
    Ok(answer(200, &Value::Null))
}

fn under_way(upload: &Upload) -> Value {
    json!({
        "id": upload.id,
        "status": if upload.model_version.is_some() { "finished" } else { "uploading" },
        "workspace_id": upload.workspace,
        "name": upload.name,
        "file_name": upload.file_name,
        "received_bytes": upload.received_bytes,
        "size_bytes": upload.size_bytes,
        "model_version_id": upload.model_version,
        "created_at": moment(upload.created_ms),
    })
}

#[derive(Deserialize)]
struct Finish {
    sha256: Option<String>,
}

fn finish(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let upload = own(center, asked)?;
    let Finish { sha256 } = asked.json()?;
    let is_sha = |text: &String| format!("sha256:{text}").parse::<crate::oci::Digest>().is_ok();
    if !sha256.as_ref().is_none_or(is_sha) {
        return Err(UploadError::Sha.into());
    }
    let again = |id: i64| {
        let version = center.store.read(|tx| tx.model_version(id))?;
        let version = version.ok_or_else(|| Problem::unknown("model version", id))?;
        let (model, id, sha) = (version.model, version.id, version.sha);
        Ok(Recorded { model, id, version: version.version, sha })
    };
    let recorded =
        models::finish(center, &upload.id, sha256.as_deref(), again, |upload, digest, bytes| {
            let Upload { workspace, name, file_name, visibility, .. } = upload.clone();
            let wanted = Wanted { workspace, name, file_name, visibility };
            center.store.write(|tx| {
                asked.may(tx, workspace, Role::Publisher)?;
                let recorded =
                    models::record(tx, &wanted, digest, bytes, &upload.user, asked.now_ms)?;
                tx.set_uploaded(&upload.id, recorded.id, asked.now_ms)?;
                noted(asked, tx, &wanted, &recorded)?;
                Ok::<_, Problem>(recorded)
            })
        })?;
    Ok(answer(200, &inserted(&recorded)))
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
            UploadError::FileName | UploadError::Visibility | UploadError::Framework(_) => {
                Problem::bad("metadata", sentence)
            }
            UploadError::Empty => Problem::bad("empty", sentence),
            UploadError::TooLarge => Problem::new(413, "too_large", sentence),
            UploadError::NoRoom { .. } => Problem::new(507, "disk_full", sentence),
            UploadError::Full(_) => Problem::new(507, "disk_full", sentence).because(&error),
            UploadError::Disk(_) => Problem::new(500, "disk", sentence).because(&error),
            UploadError::Busy
            | UploadError::Gap { .. }
            | UploadError::Total { .. }
            | UploadError::Unfinished { .. }
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
