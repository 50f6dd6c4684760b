//! The commands for operators: `pull`, `models` and `gc`, as a person runs them.

use crate::support::edge::Edge;
use crate::support::engine::command;
use crate::support::front::Way;
use crate::support::golden;
use crate::support::process::{Ended, run};
use serde_json::{Value, json};
use std::path::Path;

/// The engine's command without any pipeline in its environment.
fn bare(home: &Path, arguments: &[&str]) -> Ended {
    run(command(home).args(arguments))
}

#[test]
fn what_pull_fetched_starts_without_a_registry() {
    let edge = Edge::with_old();
    let said = edge.run(&["pull"]).success().stdout;
    assert!(said.contains("\nFetched\n") && said.contains("is whole and verified in"), "{said}");
    edge.front.set(Way::Down);
    let engine = edge.start();
    assert!(engine.curl("/models", &[]).body.contains("old"));
    let refused = edge.run(&["pull"]);
    assert_eq!(refused.code(), 8, "{}", refused.stderr);
    assert!(refused.stderr.contains("in use by another engine"), "{}", refused.stderr);
}

#[test]
fn a_pull_that_fails_says_why_with_its_exit_code_and_leaves_what_was_there() {
    let edge = Edge::with_old();
    edge.run(&["pull"]).success();
    let before = edge.state();
    edge.front.set(Way::Status(500));
    assert_eq!(edge.run(&["pull"]).code(), 6);
    assert_eq!(edge.state(), before);
}

#[test]
fn models_lists_what_is_stored_also_while_an_engine_runs() {
    let edge = Edge::with_old();
    let empty = bare(edge.home.path(), &["models"]).success().stdout;
    assert!(empty.contains("holds no pipeline yet"), "{empty}");
    edge.run(&["pull"]).success();
    edge.tag(&edge.publish("new", 0));
    let _engine = edge.start();
    let home = edge.home.path();
    let text = bare(home, &["models"]).success().stdout;
    for part in ["current pipeline fraud", "previous pipeline fraud", "model   new", "verified"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let listed: Value =
        serde_json::from_str(&bare(home, &["models", "--json"]).success().stdout).unwrap();
    golden("store_models.json", &masked(listed, edge.home.path(), &edge.front.host()));
}

/// What differs from run to run is masked.
fn masked(mut listed: Value, home: &Path, host: &str) -> String {
    assert_eq!(listed["directory"], home.display().to_string());
    listed["directory"] = json!("/persist");
    for pipeline in listed["pipelines"].as_array_mut().unwrap() {
        let url = pipeline["url"].as_str().unwrap().replace(host, "registry:5000");
        pipeline["url"] = json!(url);
        pipeline["since"] = json!("then");
    }
    serde_json::to_string_pretty(&listed).unwrap() + "\n"
}

#[test]
fn models_tells_what_is_damaged_by_its_exit_code() {
    let edge = Edge::with_old();
    edge.run(&["pull"]).success();
    let listed = bare(edge.home.path(), &["models", "--json"]).success().stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let sha = listed["pipelines"][0]["models"][0]["sha"].as_str().unwrap().to_owned();
    std::fs::write(edge.blob(&sha), "torn").unwrap();
    let ended = bare(edge.home.path(), &["models"]);
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert!(ended.stdout.contains("NOT RIGHT"), "{}", ended.stdout);
}

#[test]
fn gc_frees_what_no_pipeline_needs_and_not_while_an_engine_runs() {
    let edge = Edge::with_old();
    edge.run(&["pull"]).success();
    let litter = edge.blob(&"0".repeat(64));
    std::fs::write(&litter, vec![0; 12_345]).unwrap();
    let mut engine = edge.start();
    engine.process.line_with("took away what no pipeline needs");
    std::fs::write(&litter, vec![0; 12_345]).unwrap();
    let refused = bare(edge.home.path(), &["gc"]);
    assert_eq!(refused.code(), 8, "{}", refused.stderr);
    assert!(litter.exists());
    drop(engine);
    let said = bare(edge.home.path(), &["gc"]).success().stdout;
    assert!(said.contains("freed 12345 bytes of 1 files"), "{said}");
    assert!(!litter.exists());
    let said = bare(edge.home.path(), &["gc"]).success().stdout;
    assert!(said.contains("nothing that no pipeline needs"), "{said}");
    edge.front.set(Way::Down);
    drop(edge.start());
}

#[test]
fn help_and_the_readme_know_every_command_and_others_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let help = bare(home.path(), &["--help"]).success().stdout;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for command in ["pull", "models [--json]", "gc"] {
        assert!(help.contains(&format!("\n  {command}\n")), "no `{command}` in\n{help}");
        assert!(readme.contains(&format!("| `potoroo-engine {command}` |")), "no `{command}`");
    }
    for arguments in [&["pul"][..], &["gc", "--json"], &["models", "--json", "--json"]] {
        assert_eq!(bare(home.path(), arguments).code(), 2, "{arguments:?}");
    }
}
