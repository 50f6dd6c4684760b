//! The page of `GET /`: what a browser and `curl` get, and what a hostile artifact does not.

use crate::support::browser::visit;
use crate::support::engine::{Answer, Engine};
use crate::support::fixture;
use crate::support::layout::Artifact;
use crate::support::process::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Without its sample: what a page may cost a slow link.
const PAGE_BYTES_MAX: usize = 20_000;

/// The form with these rows, as a browser sends it.
fn post(engine: &Engine, rows: &str, headers: &[&str]) -> Answer {
    let data = format!("rows={rows}");
    let mut arguments = vec!["--data-urlencode", &data];
    headers.iter().for_each(|header| arguments.extend(["-H", header]));
    engine.curl("/", &arguments)
}

/// A text as a browser shows it.
fn shown(html: &str) -> String {
    let plain = html.replace("&lt;", "<").replace("&gt;", ">");
    plain.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// What stands between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {rest}")).0
}

#[test]
fn the_page_says_what_runs_and_lets_nothing_else_in() {
    let engine = Engine::serving("models/fraud.onnx");
    let page = engine.curl("/", &[]);
    assert_eq!((page.status, page.content_type.as_str()), (200, "text/html; charset=utf-8"));
    let model = &engine.curl("/models", &[]).json()["models"][0];
    for part in ["sha", "version", "name"] {
        assert!(page.body.contains(model[part].as_str().unwrap()), "no {part} in {}", page.body);
    }
    for part in ["<html lang=\"en\">", "features", "[batch, 29]", "fraud_probability", ">Running<"]
    {
        assert!(page.body.contains(part), "no {part} in {}", page.body);
    }
    assert!(page.body.len() < PAGE_BYTES_MAX, "{} bytes", page.body.len());
    for part in ["<script", "<img", "<link", "//", " style=", "javascript:"] {
        assert!(!page.body.contains(part), "{part} in {}", page.body);
    }
    let head = engine.curl("/", &["-i"]).body;
    let policy = between(&head, "Content-Security-Policy: ", "\r\n");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let rest = "='; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    assert!(policy.ends_with(rest), "{policy}");
    assert!(head.contains("X-Content-Type-Options: nosniff\r\n"), "{head}");
    assert!(head.contains("Referrer-Policy: same-origin\r\n"), "{head}");
    assert_eq!(engine.curl("/", &["-X", "DELETE"]).status, 405);
}

#[test]
fn the_commands_on_the_page_work_when_pasted_into_a_shell() {
    for model in ["fraud", "two_in_two_out", "small_ints"] {
        let engine = Engine::serving(&format!("models/{model}.onnx"));
        let page = engine.curl("/", &[]).body;
        let commands: Vec<&str> = page.split("<pre class=\"command\"><code>").skip(1).collect();
        assert_eq!(commands.len(), 2, "{page}");
        for command in commands {
            let command = shown(command.split_once("</code>").unwrap().0);
            let ended = run(Command::new("sh").args(["-c", &command])).success();
            // The record names the pipeline, the later form of `/infer` the model: both so called.
            let name = format!("_name{}", model.replace('_', "-"));
            let said = ended.stdout.replace(['"', '\\', ':'], "");
            assert!(said.contains(&name), "{command}\n{}", ended.stdout);
        }
    }
}

#[test]
fn a_row_too_long_for_a_page_is_sent_as_a_file() {
    let engine = Engine::serving("models/vision.onnx");
    let page = engine.curl("/", &[]).body;
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    assert!(page.contains("--data-binary @rows.arrow"), "{page}");
    assert_eq!(between(&page, "<textarea", "</textarea>").split_once(">\n").unwrap().1, "");
}

#[test]
fn the_form_infers_like_any_other_request_and_is_counted() {
    let engine = Engine::serving("models/counter.onnx");
    let page = post(&engine, "[{\"x\": [40, 2]}]", &[]);
    assert_eq!(page.status, 200, "{}", page.body);
    let answer = shown(between(&page.body, "id=\"answer\">", "</section>"));
    assert!(answer.contains("\"Int64\": {\n          \"data\": [42],"), "{answer}");
    assert!(shown(&page.body).contains("\n[{\"x\": [40, 2]}]</textarea>"), "{}", page.body);
    let metrics = engine.curl("/metrics", &[]).body;
    for line in [
        "tensor_throughput_batch_count{pipeline_name=\"counter\"} 1",
        "potoroo_stage_ns_count{stage=\"whole\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[test]
fn a_form_that_cannot_be_answered_is_told_why_on_the_page() {
    let engine = Engine::serving("models/counter.onnx");
    let large = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(large.path(), format!("rows={}", "1".repeat(1024 * 1024))).unwrap();
    let large = format!("@{}", large.path().display());
    let host = format!("Origin: http://{}", engine.address);
    let cases: [(&str, u16, &str, Answer); 8] = [
        ("data", 400, "no_rows", post(&engine, "", &[])),
        ("markup", 400, "unreadable", post(&engine, "</textarea><script>marks=1</script>", &[])),
        ("no rows", 400, "form_without_rows", engine.curl("/", &["-d", "lines=1"])),
        ("size", 413, "form_too_large", engine.curl("/", &["--data-binary", &large])),
        ("type", 415, "unsupported_content_type", {
            engine.curl("/", &["-H", "Content-Type: application/json", "-d", "[]"])
        }),
        ("length", 411, "form_without_length", {
            engine.curl("/", &["-H", "Transfer-Encoding: chunked", "-d", "rows=1"])
        }),
        ("site", 403, "form_of_another_site", post(&engine, "", &["Origin: http://elsewhere"])),
        ("own site", 200, "", post(&engine, "[{\"x\": [1, 2]}]", &[&host])),
    ];
    let metrics = engine.curl("/metrics", &[]).body;
    for (case, status, kind, page) in cases {
        assert_eq!(page.status, status, "{case}: {}", page.body);
        assert!(page.body.starts_with("<!doctype html>"), "{case}: {}", page.body);
        assert!(!page.body.contains("<script"), "{case}: {}", page.body);
        if status != 200 {
            assert!(page.body.contains(&format!("<h3>Refused, status {status}</h3>")), "{case}");
            let line = format!("potoroo_refused_total{{kind=\"{kind}\"}} 1\n");
            assert!(metrics.contains(&line), "{case}: no {line} in {metrics}");
        }
    }
}

/// A pipeline whose every name is an attack.
fn hostile(directory: &Path) -> Engine {
    let attack = "</title></style></textarea><script>marks=1</script>";
    let image = "\"><img src=x onerror=\"marks=2\"> '&amp;";
    let pipeline = format!("p {attack}{image}");
    let url = Artifact {
        pipeline: &pipeline,
        model: &format!("m {attack}{image}"),
        file: &fixture("models/counter.onnx"),
        fields: &[&format!("x {attack}{image}")],
    }
    .write(directory);
    Engine::start(&[("PIPELINE_URL", &url)])
}

#[test]
fn names_in_an_artifact_are_text_and_nothing_else() {
    let layout = tempfile::tempdir().unwrap();
    let engine = hostile(layout.path());
    let page = engine.curl("/", &["-H", "Host: $(reboot)&'"]).body;
    for (tag, count) in [("<script", 0), ("<img", 0), ("</title>", 1), ("</style>", 1)] {
        assert_eq!(page.matches(tag).count(), count, "{tag} in {page}");
    }
    assert!(page.contains("curl -X POST localhost:8080/"), "{page}");
    for name in ["p </title>", "m </title>", "x </title>"] {
        assert!(shown(&page).contains(name), "no {name} in {page}");
    }
    assert_eq!(page.matches("</textarea>").count(), 1, "{page}");
}

/// Where the screenshots of a test can be looked at afterwards.
fn screenshots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("page").join(name)
}

#[test]
fn a_browser_shows_the_page_sends_its_form_and_complains_of_nothing() {
    let engine = Engine::serving("pipelines/fraud.yaml");
    let seen = visit(&engine.url("/"), &screenshots("fraud"));
    assert_eq!(seen["console"], serde_json::json!([]));
    assert_eq!(seen["overflow"], serde_json::json!([]), "the page is scrolled sideways");
    assert_eq!(seen["title"], "fraud · potoroo");
    let answer = seen["answer"].as_str().unwrap();
    assert!(answer.starts_with("Answer\n[\n  {"), "{answer}");
    assert!(answer.contains("\"pipeline_name\": \"fraud\""), "{answer}");
}

#[test]
fn a_browser_runs_nothing_that_a_hostile_artifact_brings() {
    let layout = tempfile::tempdir().unwrap();
    let engine = hostile(layout.path());
    let seen = visit(&engine.url("/"), &screenshots("hostile"));
    assert_eq!(seen["marks"], 0);
    assert_eq!(seen["console"], serde_json::json!([]));
    assert_eq!(seen["overflow"], serde_json::json!([]), "the page is scrolled sideways");
    assert!(seen["answer"].as_str().unwrap().starts_with("Answer\n"), "{seen}");
}
