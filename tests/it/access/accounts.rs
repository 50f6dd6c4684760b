//! Users: invited, let in and out, and never without an administrator.

use super::{TOKEN, bearer, user};
use crate::support::founded::{Center, EMAIL, PASSWORD};
use serde_json::json;

#[test]
fn who_is_deactivated_is_out_at_once_and_comes_back_with_a_new_token() {
    let center = Center::start();
    let ann = user(&center, "ann@example.com");
    assert_eq!(ann.get("/v1/api/users/me").ok()["email"], "ann@example.com");
    let whom = json!({ "email": "Ann@Example.com" });
    center.post("/v1/api/users/deactivate", &whom).ok();
    ann.get("/v1/api/users/me").refused(401);
    let fields =
        [("grant_type", "password"), ("username", "ann@example.com"), ("password", PASSWORD)];
    center.stranger().form(TOKEN, &fields).refused(401);
    center.post("/v1/api/users/activate", &whom).ok();
    ann.get("/v1/api/users/me").refused(401);
    bearer(&center, "ann@example.com", PASSWORD).get("/v1/api/users/me").ok();
}

#[test]
fn the_last_administrator_stays_one() {
    let center = Center::start();
    let whom = json!({ "email": EMAIL });
    let refused = center.post("/v1/api/users/deactivate", &whom).refused(409);
    assert_eq!(refused["kind"], "last_admin");
    let demote = json!({ "email": EMAIL, "is_admin": false });
    assert_eq!(center.post("/v1/api/users/set_admin", &demote).refused(409)["kind"], "last_admin");
    let ann = user(&center, "ann@example.com");
    let promote = json!({ "email": "ann@example.com", "is_admin": true });
    ann.post("/v1/api/users/set_admin", &promote).refused(403);
    center.post("/v1/api/users/set_admin", &promote).ok();
    ann.post("/v1/api/users/deactivate", &whom).ok();
    center.get("/v1/api/users/me").refused(401);
}

#[test]
fn an_invitation_without_a_password_gives_one_that_signs_in() {
    let center = Center::start();
    let order = json!({ "email": "bob@example.com", "firstName": "Bob" });
    let made = center.post("/v1/api/users/invite", &order).ok();
    let password = made["password"].as_str().unwrap();
    bearer(&center, "bob@example.com", password).get("/v1/api/users/me").ok();
    let taken = center.post("/v1/api/users/invite", &order).refused(409);
    assert_eq!(taken["kind"], "email_taken");
    let id = made["id"].as_str().unwrap();
    let found = center.post("/v1/api/users/query", &json!({ "user_ids": [id] })).ok();
    assert_eq!(found["users"].as_object().unwrap().len(), 1);
    let bob = &found["users"][id];
    assert_eq!((&bob["email"], &bob["username"]), (&json!("bob@example.com"), &bob["email"]));
    assert_eq!((&bob["firstName"], &bob["enabled"]), (&json!("Bob"), &json!(true)));
    assert_eq!(
        center.post("/v1/api/users/query", &json!({})).ok()["users"].as_object().unwrap().len(),
        2
    );
}

#[test]
fn a_changed_password_ends_the_sign_ins_of_the_old_one_but_for_the_own() {
    let center = Center::start();
    let ann = user(&center, "ann@example.com");
    let elsewhere = bearer(&center, "ann@example.com", PASSWORD);
    let change = |current: &str| {
        let order = json!({ "current_password": current, "new_password": "another long password" });
        ann.post("/v1/api/users/change_password", &order)
    };
    assert_eq!(change("wrong password here").refused(403)["kind"], "wrong_password");
    change(PASSWORD).ok();
    elsewhere.get("/v1/api/users/me").refused(401);
    ann.get("/v1/api/users/me").ok();
    bearer(&center, "ann@example.com", "another long password");
    let reset = json!({ "email": "ann@example.com" });
    let password = center.post("/v1/api/users/reset_password", &reset).ok()["password"].clone();
    ann.get("/v1/api/users/me").refused(401);
    bearer(&center, "ann@example.com", password.as_str().unwrap());
}

#[test]
fn every_change_and_every_failed_sign_in_is_in_the_audit_page_by_page() {
    let center = Center::start();
    user(&center, "ann@example.com");
    for who in ["ann@example.com", "nobody@example.com"] {
        let fields = [("grant_type", "password"), ("username", who), ("password", "wrong")];
        center.stranger().form(TOKEN, &fields).refused(401);
    }
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = center.get(&format!("/v1/api/audit?limit=2{next}")).ok();
        for entry in page["entries"].as_array().unwrap() {
            seen.push(format!("{} {}", entry["action"], entry["subject"]).replace('"', ""));
        }
        let Some(before) = page["next"].as_i64() else { break };
        next = format!("&before={before}");
    }
    let wanted = [
        "sign_in.failed nobody@example.com",
        "sign_in.failed ann@example.com",
        "sign_in ann@example.com",
        "user.invite ann@example.com",
        "first_run admin@example.com",
    ];
    assert_eq!(seen, wanted);
    let failed = center.get("/v1/api/audit?action=sign_in.failed").ok();
    assert_eq!(failed["entries"].as_array().unwrap().len(), 2);
    assert_eq!(failed["entries"][0]["peer"], "127.0.0.1");
    assert_eq!(failed["entries"][0]["user_id"], json!(null));
    center.get("/v1/api/audit?limit=0").refused(400);
    bearer(&center, "ann@example.com", PASSWORD).get("/v1/api/audit").refused(403);
    assert!(!center.get("/v1/api/audit").text().contains(PASSWORD));
}

#[test]
fn behind_a_trusted_proxy_each_client_has_failures_of_its_own_and_nobody_else_is_believed() {
    let attempt = |center: &Center, from: &str| {
        let fields = [("grant_type", "password"), ("username", "a@b"), ("password", "wrong")];
        center.stranger().with("X-Forwarded-For", from).form(TOKEN, &fields).status
    };
    let center = Center::start_with(&["--trusted-proxy", "127.0.0.0/8"]);
    let attacker: Vec<u16> = (0..12).map(|_| attempt(&center, "198.51.100.1")).collect();
    assert_eq!((attacker[9], attacker[11]), (401, 429));
    // What the attacker writes before the proxy does changes nothing.
    assert_eq!(attempt(&center, "203.0.113.9, 198.51.100.1"), 429);
    assert_eq!(attempt(&center, "203.0.113.9"), 401);
    let failed = center.get("/v1/api/audit?action=sign_in.failed").ok();
    assert_eq!(failed["entries"][0]["peer"], "203.0.113.9");

    let center = Center::start();
    let statuses: Vec<u16> =
        (0..12).map(|nth| attempt(&center, &format!("203.0.113.{nth}"))).collect();
    assert_eq!((statuses[9], statuses[11]), (401, 429));
}

#[test]
fn sign_ins_that_fail_too_often_have_to_wait_and_who_is_signed_in_goes_on() {
    let center = Center::start();
    let attempt = |who: &str| {
        let fields = [("grant_type", "password"), ("username", who), ("password", "wrong")];
        center.stranger().form(TOKEN, &fields)
    };
    let statuses: Vec<u16> = (0..12).map(|nth| attempt(&format!("a{nth}@b")).status).collect();
    assert_eq!(&statuses[..10], &[401; 10]);
    assert_eq!(&statuses[10..], &[429; 2]);
    let refused = attempt(EMAIL);
    let wait: u64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    center.get("/v1/api/users/me").ok();
}

#[test]
fn an_administrator_is_made_without_anyone_at_the_keyboard_and_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let data = home.path().join("data");
    let arguments = ["--admin-email", "ops@example.com", "--admin-password-file"];
    let arguments = [&arguments[..], &[file.to_str().unwrap()]].concat();
    let mut center = Center::serve(&data, &arguments);
    assert!(!center.process.seen().join("\n").contains("first-run"));
    bearer(&center, "ops@example.com", PASSWORD).get("/v1/api/audit").ok();
    std::fs::write(&file, "another long password").unwrap();
    center.process.signal("TERM");
    let center = Center::serve(&data, &arguments);
    bearer(&center, "ops@example.com", PASSWORD).get("/v1/api/users/me").ok();
}
