//! The first run: a link, the first administrator, and nobody after them by the same way.

use crate::support::founded::{Center, EMAIL, PASSWORD};
use serde_json::json;

#[test]
fn the_printed_link_makes_one_administrator_with_a_workspace_and_a_token() {
    let mut center = Center::start();
    assert_eq!(center.workspace, 1);
    let token = center.first_run_token();
    let again = json!({ "token": token, "email": "eve@example.com", "password": PASSWORD });
    let refused = center.stranger().post("/v1/api/first_run", &again).refused(403);
    assert_eq!(refused["kind"], "first_run_over");
    let name = json!({ "workspace_name": "vision" });
    assert_eq!(center.post("/v1/api/workspaces/create", &name).ok()["workspace_id"], 2);
    center.stranger().post("/v1/api/workspaces/create", &name).refused(401);
}

#[test]
fn each_start_without_a_user_prints_another_link_and_the_log_has_none() {
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::serve(home.path(), &[]);
    let first = center.first_run_token();
    let mut center = center.killed_and_started();
    let second = center.first_run_token();
    assert_ne!(first, second);
    let order = |token: &str| json!({ "token": token, "email": EMAIL, "password": PASSWORD });
    center.stranger().post("/v1/api/first_run", &order(&first)).refused(403);
    center.stranger().post("/v1/api/first_run", &order(&second)).ok();
    // With a user there is no link: the start says that it is ready and nothing before that.
    let mut center = center.killed_and_started();
    let said = center.process.seen().join("\n");
    assert!(!said.contains("first-run"), "{said}");
}

#[test]
fn a_first_password_that_is_too_short_is_refused_and_the_link_holds_on() {
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::serve(home.path(), &[]);
    let token = center.first_run_token();
    let post = |email: &str, password: &str| {
        let order = json!({ "token": token, "email": email, "password": password });
        center.stranger().post("/v1/api/first_run", &order)
    };
    assert_eq!(post(EMAIL, "short").refused(400)["kind"], "password");
    assert_eq!(post("nobody", PASSWORD).refused(400)["kind"], "email");
    post(EMAIL, PASSWORD).ok();
}
