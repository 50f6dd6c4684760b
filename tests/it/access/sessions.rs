//! Sessions of browsers: forms, cookies, and changes that another site's page cannot make.

use crate::support::certificates::{Authority, GOOD, LOOPBACK};
use crate::support::engine::curl;
use crate::support::founded::{Center, Client, EMAIL, PASSWORD, Reply};
use serde_json::json;

/// The cookie that an answer sets, without its attributes.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("Set-Cookie").unwrap();
    set.split(';').next().unwrap().to_owned()
}

fn sign_in(center: &Center, fields: &[(&str, &str)]) -> Reply {
    let fields = [&[("email", EMAIL), ("password", PASSWORD)], fields].concat();
    center.stranger().form("/sign-in", &fields)
}

#[test]
fn a_sign_in_sets_a_cookie_that_reads_and_changes_only_with_the_sessions_token() {
    let center = Center::start();
    let signed_in = sign_in(&center, &[("next", "/edges")]);
    assert_eq!((signed_in.status, signed_in.header("Location")), (303, Some("/edges")));
    let set = signed_in.header("Set-Cookie").unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    let browser = center.stranger().with("Cookie", &cookie(&signed_in));
    let me = browser.get("/v1/api/users/me").ok();
    assert_eq!((&me["email"], &me["by"]), (&json!(EMAIL), &json!("session")));
    let name = json!({ "workspace_name": "vision" });
    let forged = browser.post("/v1/api/workspaces/create", &name).refused(403);
    assert_eq!(forged["kind"], "csrf");
    let csrf = me["csrf_token"].as_str().unwrap();
    browser.clone().with("X-CSRF-Token", "x").post("/v1/api/workspaces/create", &name).refused(403);
    browser.clone().with("X-CSRF-Token", csrf).post("/v1/api/workspaces/create", &name).ok();
    // A form has it in a field, and ends the session.
    assert_eq!(browser.form("/sign-out", &[]).status, 403);
    let out = browser.form("/sign-out", &[("csrf_token", csrf)]);
    assert_eq!(out.status, 303);
    assert!(out.header("Set-Cookie").unwrap().contains("potoroo_session=; "), "{out:?}");
    browser.get("/v1/api/users/me").refused(401);
}

#[test]
fn a_token_that_does_not_hold_is_not_made_up_for_by_a_cookie() {
    let center = Center::start();
    let cookie = cookie(&sign_in(&center, &[]));
    let both = Client::new(&center.address, Some(&"ptr_x".to_owned())).with("Cookie", &cookie);
    both.get("/v1/api/users/me").refused(401);
    // Nor does a session's text hold as a token, or a token's as a session.
    let (_, session) = cookie.split_once('=').unwrap();
    Client::new(&center.address, Some(&session.to_owned())).get("/v1/api/users/me").refused(401);
    let swapped = format!("potoroo_session={}", center.token);
    center.stranger().with("Cookie", &swapped).get("/v1/api/users/me").refused(401);
    // Nor does a session without TLS hold under the name that only TLS can set.
    let promoted = format!("__Host-{cookie}");
    center.stranger().with("Cookie", &promoted).get("/v1/api/users/me").refused(401);
}

#[test]
fn a_form_of_another_site_signs_nobody_in() {
    let center = Center::start();
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        let refused = center.stranger().with(name, value).form("/sign-in", &fields);
        assert_eq!(refused.status, 403, "{name}");
        assert!(refused.text().contains("another site"), "{}", refused.text());
    }
    let ours = format!("http://{}", center.address);
    assert_eq!(center.stranger().with("Origin", &ours).form("/sign-in", &fields).status, 303);
    assert_eq!(sign_in(&center, &[("next", "//evil.example")]).header("Location"), Some("/"));
}

#[test]
fn a_wrong_password_shows_the_form_again_with_the_same_words_for_everyone() {
    let center = Center::start();
    let wrong = |email: &str| {
        let page = center.stranger().form("/sign-in", &[("email", email), ("password", "wrong")]);
        (page.status, page.text().replace(email, "WHO"))
    };
    let (known, unknown) = (wrong(EMAIL), wrong("nobody@example.com"));
    assert_eq!(known, unknown);
    assert_eq!(known.0, 401);
    let odd = center.stranger().form("/sign-in", &[("email", "<b>\"x"), ("password", "wrong")]);
    assert!(odd.text().contains("value=\"&lt;b&gt;&quot;x\""), "{}", odd.text());
}

#[test]
fn the_pages_run_only_our_script_and_are_framed_by_nobody() {
    let center = Center::start();
    for path in ["/sign-in", "/first-run?token=%22%3E%3Cscript%3E"] {
        let page = center.stranger().get(path);
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("Content-Security-Policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let scripts: Vec<_> = page.text().match_indices("<script").map(|(at, _)| at).collect();
        assert_eq!(scripts.len(), 1, "{}", page.text());
        assert!(page.text().contains("<script src=\"/assets/"), "{}", page.text());
        assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(page.header("Strict-Transport-Security"), None);
    }
}

#[test]
fn behind_tls_the_cookie_is_bound_to_the_host_and_to_tls() {
    let center = Center::start_with(&["--url", "https://ops.example.com"]);
    let set = sign_in(&center, &[]).header("Set-Cookie").unwrap().to_owned();
    assert!(set.starts_with("__Host-potoroo_session="), "{set}");
    assert!(set.ends_with("; Secure"), "{set}");
}

#[test]
fn the_first_run_can_be_done_by_its_form() {
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::serve(home.path(), &[]);
    let token = center.first_run_token();
    let post = |password: &str| {
        let fields = [("token", token.as_str()), ("email", EMAIL), ("password", password)];
        center.stranger().form("/first-run", &fields)
    };
    let short = post("short");
    assert!(short.status == 400 && short.text().contains("12 characters"), "{}", short.text());
    let done = post(PASSWORD);
    assert!(done.status == 200 && done.text().contains("ptr_"), "{}", done.text());
    let browser = center.stranger().with("Cookie", &cookie(&done));
    assert_eq!(browser.get("/v1/api/users/me").ok()["is_admin"], true);
    assert_eq!(post(PASSWORD).status, 403);
}

#[test]
fn under_tls_a_browser_is_told_to_come_by_tls_alone_and_the_link_says_https() {
    let home = tempfile::tempdir().unwrap();
    let files = Authority::new().shown(&LOOPBACK, GOOD).write(home.path());
    let [certificate, key] = files.each_ref().map(|path| path.to_str().unwrap());
    let arguments = ["--tls-cert", certificate, "--tls-key", key];
    let mut center = Center::serve(&home.path().join("data"), &arguments);
    let link = format!("https://{}/first-run?token=", center.address);
    assert!(center.first_run_token().starts_with("ptrf_"));
    assert!(center.process.seen().join("\n").contains(&link), "{link}");
    let url = format!("https://{}/sign-in", center.address);
    let page = curl(&url, &["-k", "-i"]).body;
    assert!(page.contains("Strict-Transport-Security: max-age=31536000"), "{page}");
}
