//! Workspaces: who sees them, who says who is a member, and the original's JSON.

use super::user;
use crate::support::founded::{Center, EMAIL};
use serde_json::json;

#[test]
fn a_workspace_is_seen_by_its_members_and_changed_by_its_owners() {
    let center = Center::start();
    let ann = user(&center, "ann@example.com");
    let bob = user(&center, "bob@example.com");
    let made = ann.post("/v1/api/workspaces/create", &json!({ "workspace_name": "vision" })).ok();
    let id = made["workspace_id"].as_i64().unwrap();
    let which = json!({ "workspace_id": id });
    bob.post("/v1/api/workspaces/list_users", &which).refused(404);
    let member = json!({ "workspace_id": id, "email": "bob@example.com", "user_type": "VIEWER" });
    bob.post("/v1/api/workspaces/add_user", &member).refused(404);
    assert_eq!(ann.post("/v1/api/workspaces/add_user", &member).ok(), json!({}));
    let users = bob.post("/v1/api/workspaces/list_users", &which).ok();
    let types: Vec<_> = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (u["email"].clone(), u["user_type"].clone()))
        .collect();
    assert_eq!(
        types,
        [(json!("ann@example.com"), json!("OWNER")), (json!("bob@example.com"), json!("VIEWER"))]
    );
    bob.post("/v1/api/workspaces/remove_user", &member).refused(403);
    let removed = ann.post("/v1/api/workspaces/remove_user", &member);
    assert_eq!(removed.ok(), json!({ "affected_rows": 1 }));
    assert_eq!(ann.post("/v1/api/workspaces/remove_user", &member).ok()["affected_rows"], 0);
    bob.post("/v1/api/workspaces/list_users", &which).refused(404);
    let list = ann.post("/v1/api/workspaces/list", &json!({})).ok();
    let workspaces = list["workspaces"].as_array().unwrap();
    assert_eq!(workspaces.len(), 1);
    for key in ["id", "name", "created_at", "created_by", "archived", "models", "pipelines"] {
        assert!(!workspaces[0][key].is_null(), "{key} in {list}");
    }
    // The administrator of everything sees all.
    let all = center.post("/v1/api/workspaces/list", &json!({})).ok();
    assert_eq!(all["workspaces"].as_array().unwrap().len(), 2);
}

#[test]
fn the_last_owner_of_a_workspace_stays() {
    let center = Center::start();
    let of = |user_type: &str| json!({ "workspace_id": 1, "email": EMAIL, "user_type": user_type });
    let kind = |path: &str| center.post(path, &of("VIEWER")).refused(409)["kind"].clone();
    assert_eq!(kind("/v1/api/workspaces/remove_user"), "last_owner");
    assert_eq!(kind("/v1/api/workspaces/add_user"), "last_owner");
    center.post("/v1/api/workspaces/add_user", &of("OWNER")).ok();
    center.post("/v1/api/workspaces/add_user", &of("KING")).refused(400);
}
