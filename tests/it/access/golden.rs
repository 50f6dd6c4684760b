//! The error bodies of access, as programs read them.

use super::TOKEN;
use crate::support::founded::{Center, EMAIL, Reply};
use crate::support::golden;
use serde_json::json;

#[test]
fn refusals_have_these_bodies() {
    let center = Center::start();
    let stranger = center.stranger();
    let form = |path: &str, fields: &[(&str, &str)]| stranger.form(path, fields);
    let post = |path: &str, body: serde_json::Value| center.post(path, &body);
    let cases: Vec<(&str, Reply)> = vec![
        ("nobody", stranger.get("/v1/api/users/me")),
        ("no such path", center.get("/v1/api/nothing")),
        ("another method", center.get("/v1/api/workspaces/list")),
        (
            "a body that is none",
            center.client().send("POST", "/v1/api/tokens/create", "application/json", b"{"),
        ),
        ("a body without a key", post("/v1/api/tokens/create", json!({}))),
        (
            "a first run that is over",
            stranger.post(
                "/v1/api/first_run",
                &json!({ "token": "x", "email": EMAIL, "password": "y" }),
            ),
        ),
        ("no email", post("/v1/api/users/invite", json!({ "email": "ann" }))),
        (
            "a short password",
            post("/v1/api/users/invite", json!({ "email": "a@b", "password": "short" })),
        ),
        ("a user twice", post("/v1/api/users/invite", json!({ "email": EMAIL }))),
        ("nobody of that email", post("/v1/api/users/deactivate", json!({ "email": "a@b" }))),
        ("the last administrator", post("/v1/api/users/deactivate", json!({ "email": EMAIL }))),
        (
            "a workspace twice",
            post("/v1/api/workspaces/create", json!({ "workspace_name": "default" })),
        ),
        ("no such workspace", post("/v1/api/workspaces/list_users", json!({ "workspace_id": 9 }))),
        (
            "the last owner",
            post("/v1/api/workspaces/remove_user", json!({ "workspace_id": 1, "email": EMAIL })),
        ),
        ("no such token", post("/v1/api/tokens/revoke", json!({ "id": 9 }))),
        ("an odd page", center.get("/v1/api/audit?limit=many")),
        (
            "a wrong password",
            form(TOKEN, &[("grant_type", "password"), ("username", EMAIL), ("password", "x")]),
        ),
        ("an odd grant", form(TOKEN, &[("grant_type", "code")])),
        ("no form", stranger.post(TOKEN, &json!({}))),
        (
            "an old refresh token",
            form(TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", "x")]),
        ),
    ];
    let lines =
        cases.iter().map(|(name, reply)| format!("{name}: {} {}\n", reply.status, reply.text()));
    golden("ops/access_refused.txt", &lines.collect::<String>());
}
