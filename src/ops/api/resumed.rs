//! Uploads of models in many requests: begun, gone on with after a cut, and finished, with the files beside the model.

use super::models::hidden;
use super::moment::moment;
use super::uploads::{inserted, noted, route, side_files_shown, side_record};
use super::{Asked, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::{Role, fresh_uuid};
use crate::ops::center::Center;
use crate::ops::models::{self, ContentRange, Recorded, UPLOADS_MAX, UploadError, Wanted};
use crate::ops::store::{SideRecord, Tx, Upload};
use crate::runtime::SIDE_FILES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/v1/api/uploads", begin),
    route("PUT", "/v1/api/uploads/{id}", append),
    route("GET", "/v1/api/uploads/{id}", look),
    route("DELETE", "/v1/api/uploads/{id}", forget),
    route("POST", "/v1/api/uploads/{id}/finish", finish),
];

#[derive(Deserialize)]
struct Begin {
    workspace_id: i64,
    name: String,
    filename: Option<String>,
    visibility: Option<String>,
    size_bytes: Option<u64>,
    framework: Option<String>,
    /// The upload of the model that this file lies beside; `filename` is its location then.
    beside: Option<String>,
}

fn begin(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Begin { workspace_id, name, filename, visibility, size_bytes, framework, beside } =
        asked.json()?;
    Wanted::framework(framework.as_deref())?;
    if beside.is_some() {
        Wanted::location(filename.as_deref())?;
    }
    let file_name = filename.as_deref().filter(|_| beside.is_none());
    let mut wanted = Wanted::checked(workspace_id, &name, file_name, visibility.as_deref())?;
    if let Some(location) = filename.filter(|_| beside.is_some()) {
        wanted.file_name = location;
    }
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
        beside,
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
        if let Some(model) = &upload.beside {
            let found = tx.upload(model)?.filter(|it| {
                it.user == upload.user && it.workspace == workspace_id && it.beside.is_none()
            });
            let found = found.ok_or_else(|| no_upload(model))?;
            if found.model_version.is_some() {
                return Err(UploadError::Finished.into());
            }
            if tx.upload_files(model)?.len() >= SIDE_FILES_MAX {
                return Err(UploadError::SideFiles.into());
            }
        }
        Ok(())
    };
    center.store.read(may)?;
    models::begin(center, &upload)?;
    center.store.write(|tx| {
        may(tx)?;
        Ok::<_, Problem>(tx.add_upload(&upload)?)
    })?;
    Ok(answer(201, &under_way(&upload, &[]))
        .with_header("Location", format!("/v1/api/uploads/{}", upload.id)))
}

/// The upload of the path, if it is the caller's.
fn own(center: &Center, asked: &Asked<'_, '_, '_>) -> Result<Upload, Problem> {
    let id = asked.parameter("id");
    let unknown = || no_upload(id);
    center.store.read(|tx| {
        let upload = tx.upload(id)?.ok_or_else(unknown)?;
        asked
            .may(tx, upload.workspace, Role::Publisher)
            .map_err(|problem| hidden(problem, unknown))?;
        if upload.user == asked.caller()?.user.id { Ok(upload) } else { Err(unknown()) }
    })
}

fn no_upload(id: &str) -> Problem {
    let id = crate::oci::excerpt(id);
    let sentence = format!(
        "there is no upload {id} of yours: it is kept for a day after its last part; begin another one"
    );
    Problem::new(404, "unknown", sentence)
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
    let upload = own(center, asked)?;
    let files = center.store.read(|tx| tx.upload_files(&upload.id))?;
    Ok(answer(200, &under_way(&upload, &files)))
}

fn forget(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    models::forget(center, &own(center, asked)?)?;
    Ok(answer(200, &Value::Null))
}

fn under_way(upload: &Upload, side_files: &[SideRecord]) -> Value {
    json!({
        "id": upload.id,
        "status": if upload.model_version.is_some() { "finished" } else { "uploading" },
        "workspace_id": upload.workspace,
        "name": upload.name,
        "file_name": upload.file_name,
        "received_bytes": upload.received_bytes,
        "size_bytes": upload.size_bytes,
        "model_version_id": upload.model_version,
        "beside": upload.beside,
        "side_files": side_files_shown(side_files),
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
    if let Some(model) = &upload.beside {
        return finish_beside(center, asked, &upload, model, sha256.as_deref());
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
                if tx.uploads_beside(&upload.id)? > 0 {
                    return Err(UploadError::BesideUnfinished.into());
                }
                let (by, beside) = (&upload.user, tx.upload_files(&upload.id)?);
                let recorded =
                    models::record(tx, &wanted, digest, bytes, &beside, by, asked.now_ms)?;
                tx.set_uploaded(&upload.id, recorded.id, asked.now_ms)?;
                noted(asked, tx, &wanted, &recorded)?;
                Ok::<_, Problem>(recorded)
            })
        })?;
    Ok(answer(200, &inserted(&recorded)))
}

/// Keeps a file that came whole for the upload of its model; how far that is now.
fn finish_beside(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    upload: &Upload,
    model: &str,
    sha: Option<&str>,
) -> Result<Response, Problem> {
    let never = |_| Err(Problem::from(UploadError::Finished));
    models::finish(center, &upload.id, sha, never, |upload, digest, bytes| {
        let file = side_record(upload.file_name.clone(), digest, bytes);
        center.store.write(|tx| {
            asked.may(tx, upload.workspace, Role::Publisher)?;
            tx.set_upload_file(model, &file, asked.now_ms)?;
            Ok::<_, Problem>(tx.remove_upload(&upload.id)?)
        })
    })?;
    let (model, files) = center.store.read(|tx| {
        let found = tx.upload(model)?.ok_or_else(|| no_upload(model))?;
        Ok::<_, Problem>((found, tx.upload_files(model)?))
    })?;
    Ok(answer(200, &under_way(&model, &files)))
}
