//! Tokens: for programs by name, and for passwords in the original's form.

use super::{TOKEN, user};
use crate::support::founded::{Center, Client, EMAIL, PASSWORD};
use serde_json::json;

#[test]
fn a_token_is_shown_once_listed_without_its_text_and_holds_until_it_is_taken_back() {
    let center = Center::start();
    let order = json!({ "name": "ci", "expires_in_days": 7 });
    let made = center.post("/v1/api/tokens/create", &order).ok();
    let text = made["token"].as_str().unwrap().to_owned();
    assert!(text.starts_with("ptr_"), "{text}");
    let program = Client::new(&center.address, Some(&text));
    program.get("/v1/api/users/me").ok();
    let list = center.post("/v1/api/tokens/list", &json!({}));
    assert!(!list.text().contains(&text));
    let names: Vec<_> =
        list.ok()["tokens"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    assert_eq!(names, ["ci", "first run"]);
    assert!(list.ok()["tokens"][0]["last_used_at"].is_string());
    let ann = user(&center, "ann@example.com");
    let which = json!({ "id": made["id"] });
    ann.post("/v1/api/tokens/revoke", &which).refused(404);
    center.post("/v1/api/tokens/revoke", &which).ok();
    program.get("/v1/api/users/me").refused(401);
    center.post("/v1/api/tokens/revoke", &which).refused(404);
    let never = json!({ "name": "x", "expires_in_days": 0 });
    center.post("/v1/api/tokens/create", &never).refused(400);
}

#[test]
fn no_file_of_the_center_holds_a_token_or_a_password() {
    let center = Center::start();
    let order = json!({ "name": "ci" });
    let made = center.post("/v1/api/tokens/create", &order).ok();
    let text = made["token"].as_str().unwrap();
    for name in ["records.db", "records.db-wal"] {
        let bytes = std::fs::read(center.data.join(name)).unwrap();
        for secret in [text, &center.token, PASSWORD] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name}");
        }
    }
}

#[test]
fn a_password_gives_a_bearer_token_and_a_refresh_token_the_next_once() {
    let center = Center::start();
    let grant = |fields: &[(&str, &str)]| center.stranger().form(TOKEN, fields);
    let client = ("client_id", "sdk-client");
    let first =
        grant(&[("grant_type", "password"), client, ("username", EMAIL), ("password", PASSWORD)]);
    assert_eq!(first.header("Cache-Control"), Some("no-store"));
    let first = first.ok();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let text = |pair: &serde_json::Value, key: &str| pair[key].as_str().unwrap().to_owned();
    let me = |pair: &serde_json::Value| {
        let token = text(pair, "access_token");
        Client::new(&center.address, Some(&token)).get("/v1/api/users/me").status
    };
    assert_eq!(me(&first), 200);
    let old = text(&first, "refresh_token");
    let refresh =
        |token: &str| grant(&[("grant_type", "refresh_token"), client, ("refresh_token", token)]);
    let second = refresh(&old).ok();
    assert_eq!((me(&first), me(&second)), (200, 200));
    // Who shows it again has copied it: both sides are out.
    assert_eq!(refresh(&old).refused(400)["error"], "invalid_grant");
    assert_eq!((me(&first), me(&second)), (401, 401));
    refresh(&text(&second, "refresh_token")).refused(400);
    let odd = grant(&[("grant_type", "magic")]).refused(400);
    assert_eq!(odd["error"], "unsupported_grant_type");
    // A refresh token is no bearer token.
    let third =
        grant(&[("grant_type", "password"), ("username", EMAIL), ("password", PASSWORD)]).ok();
    let token = text(&third, "refresh_token");
    Client::new(&center.address, Some(&token)).get("/v1/api/users/me").refused(401);
}

#[test]
fn clients_learn_the_architecture_without_signing_in() {
    let center = Center::start();
    let config = center.stranger().get("/v1/api/config").ok();
    assert_eq!(config, json!({ "default_arch": "x86" }));
    let features = center.stranger().post("/v1/api/features/list", &json!({})).ok();
    assert_eq!(features["features"], json!({}));
}
