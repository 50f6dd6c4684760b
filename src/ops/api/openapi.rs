//! The OpenAPI document: what `openapi/*.json` says of each route, made whole from the route tables.

// A file beside the handlers has for each `METHOD /path` a summary, what is sent (`body`, `form`,
// `multipart`, `file`, `query`, `header`) and the schema of each answer. Who may ask, the names in
// braces, and the problems that any route may answer with are known from the tables.

use super::{Asked, Need, Problem, Route, answer, routes};
use crate::http::server::Response;
use crate::ops::center::Center;
use serde_json::{Map, Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/v1/api/openapi.json", need: Need::Nobody, answer: document },
    Route { method: "GET", path: "/v1/api/docs", need: Need::Nobody, answer: page },
];

/// What is said of the routes, a file for each group.
const GROUPS: [(&str, &str); 7] = [
    ("access", include_str!("openapi/access.json")),
    ("drift", include_str!("openapi/drift.json")),
    ("logs", include_str!("openapi/logs.json")),
    ("models", include_str!("openapi/models.json")),
    ("pipelines", include_str!("openapi/pipelines.json")),
    ("publishes", include_str!("openapi/publishes.json")),
    ("rollouts", include_str!("openapi/rollouts.json")),
];

/// The words that they share.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// What a request sends, and under which type.
const BODIES: [(&str, &str); 3] = [
    ("body", "application/json"),
    ("form", "application/x-www-form-urlencoded"),
    ("multipart", "multipart/form-data"),
];

fn document(_: &Center, _: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Ok(answer(200, &whole()))
}

/// The document, OpenAPI 3.1.
fn whole() -> Value {
    let mut paths = Map::new();
    for (group, text) in GROUPS {
        for (route, said) in object(text) {
            let Some((method, path)) = route.split_once(' ') else { continue };
            let operations = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
            operations[method.to_ascii_lowercase()] = operation(group, method, path, &said);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "potoroo ops center",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Models, pipelines, publishes and edges. Paths and JSON are those of the MLOps API \
                            that it takes the place of; keys that a request has beyond these are passed over.",
        },
        "paths": paths,
        "components": {
            "schemas": object(SCHEMAS),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(group: &str, method: &str, path: &str, said: &Value) -> Value {
    let mut operation = json!({
        "operationId": name(method, path),
        "tags": [group],
        "summary": said["summary"],
    });
    let parameters = parameters(path, said);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    for (key, media_type) in BODIES {
        if let Some(schema) = said.get(key) {
            let is_required = schema.get("required").is_some();
            operation["requestBody"] =
                json!({ "required": is_required, "content": { media_type: { "schema": schema } } });
        }
    }
    if said.get("file").is_some() {
        let content = json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut answers = json!({ "default": said_as("Another fault, as `code` says", &problem()) });
    let need = routes().find(|it| it.method == method && it.path == path).map(|it| it.need);
    if matches!(need, Some(Need::SignedIn | Need::Admin)) {
        operation["security"] = json!([{ "bearer": [] }]);
        answers["401"] = said_as("No token, or one that does not hold", &problem());
    }
    for (status, schema) in said["answers"].as_object().into_iter().flatten() {
        let what = if status.starts_with('2') { "Done" } else { "Refused" };
        answers[status] = match schema.is_null() {
            true => json!({ "description": what }),
            false => said_as(what, schema),
        };
        // An answer of other types than JSON: `types` of the route says which.
        if let Some(types) = said["types"][status].as_array() {
            let content = types.iter().filter_map(Value::as_str);
            let content = content.map(|it| (it.to_owned(), json!({ "schema": schema })));
            answers[status]["content"] = content.collect::<Map<String, Value>>().into();
        }
    }
    operation["responses"] = answers;
    operation
}

/// The names in braces of the path, and what the query and the head have.
fn parameters(path: &str, said: &Value) -> Vec<Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = named
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    for place in ["query", "header"] {
        for (name, schema) in said[place].as_object().into_iter().flatten() {
            let mut schema = schema.clone();
            let required = schema.as_object_mut().and_then(|schema| schema.remove("required"));
            let required = required == Some(Value::Bool(true));
            parameters
                .push(json!({ "name": name, "in": place, "required": required, "schema": schema }));
        }
    }
    parameters
}

/// `POST /v1/api/models/list` as `post_models_list`.
fn name(method: &str, path: &str) -> String {
    let tail =
        path.trim_start_matches("/v1/api/").trim_start_matches("/auth/realms/master/protocol/");
    let words = tail.replace(|c: char| !c.is_ascii_alphanumeric(), "_").replace("__", "_");
    format!("{}_{}", method.to_ascii_lowercase(), words.trim_matches('_'))
}

fn problem() -> Value {
    json!({ "$ref": "#/components/schemas/Problem" })
}

fn said_as(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// A file of ours; a test reads each.
fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The routes for a person: method, path and what it does.
fn page(_: &Center, _: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let mut text =
        String::from("The API of this ops center. /v1/api/openapi.json has it for programs.\n");
    for (group, said) in GROUPS {
        text.push_str(&format!("\n{group}\n"));
        for (route, said) in object(said) {
            text.push_str(&format!(
                "  {route}\n      {}\n",
                said["summary"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(Response::new(200, "text/plain; charset=utf-8", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Pages and what is said of the API itself have no place in the document.
    fn is_of_the_api(path: &str) -> bool {
        (path.starts_with("/v1/") || path.starts_with("/auth/"))
            && !ROUTES.iter().any(|route| route.path == path)
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let tables: BTreeSet<String> = routes()
            .filter(|route| is_of_the_api(route.path))
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        let said: BTreeSet<String> = GROUPS
            .iter()
            .flat_map(|(_, text)| serde_json::from_str::<Map<String, Value>>(text).unwrap())
            .map(|(route, _)| route)
            .collect();
        let strangers: Vec<_> = tables.difference(&said).collect();
        let ghosts: Vec<_> = said.difference(&tables).collect();
        assert!(
            strangers.is_empty() && ghosts.is_empty(),
            "not said: {strangers:?}, not there: {ghosts:?}"
        );
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let text = whole().to_string();
        let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap();
        for named in text.split("#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}
