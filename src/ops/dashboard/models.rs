//! The models of a workspace, and the upload: by drag and drop with its progress, or as a plain form.

use super::page::{Frame, Section, page};
use super::pieces::{csrf_field, empty, model_state, moment, size};
use super::{get, number, see_other};
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::uploads::{PAGE_PATH, take_parts};
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::ModelGlance;
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/workspaces/{workspace}/models", list),
    Route { method: "POST", path: PAGE_PATH, need: Need::SignedIn, answer: upload },
];

/// Models on one page: some 40 KB.
const SHOWN: i64 = 100;

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let workspace = number(asked, "workspace")?;
    let after = asked.query("after").unwrap_or_default();
    let (mut models, may_upload) = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Viewer)?;
        let may_upload = asked.may(tx, workspace, Role::Publisher).is_ok();
        Ok::<_, Problem>((tx.model_glances(workspace, &after, SHOWN + 1)?, may_upload))
    })?;
    let shown = usize::try_from(SHOWN).unwrap_or_default();
    let has_more = models.len() > shown;
    models.truncate(shown);
    let content = html! {
        div.head { h1 { "Models" } }
        @if models.is_empty() && after.is_empty() {
            (empty("No model yet", &html! { p { "Upload an ONNX file: it is tried at once, and you see what it takes, gives, needs and lacks." } }))
        } @else {
            (table(&models))
            nav.pages aria-label="Pages" {
                @if !after.is_empty() { a href={ "/workspaces/" (workspace) "/models" } { "First page" } }
                @if let (true, Some(last)) = (has_more, models.last()) {
                    a rel="next" href={ "/workspaces/" (workspace) "/models?after=" (percent::encoded(&last.model.name, b"")) } { "Next page" }
                }
            }
        }
        @if may_upload { (upload_form(asked, workspace)) }
    };
    let (section, workspace) = (Section::Models, Some(workspace));
    page(center, asked, &Frame { title: "Models", section, workspace, fault: None }, &content)
}

fn table(models: &[ModelGlance]) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Models" {
            table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Newest version" } th.number scope="col" { "Size" }
                    th.number scope="col" { "Versions" } th scope="col" { "Last upload" }
                } }
                tbody {
                    @for ModelGlance { model, versions, status, size_bytes } in models {
                        tr {
                            th scope="row" { a href={ "/models/" (model.id) } { (model.name) } }
                            td { (model_state(*status)) }
                            td.number { (size(*size_bytes)) }
                            td.number { (versions) }
                            td { (moment(model.updated_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn upload_form(asked: &Asked<'_, '_, '_>, workspace: i64) -> Markup {
    html! {
        section.card {
            h2 { "Upload a model" }
            form method="post" action=(PAGE_PATH) enctype="multipart/form-data" data-upload {
                (csrf_field(asked)) // before the file: it is looked at before any of that is taken
                input type="hidden" name="workspace_id" value=(workspace);
                div.fields {
                    div {
                        label for="model-name" { "Name of the model" }
                        input id="model-name" name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" aria-describedby="model-hint";
                        p.hint id="model-hint" { "a-z, 0-9 and -; a name that is there already gets another version" }
                    }
                    // The last of the parts, so that the others are known when it comes.
                    div.drop {
                        label for="file" { "ONNX file, with the files of its weights where it has such: drop them here, or choose them" }
                        input id="file" name="file" type="file" multiple required;
                    }
                }
                div.progress { progress hidden aria-label="Upload" {} span data-words role="status" {} }
                button { "Upload" }
            }
        }
    }
}

fn upload(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let recorded = take_parts(center, asked)?;
    Ok(see_other(&format!("/model-versions/{}", recorded.id)))
}
