//! The contract's story by the ops center: upload, save, publish, add an edge, run what is printed, infer.

use crate::support::engine::Engine;
use crate::support::founded::{Center, command};
use crate::support::front::{Front, Way};
use crate::support::golden;
use crate::support::publishing::{Author, infers, run_as_printed, until};
use crate::support::registry::{Auth, PASSWORD, Registry, credentials};
use crate::support::signing::{Keys, PASSWORD as KEY_PASSWORD};
use potoroo::fleet::Bundle;
use potoroo::oci::{Reference, Version};
use serde_json::{Value, json};

const USER: &str = "_json_key_base64";

/// A center that publishes to an external registry, with these credentials.
fn center_with(registry: &str, password: Option<&str>) -> (Center, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut serve = command(&data);
    serve.args(["--registry", registry]);
    if let Some(password) = password {
        serve.env("OCI_USERNAME", USER).env("OCI_PASSWORD", password);
    }
    let mut center = Center::run(&data, &mut serve);
    center.first_run();
    (center, home)
}

#[test]
fn the_story_ends_with_an_answer_by_an_external_registry() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let host = registry.host().to_string();
    let (center, _home) = center_with(&format!("{host}/team"), Some(PASSWORD));
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let asked = author.post("pipelines/publish", &json!({ "pipeline_version_id": saved.id }));
    assert_eq!(asked.status, 202);
    golden("center/publish.json", &masked(&asked.text(), &host));
    let publish = author.ended(asked.json()["id"].as_i64().unwrap());
    let version = &saved.version;
    assert_eq!(publish["pipeline_url"], format!("{host}/team/pipelines/fraud:{version}"));

    let added = author.post(
        "pipelines/add_edge_to_publish",
        &json!({ "pipeline_publish_id": publish["id"], "name": "edge-1", "tags": ["a"] }),
    );
    assert_eq!(added.status, 201);
    golden("center/add_edge.json", &masked(&added.text(), &host));
    let added = added.json();
    let bundle = added["docker_run_variables"]["EDGE_BUNDLE"].as_str().unwrap();
    assert_eq!(added["helm"]["values"], json!({ "edgeBundle": bundle }));
    let bundle = Bundle::parse(bundle).unwrap();
    for (key, value) in [
        ("BUNDLE_VERSION", "1"),
        ("EDGE_NAME", "edge-1"),
        ("OPSCENTER_HOST", center.address.as_str()),
        ("PIPELINE_URL", publish["pipeline_url"].as_str().unwrap()),
        ("WORKSPACE_ID", &center.workspace.to_string()),
    ] {
        assert_eq!(bundle.value(key), Some(value));
    }

    let commands = author.commands("edge-1", &added);
    infers(&run_as_printed(&commands["docker_run"], USER, PASSWORD), "fraud");
    let alone = &commands["docker_run_without_observability"];
    assert!(!alone.as_str().unwrap().contains("EDGE_BUNDLE"), "{alone}");
    infers(&run_as_printed(alone, USER, PASSWORD), "fraud");

    // What lies in the registry is what was told, and the chart is beside it.
    let url: Reference = publish["pipeline_url"].as_str().unwrap().parse().unwrap();
    let remote = registry.remote(url.repository.as_str(), credentials(USER, PASSWORD));
    let found = remote.manifest(&url.version).unwrap();
    assert_eq!(found.digest.to_string(), publish["digest"].as_str().unwrap());
    let chart = registry.remote("team/charts/fraud", credentials(USER, PASSWORD));
    let tag = Version::Tag(format!("0.0.1-{version}").parse().unwrap());
    let digest = chart.manifest(&tag).unwrap().digest;
    assert_eq!(publish["helm"]["reference"], format!("{host}/team/charts@{digest}"));
}

#[test]
fn the_story_ends_with_an_answer_by_the_built_in_registry_and_nothing_else() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    let added = author.add_edge(&publish, "edge-1");
    let pull = &added["pull_credentials"];
    let [username, password] = ["username", "password"].map(|key| pull[key].as_str().unwrap());
    let commands = author.commands("edge-1", &added);
    let engine = run_as_printed(&commands["docker_run"], username, password);
    infers(&engine, "fraud");

    // The API token of a member pulls, too; that of nobody does not.
    infers(&run_as_printed(&commands["docker_run"], "anyone", &center.token), "fraud");
    let url: Reference = publish["pipeline_url"].as_str().unwrap().parse().unwrap();
    let transport =
        potoroo::registry::Transport::new(potoroo::http::client::Timeouts::EDGE, Vec::new());
    let pulls = |password: &str| {
        let Reference { registry, repository, version } = url.clone();
        let login = credentials(username, password);
        let remote = potoroo::registry::Remote::new(transport.clone(), registry, repository, login);
        remote.manifest(&version)
    };
    assert!(pulls("ptp_wrong").is_err());
    assert!(pulls(password).is_ok());

    // An edge that is removed pulls no more, and its name is free again.
    let removed = author.post("pipelines/remove_edge", &json!({ "name": "edge-1" }));
    assert_eq!((removed.status, removed.text().as_str()), (200, "null"));
    assert!(pulls(password).is_err(), "the credentials went with the edge");
    let again = author.add_edge(&publish, "edge-1");
    assert_ne!(again["pull_credentials"]["password"], pull["password"]);
    assert_ne!(again["docker_run_variables"], added["docker_run_variables"]);
}

#[test]
fn what_the_center_signs_is_served_by_an_engine_that_wants_signatures() {
    let keys = Keys::make();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut serve = command(&data);
    serve.arg("--sign").arg(keys.private()).env("COSIGN_PASSWORD", KEY_PASSWORD);
    let mut center = Center::run(&data, &mut serve);
    center.first_run();
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let first = author.published(saved.id);
    assert_eq!(author.published(saved.id)["digest"], first["digest"]);
    let added = author.add_edge(&first, "edge-1");
    let pull = &added["pull_credentials"];
    let key = keys.public_text();
    let engine = Engine::start(&[
        ("PIPELINE_URL", first["pipeline_url"].as_str().unwrap()),
        ("OCI_USERNAME", pull["username"].as_str().unwrap()),
        ("OCI_PASSWORD", pull["password"].as_str().unwrap()),
        ("POTOROO_SIGNATURES", "require"),
        ("POTOROO_SIGNATURE_KEY", &key),
    ]);
    infers(&engine, "fraud");
}

#[test]
fn a_registry_that_refuses_makes_an_error_that_says_what_to_do() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let host = registry.host().to_string();
    for (password, hint) in [(None, "set OCI_USERNAME"), (Some("wrong"), "check OCI_USERNAME")] {
        let (center, _home) = center_with(&host, password);
        let author = Author::of(&center);
        let publish = author.ended(author.ask(author.save("fraud", "fraud.onnx").id));
        let error = publish["error"].as_str().unwrap_or_default();
        assert_eq!(publish["status"], "Error", "{publish}");
        assert!(error.contains(&host) && error.contains(hint), "{error}");
        assert!(!error.contains("wrong"), "{error}");
        assert_eq!(publish["pipeline_url"], Value::Null);
        let refused = author.post(
            "pipelines/add_edge_to_publish",
            &json!({ "pipeline_publish_id": publish["id"], "name": "edge-1" }),
        );
        assert_eq!(refused.refused(409)["kind"], "not_published");
    }
}

#[test]
fn a_registry_that_comes_back_gets_what_waited_for_it() {
    let registry = Registry::start(&Auth::None);
    let front = Front::start(&registry.host().to_string());
    front.set(Way::Status(503));
    let (center, _home) = center_with(&front.host(), None);
    let author = Author::of(&center);
    let id = author.ask(author.save("fraud", "fraud.onnx").id);
    let waiting = until(|| {
        let publish = author.status(id);
        publish["last_error"].is_string().then_some(publish)
    });
    assert_eq!((&waiting["status"], &waiting["error"]), (&json!("PendingPublish"), &Value::Null));
    front.set(Way::Through);
    let publish = author.ended(id);
    assert_eq!(publish["status"], "Published", "{publish}");
    assert!(publish["attempts"].as_i64().unwrap() >= 2, "{publish}");
    assert_eq!(publish["bytes_done"], publish["bytes_total"]);
}

#[test]
fn two_who_publish_one_version_at_once_get_the_same_digests() {
    let registry = Registry::start(&Auth::None);
    let (center, _home) = center_with(&registry.host().to_string(), None);
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let publishes: Vec<Value> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| author.published(saved.id))).collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let [first, second] = [&publishes[0], &publishes[1]];
    assert_ne!(first["id"], second["id"]);
    for key in ["digest", "pipeline_url", "helm"] {
        assert_eq!(first[key], second[key]);
    }
    let listed = author
        .post("pipelines/list_publishes_for_pipeline", &json!({ "pipeline_id": saved.pipeline }));
    assert_eq!(listed.ok()["publishes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_publish_that_replaces_another_takes_its_edges_over() {
    let center = Center::start();
    let author = Author::of(&center);
    let old = author.published(author.save("fraud", "fraud.onnx").id);
    author.add_edge(&old, "edge-1");
    let next = author.save("fraud", "fraud.onnx");
    let order = json!({ "pipeline_version_id": next.id, "replaces": [old["id"]] });
    let asked = author.post("pipelines/publish", &order);
    let asked = asked.ok();
    assert_eq!(asked["replaces"][0]["id"], old["id"]);
    author.ended(asked["id"].as_i64().unwrap());
    let order = json!({ "id": asked["id"], "include_replace_bundles": true });
    let new = author.post("pipelines/get_publish_status", &order).ok();
    let bundle = Bundle::parse(new["edge_bundles"]["edge-1"].as_str().unwrap()).unwrap();
    assert_eq!(bundle.value("JOIN_TOKEN"), Some("omitted_for_replace"));
    assert_eq!(bundle.value("PIPELINE_URL"), new["pipeline_url"].as_str());
    let of = |publish: &Value| {
        let order = json!({ "publish_id": publish["id"] });
        let edges = author.post("pipelines/list_edges_by_publish_id", &order).ok();
        edges["edges"].as_array().unwrap().len()
    };
    assert_eq!((of(&old), of(&new)), (0, 1));
}

#[test]
fn edges_are_found_by_tag_and_state_and_their_names_are_taken_once() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    for (name, tags) in [("a", json!(["north"])), ("b", json!(["north", "cold"])), ("c", json!([]))]
    {
        let order = json!({ "pipeline_publish_id": publish["id"], "name": name, "tags": tags });
        assert_eq!(author.post("pipelines/add_edge_to_publish", &order).status, 201);
    }
    let names = |order: Value| {
        let edges = author.post("pipelines/list_edges", &order).ok();
        let names = edges["edges"].as_array().unwrap().iter();
        names.map(|edge| edge["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(json!({})), "a b c");
    assert_eq!(names(json!({ "tag": "north" })), "a b");
    assert_eq!(names(json!({ "tag": "cold", "state": "waiting" })), "b");
    assert_eq!(names(json!({ "state": "joined" })), "");
    assert_eq!(names(json!({ "limit": 2 })), "a b");
    assert_eq!(names(json!({ "limit": 2, "after": "b" })), "c");
    assert_eq!(author.post("pipelines/list_edges", &json!({ "state": "x" })).status, 400);

    for (order, status, kind) in [
        (json!({ "pipeline_publish_id": publish["id"], "name": "a" }), 409, "name_taken"),
        (json!({ "pipeline_publish_id": publish["id"], "name": "A b" }), 400, "name"),
        (json!({ "pipeline_publish_id": publish["id"], "name": "d", "tags": [""] }), 400, "tags"),
        (json!({ "pipeline_publish_id": 999, "name": "d" }), 404, "unknown"),
        (json!({ "name": "d" }), 400, "body"),
        (json!([publish["id"], "d", ["a"]]), 400, "body"),
    ] {
        let reply = author.post("pipelines/add_edge_to_publish", &order);
        assert_eq!(reply.refused(status)["kind"], kind, "{order}");
    }
    for (path, order) in [
        ("pipelines/remove_edge", json!({ "name": "nobody" })),
        ("pipelines/get_publish_status", json!({ "id": 999 })),
        ("pipelines/publish", json!({ "pipeline_version_id": 999 })),
        ("pipelines/list_edges_by_publish_id", json!({ "publish_id": 999 })),
        ("edges/commands", json!({ "name": "nobody" })),
    ] {
        assert_eq!(author.post(path, &order).refused(404)["kind"], "unknown", "{path}");
    }
}

/// The answer with all that differs from run to run masked, in the order of its keys.
fn masked(body: &str, registry: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let mut is_text = false;
    // serde_json would sort the keys; what is checked here is their order, too.
    for char in body.chars() {
        match char {
            '"' => is_text = !is_text,
            '{' | '[' if !is_text => depth += 1,
            '}' | ']' if !is_text => depth -= 1,
            _ => {}
        }
        text.push(char);
        if char == ',' && !is_text && depth == 1 {
            text.push('\n');
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for line in text.replace(registry, "sample-registry.com").lines() {
        let key = line.trim_start_matches('{').split('"').nth(1).unwrap_or_default().to_owned();
        let brace = if line.starts_with('{') { "{" } else { "" };
        let comma = if line.ends_with(',') { "," } else { "" };
        let hidden = ["created_at", "updated_at", "created_by", "digest", "pipeline_version_name"];
        let counted = ["bytes_done", "bytes_total", "created_on_version", "workspace_name"];
        lines.push(if hidden.contains(&key.as_str()) || counted.contains(&key.as_str()) {
            format!("{brace}\"{key}\":…{comma}")
        } else {
            mask_random(line)
        });
    }
    lines.join("\n") + "\n"
}

/// UUIDs, digests and bundles in a line, as `…`.
fn mask_random(line: &str) -> String {
    let mut masked = String::new();
    let mut word = String::new();
    let close = |word: &mut String, masked: &mut String| {
        let is_uuid = word.len() == 36 && word.matches('-').count() == 4;
        let is_long = word.len() >= 60;
        masked.push_str(if is_uuid || is_long { "…" } else { word.as_str() });
        word.clear();
    };
    for char in line.replace("0.0.1-", "0.0.1-:").chars() {
        if char.is_ascii_alphanumeric() || "-_=+".contains(char) {
            word.push(char);
        } else {
            close(&mut word, &mut masked);
            masked.push(char);
        }
    }
    close(&mut word, &mut masked);
    masked.replace("0.0.1-:", "0.0.1-")
}
