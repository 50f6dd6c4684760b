//! What the ops center answers, held against the OpenAPI document that it serves.

use crate::support::fixture;
use crate::support::founded::{Center, EMAIL, PASSWORD};
use crate::support::process::run;
use crate::support::publishing::Author;
use crate::support::python::schemathesis;
use serde_json::json;
use std::process::Command;

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_have() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    author.add_edge(&publish, "till-7");
    author.post("users/invite", &json!({ "email": "eve@example.com" })).ok();
    // What a sign-in gives, and not an API token: those are listed and revoked by what is tried out here.
    let fields = [("grant_type", "password"), ("username", EMAIL), ("password", PASSWORD)];
    let token = "/auth/realms/master/protocol/openid-connect/token";
    let granted = center.stranger().form(token, &fields).ok();
    let bearer = granted["access_token"].as_str().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ended = run(Command::new(schemathesis())
        .current_dir(directory.path())
        .arg("--config-file")
        .arg(fixture("schemathesis.toml"))
        .args(["run", &center.url("/v1/api/openapi.json")])
        .args(["-H", &format!("Authorization: Bearer {bearer}")]))
    .success();
    // It ends well without having looked at anything, too.
    let document = center.get("/v1/api/openapi.json").ok();
    let paths = document["paths"].as_object().unwrap().values();
    let operations: usize = paths.map(|path| path.as_object().unwrap().len()).sum();
    assert!(ended.stdout.contains(&format!("Tested: {operations}\n")), "{}", ended.stdout);
    // Nothing that was tried took the administrator's place away.
    center.get("/v1/api/users/me").ok();
}
