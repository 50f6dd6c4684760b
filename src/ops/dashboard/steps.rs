//! The form that makes a pipeline of models: one, or several in turn, and what is held against their answers.

use super::page::{Frame, Section, page};
use super::pieces::{csrf_field, empty};
use super::{again, get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::pipelines::{Create, save_pipeline};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::ModelStatus;
use maud::{Markup, html};
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    get("/workspaces/{workspace}/pipelines/new", show),
    post("/workspaces/{workspace}/pipelines", save),
];

/// Steps that the form has; a pipeline file has room for more.
const STEPS: usize = 5;

/// Models that it offers.
const OFFERED_MAX: i64 = 1_000;

/// What the form holds.
#[derive(Debug, Default)]
struct Filled {
    name: String,
    steps: Vec<String>,
    validations: String,
    recipe: String,
}

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.query("name").unwrap_or_default();
    let steps = asked.query("model").into_iter().collect();
    shown(center, asked, &Filled { name, steps, ..Filled::default() }, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    filled: &Filled,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let workspace = number(asked, "workspace")?;
    let models = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Publisher)?;
        Ok::<_, Problem>(tx.model_glances(workspace, "", OFFERED_MAX)?)
    })?;
    let names: Vec<&str> = models
        .iter()
        .filter(|model| model.status != ModelStatus::Error)
        .map(|model| model.model.name.as_str())
        .collect();
    let place = format!("/workspaces/{workspace}/pipelines");
    let content = html! {
        div.head { div { p.crumb { a href=(place) { "Pipelines" } } h1 { "Create pipeline" } } }
        p.lead { "Under a name that is there already, this is its next version. The steps are run once before anything is saved." }
        @if names.is_empty() {
            (empty("There is no model in this workspace yet", &html! {
                p { a.button href={ "/workspaces/" (workspace) "/models" } { "Upload a model" } }
            }))
        } @else {
            section.card {
                h2 { "Of models" }
                form method="post" action=(place) {
                    (csrf_field(asked))
                    div {
                        label for="name" { "Name of the pipeline" }
                        input id="name" name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" aria-describedby="name-hint" value=(filled.name);
                        p.hint id="name-hint" { "a-z, 0-9 and -, with a letter or digit at both ends" }
                    }
                    fieldset {
                        legend { "Steps, in turn" }
                        div.fields { @for step in 0..STEPS { (choice(step, &names, filled)) } }
                    }
                    div {
                        label for="validations" { "Validations, if you like" }
                        textarea id="validations" name="validations" rows="3" aria-describedby="validations-hint" { (filled.validations) }
                        p.hint id="validations-hint" { "A line for each: a name, a colon and what must hold, as in " code { "likely: out.fraud_probability[0] < 0.9" } }
                    }
                    button { "Save version" }
                }
            }
        }
        section.card {
            h2 { "Of a pipeline file" }
            p.hint { "Splits, challengers and known answers: the file that " code { "potoroo-ops pipeline create" } " takes, without paths of models." }
            form method="post" action=(place) {
                (csrf_field(asked))
                div {
                    label for="recipe" { "YAML or JSON" }
                    textarea.mono id="recipe" name="recipe" rows="8" required spellcheck="false" { (filled.recipe) }
                }
                button.second { "Save version" }
            }
        }
    };
    let (section, workspace) = (Section::Pipelines, Some(workspace));
    page(center, asked, &Frame { title: "Create pipeline", section, workspace, fault }, &content)
}

fn choice(step: usize, names: &[&str], filled: &Filled) -> Markup {
    let chosen = filled.steps.get(step).map_or("", String::as_str);
    let id = format!("step-{step}");
    html! {
        div {
            label for=(id) { "Step " (step + 1) }
            select id=(id) name="step" required[step == 0] {
                option value="" { @if step == 0 { "Choose a model" } @else { "no further step" } }
                @for name in names { option value=(name) selected[*name == chosen] { (name) } }
            }
        }
    }
}

fn save(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let workspace_id = number(asked, "workspace")?;
    let filled = Filled {
        name: asked.field("name")?.trim().to_owned(),
        steps: asked.fields("step")?.into_iter().filter(|step| !step.is_empty()).collect(),
        validations: asked.field("validations")?,
        recipe: asked.field("recipe")?,
    };
    let saved = recipe(&filled).and_then(|recipe| {
        let pipeline_id = Some(filled.name.clone()).filter(|name| !name.is_empty());
        let order = Create { pipeline_id, workspace_id, recipe: Some(recipe), ..Create::default() };
        save_pipeline(center, asked, order)
    });
    match saved {
        Ok(saved) => Ok(see_other(&format!("/pipelines/{}#version-{}", saved.pipeline, saved.id))),
        Err(problem) => again(problem, |problem| shown(center, asked, &filled, Some(problem))),
    }
}

/// The pipeline file that a filled form stands for.
fn recipe(filled: &Filled) -> Result<Value, Problem> {
    if !filled.recipe.trim().is_empty() {
        return Ok(Value::String(filled.recipe.clone()));
    }
    let mut models: Vec<&String> = Vec::new();
    for name in &filled.steps {
        if !models.contains(&name) {
            models.push(name);
        }
    }
    let lines = filled.validations.lines().map(str::trim).filter(|line| !line.is_empty());
    let validations: Result<Vec<Value>, Problem> = lines
        .map(|line| {
            let (name, check) = line.split_once(':').ok_or_else(|| {
                let found = crate::oci::excerpt(line);
                let sentence = format!(
                    "`{found}` is no validation: write a name, a colon, and what must hold"
                );
                Problem::bad("validations", sentence)
            })?;
            Ok(json!({ "name": name.trim(), "must_hold": check.trim() }))
        })
        .collect();
    Ok(json!({
        "name": filled.name,
        "models": models.iter().map(|name| json!({ "name": name })).collect::<Vec<Value>>(),
        "steps": filled.steps.iter().map(|name| json!({ "model": name })).collect::<Vec<Value>>(),
        "validations": validations?,
    }))
}
