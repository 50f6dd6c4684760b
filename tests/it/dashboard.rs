//! The dashboard: the contract's three tasks clicked through, and what a page may not let happen.

use crate::support::browser::{click_through, look_again};
use crate::support::founded::{Center, Client, EMAIL, PASSWORD, command};
use crate::support::publishing::{Author, infers, run_as_printed, until};
use crate::support::registry::{Auth, PASSWORD as REGISTRY_PASSWORD, Registry};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const USER: &str = "_json_key_base64";

/// A page without images, at most.
const PAGE_BYTES_MAX: u64 = 100_000;

/// What nobody should meet on any page.
fn is_clean(seen: &Value) {
    is_clean_as_far_as_it_went(seen);
    let tabs = json!([["docker"], ["compose"], ["helm"], ["process"], ["systemd"]]);
    assert_eq!(seen["tabs"], tabs, "one at a time, by the arrow key");
}

fn is_clean_as_far_as_it_went(seen: &Value) {
    let judged = seen["judged"].as_u64();
    assert!(judged.is_none_or(|rules| rules > 1_000), "axe looked at nothing: {seen}");
    for trouble in ["violations", "overflow", "console", "foreign"] {
        assert_eq!(seen[trouble], json!([]), "{trouble}");
    }
    let sizes: BTreeMap<String, u64> = serde_json::from_value(seen["bytes"].clone()).unwrap();
    assert!(sizes.len() > 7, "{sizes:?}");
    for (page, bytes) in &sizes {
        assert!((1..PAGE_BYTES_MAX).contains(bytes), "{page} has {bytes} bytes");
    }
}

#[test]
fn a_person_views_publishes_and_deploys_with_an_external_registry() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let host = registry.host().to_string();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut serve = command(&data);
    serve.args(["--registry", &format!("{host}/team")]);
    serve.env("OCI_USERNAME", USER).env("OCI_PASSWORD", REGISTRY_PASSWORD);
    let mut center = Center::run(&data, &mut serve);
    let seen = click_through(&mut center, "external");
    is_clean(&seen);
    let version = center_version(&seen);
    let info = &seen["info"];
    assert_eq!(info["Pipeline location"], format!("{host}/team/pipelines/fraud:{version}"));
    assert_eq!(info["Pipeline Chart"], format!("oci://{host}/team/charts/fraud"));
    let engine = format!("{host}/team/engines/potoroo-engine:v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(info["Engine url"], engine);
    assert!(seen["tested"].as_str().unwrap().contains(&host), "{seen}");
    infers(&run_as_printed(&seen["docker_run"], USER, REGISTRY_PASSWORD), "fraud");
}

/// The version that Check Info names.
fn center_version(seen: &Value) -> String {
    let location = seen["info"]["Pipeline location"].as_str().unwrap();
    location.rsplit_once(':').unwrap().1.to_owned()
}

#[test]
fn the_first_steps_end_with_an_answer_by_the_built_in_registry() {
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::serve(&home.path().join("data"), &["--report-seconds", "1"]);
    let seen = click_through(&mut center, "built-in");
    is_clean(&seen);
    let run = |given: &Value, pipeline: &str| {
        let login = given["login"].as_str().unwrap();
        let value = |name: &str| {
            let mut lines = login.lines().filter_map(|line| line.strip_prefix("export "));
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap().trim_start_matches('=').to_owned()
        };
        let (username, password) = (value("REGISTRYUSERNAME"), value("REGISTRYPASSWORD"));
        let engine = run_as_printed(&given["docker_run"], &username, &password);
        infers(&engine, pipeline);
        engine
    };
    run(&seen["sample"], "sample-fraud");
    let _engine = run(&seen, "fraud");
    // What it inferred is soon to be seen, and that it joined.
    let (browser, _) = signed_in(&center);
    until(|| browser.get("/pipelines/2/logs").text().contains("till-7</td>").then_some(()));
    let file = browser.get("/pipelines/2/logs/file?format=csv&edge=till-7");
    assert!(file.text().contains("metadata.partition"), "{}", file.text());
    let name = "attachment; filename=\"fraud-logs.csv\"";
    assert_eq!(file.header("Content-Disposition"), Some(name));
    let edge = browser.get("/edges/till-7").text();
    assert!(edge.contains("What it says of itself") && edge.contains("as wanted"), "{edge}");
    is_clean_as_far_as_it_went(&look_again(&center, "later"));
}

/// A browser with a session, and the token that its forms have.
pub fn signed_in(center: &Center) -> (Client, String) {
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    let reply = center.stranger().form("/sign-in", &fields);
    let cookie = reply.header("Set-Cookie").unwrap().split(';').next().unwrap().to_owned();
    let browser = center.stranger().with("Cookie", &cookie);
    let csrf = browser.get("/v1/api/users/me").ok()["csrf_token"].as_str().unwrap().to_owned();
    (browser, csrf)
}

#[test]
fn who_is_not_signed_in_is_asked_to_be_and_brought_back() {
    let center = Center::start();
    let reply = center.stranger().get("/workspaces/1/edges?tag=a");
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("Location"), Some("/sign-in?next=/workspaces/1/edges%3Ftag%3Da"));
    assert_eq!(center.stranger().get("/events?publish=1").status, 401);
    let form = center.stranger().get("/sign-in?next=/workspaces/1/edges%3Ftag%3Da").text();
    assert!(form.contains("value=\"/workspaces/1/edges?tag=a\""), "{form}");
}

#[test]
fn every_form_of_a_session_needs_its_token() {
    let center = Center::start();
    let (browser, csrf) = signed_in(&center);
    for path in [
        "/workspaces",
        "/workspaces/1/members",
        "/workspaces/1/members/remove",
        "/workspaces/1/pipelines",
        "/pipelines/1/publish",
        "/publishes/1/again",
        "/publishes/1/edges",
        "/workspaces/1/edges",
        "/edges/a/remove",
        "/edges/a/again",
        "/edges/a/assign",
        "/pipelines/1/drift/window",
        "/pipelines/1/drift/remove",
        "/users",
        "/users/change",
        "/account/tokens",
        "/account/tokens/revoke",
        "/account/password",
        "/settings/test",
        "/guide/sample",
        "/guide/edges",
        "/sign-out",
    ] {
        let refused = browser.form(path, &[("name", "x"), ("csrf_token", "wrong")]);
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
    }
    let made = browser.form("/workspaces", &[("name", "vision"), ("csrf_token", &csrf)]);
    assert_eq!((made.status, made.header("Location")), (303, Some("/workspaces/2/pipelines")));
}

#[test]
fn a_model_comes_by_a_form_without_a_script_if_the_token_comes_before_it() {
    let center = Center::start();
    let (browser, csrf) = signed_in(&center);
    let send = |token: Option<&str>| {
        let mut body = String::new();
        let mut part = |name: &str, value: &str| {
            body += &format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        };
        if let Some(token) = token {
            part("csrf_token", token);
        }
        part("workspace_id", "1");
        part("name", "fraud");
        body += "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fraud.onnx\"\r\n\r\n";
        let model = std::fs::read(crate::support::fixture("models/fraud.onnx")).unwrap();
        let whole = [body.as_bytes(), &model, b"\r\n--edge--\r\n"].concat();
        browser.send("POST", "/models", "multipart/form-data; boundary=edge", &whole)
    };
    for token in [None, Some(""), Some("wrong")] {
        assert_eq!(send(token).status, 403, "{token:?}");
    }
    let sent = send(Some(&csrf));
    assert_eq!((sent.status, sent.header("Location")), (303, Some("/model-versions/1")));
    let page = browser.get("/model-versions/1");
    assert!(page.text().contains("fraud.onnx"), "{}", page.text());
}

#[test]
fn names_from_outside_are_text_on_every_page() {
    let center = Center::start();
    let author = Author::of(&center);
    let attack = "<script>marks=1</script>\"'><img src=x onerror=marks=2>";
    let bytes = std::fs::read(crate::support::fixture("models/fraud.onnx")).unwrap();
    let name =
        attack.replace('%', "%25").replace(' ', "%20").replace('<', "%3C").replace('"', "%22");
    let path = format!(
        "/v1/api/models/upload_stream?filename={}&name=fraud&workspace_id=1",
        name.replace('>', "%3E").replace('\'', "%27")
    );
    center.client().send("POST", &path, "application/octet-stream", &bytes).ok();
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    let tags: Vec<String> = vec![attack.chars().take(60).collect()];
    let order = json!({ "pipeline_publish_id": publish["id"], "name": "edge-1", "tags": tags });
    assert_eq!(author.post("pipelines/add_edge_to_publish", &order).status, 201);
    let order = json!({ "workspace_name": "<script>marks=3</script>" });
    author.post("workspaces/create", &order).ok();
    author.post("tokens/create", &json!({ "name": "<img src=x onerror=marks=4>" })).ok();
    let (browser, csrf) = signed_in(&center);
    let typed = [("name", attack), ("csrf_token", csrf.as_str())];
    let mut pages = vec![browser.form("/workspaces/1/pipelines", &typed)];
    for path in [
        "/workspaces",
        "/workspaces/1/models",
        "/models/1",
        "/model-versions/1",
        "/workspaces/1/edges",
        "/edges/edge-1",
        "/publishes/1",
        "/pipelines/1",
        "/account",
        "/audit",
        "/users",
        "/guide",
        "/workspaces/1/members",
    ] {
        pages.push(browser.get(path));
        assert_eq!(pages.last().unwrap().status, 200, "{path}");
    }
    pages.push(browser.get("/workspaces/1/edges?tag=%22%3E%3Cscript%3E"));
    pages.push(browser.get("/audit?action=%22%3E%3Cscript%3E"));
    for page in pages {
        let text = page.text();
        assert!(!text.contains("<script>") && !text.contains("<img src=x"), "{text}");
        assert_eq!(text.matches("<script").count(), 1, "{text}");
    }
}

#[test]
fn the_script_comes_under_the_name_of_its_bytes_and_is_kept() {
    let center = Center::start();
    let page = center.stranger().get("/sign-in").text();
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(paths.len(), 4, "{paths:?}");
    for path in paths {
        let reply = center.stranger().get(path);
        assert_eq!(reply.status, 200, "{path}");
        let kept = "public, max-age=31536000, immutable";
        assert_eq!(reply.header("Cache-Control"), Some(kept), "{path}");
    }
    assert_eq!(center.stranger().get("/assets/000000000000.js").status, 404);
}

#[test]
fn a_viewer_sees_and_is_offered_nothing_to_change() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    author.add_edge(&publish, "edge-1");
    let who = json!({ "email": "eve@example.com", "password": PASSWORD });
    author.post("users/invite", &who).ok();
    let member = json!({ "workspace_id": 1, "email": "eve@example.com", "user_type": "VIEWER" });
    author.post("workspaces/add_user", &member).ok();
    let fields = [("email", "eve@example.com"), ("password", PASSWORD)];
    let reply = center.stranger().form("/sign-in", &fields);
    let cookie = reply.header("Set-Cookie").unwrap().split(';').next().unwrap().to_owned();
    let eve = center.stranger().with("Cookie", &cookie);
    for path in ["/pipelines/1", "/publishes/1", "/edges/edge-1", "/workspaces/1/edges"] {
        let page = eve.get(path);
        assert_eq!(page.status, 200, "{path}");
        let forms = page.text().matches("method=\"post\"").count();
        assert_eq!(forms, 1, "{path} has more than the sign-out: {}", page.text());
    }
    for path in ["/users", "/audit", "/settings", "/workspaces/1/pipelines/new"] {
        assert_eq!(eve.get(path).status, 403, "{path}");
    }
}

#[test]
fn events_tell_how_far_a_publish_is_and_end_with_it() {
    let center = Center::start();
    let author = Author::of(&center);
    let id = author.ask(author.save("fraud", "fraud.onnx").id);
    let news = center.get(&format!("/events?publish={id}"));
    assert_eq!(news.header("Content-Type"), Some("text/event-stream"));
    let text = news.text();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["status"], "Published", "{text}");
    center.get("/events?publish=99").refused(404);
    center.get("/events").refused(400);
}

#[test]
fn an_ops_center_stops_at_once_though_browsers_listen() {
    let mut center = Center::start();
    let mut listening = center.client().open("GET", "/events?edges=1");
    let first = std::io::Read::read(&mut listening, &mut [0; 1024]).unwrap();
    assert!(first > 0);
    center.process.send("TERM");
    let line = center.process.line_with("msg=stopped");
    assert!(line.contains("drained=true"), "{line}");
}

#[test]
fn a_bundle_is_made_anew_and_the_edge_keeps_its_tags() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    let before = author.add_edge(&publish, "edge-1");
    let (browser, csrf) = signed_in(&center);
    let page = browser.form("/edges/edge-1/again", &[("csrf_token", &csrf)]);
    assert_eq!(page.status, 200, "{}", page.text());
    let old = before["docker_run_variables"]["EDGE_BUNDLE"].as_str().unwrap();
    assert!(page.text().contains("EDGE_BUNDLE") && !page.text().contains(old), "{}", page.text());
    let edges = author.post("pipelines/list_edges", &json!({})).ok();
    assert_eq!(edges["edges"][0]["tags"], json!(["a"]));
    assert!(
        !browser.get("/edges/edge-1").text().contains("ZXhwb3J0"),
        "the bundle is kept nowhere"
    );
    let gone = browser.form("/edges/edge-1/remove", &[("csrf_token", &csrf)]);
    assert_eq!((gone.status, gone.header("Location")), (303, Some("/workspaces/1/edges")));
    assert_eq!(browser.get("/edges/edge-1").status, 404);
}

#[test]
fn what_a_registry_refuses_is_said_where_the_box_was() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut serve = command(&data);
    serve.args(["--registry", &registry.host().to_string()]);
    serve.env("OCI_USERNAME", USER).env("OCI_PASSWORD", "wrong");
    let mut center = Center::run(&data, &mut serve);
    center.first_run();
    let author = Author::of(&center);
    author.ended(author.ask(author.save("fraud", "fraud.onnx").id));
    let (browser, csrf) = signed_in(&center);
    let page = browser.get("/pipelines/1").text();
    assert!(page.contains("Why it failed") && page.contains("Publish again"), "{page}");
    let info = browser.get("/publishes/1").text();
    assert!(info.contains("check OCI_USERNAME"), "{info}");
    let tested = browser.form("/settings/test", &[("csrf_token", &csrf)]).text();
    assert!(tested.contains("The registry cannot be used."), "{tested}");
    assert!(!tested.contains(">wrong<"), "{tested}");
    until(|| (browser.get("/").status == 303).then_some(()));
    assert!(Path::new(&data).is_dir());
}
