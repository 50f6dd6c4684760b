//! Who may do what in an ops center, by password, token and cookie, against the real program.

mod accounts;
mod first_run;
mod golden;
mod sessions;
mod tokens;
mod workspaces;

use crate::support::founded::{Center, Client, PASSWORD};
use serde_json::json;

/// A user of that email, and a client with a bearer token of theirs.
fn user(center: &Center, email: &str) -> Client {
    let order = json!({ "email": email, "password": PASSWORD });
    center.post("/v1/api/users/invite", &order).ok();
    bearer(center, email, PASSWORD)
}

/// A client with a bearer token got for a password.
fn bearer(center: &Center, email: &str, password: &str) -> Client {
    let fields = [("grant_type", "password"), ("username", email), ("password", password)];
    let pair = center.stranger().form(TOKEN, &fields).ok();
    Client::new(&center.address, Some(&pair["access_token"].as_str().unwrap().to_owned()))
}

/// Where the original's clients get their tokens.
const TOKEN: &str = "/auth/realms/master/protocol/openid-connect/token";
