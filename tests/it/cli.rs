//! The command line against an ops center: what it does, prints and keeps, and how it fails.

use crate::support::fixture;
use crate::support::founded::{Center, EMAIL, PASSWORD};
use crate::support::ops::ops;
use crate::support::process::{Ended, run};
use crate::support::publishing::until;
use potoroo::fleet::Bundle;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Somebody with a home directory, and an ops center whose administrator they are.
struct Person {
    center: Center,
    home: TempDir,
}

impl Person {
    /// Has signed in already.
    fn signed_in() -> Person {
        let person = Person { center: Center::start(), home: tempfile::tempdir().unwrap() };
        person.login(PASSWORD).success();
        person
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = ops();
        command.env("HOME", self.home.path()).args(words);
        command
    }

    /// The password goes by standard input.
    fn login(&self, password: &str) -> Ended {
        let file = self.home.path().join("password");
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let url = self.center.url("");
        run(self.command(&["login", EMAIL, "--url", &url]).stdin(File::open(file).unwrap()))
    }

    /// What a command prints that does what it should.
    fn says(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).success().stdout
    }

    /// The same with `--json`.
    fn json(&self, words: &[&str]) -> Value {
        let text = self.says(&[words, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
    }

    /// The code and the sentences of one that fails.
    fn fails(&self, words: &[&str]) -> (i32, String) {
        let ended = run(&mut self.command(words));
        assert_eq!(ended.stdout, "", "{words:?}");
        (ended.code(), ended.stderr)
    }

    fn kept(&self) -> PathBuf {
        self.home.path().join(".config/potoroo/ops.json")
    }

    /// Uploads, saves and publishes the pipeline `fraud`.
    fn publish(&self) -> Value {
        let model = fixture("models/fraud.onnx");
        let file = fixture("pipelines/fraud.yaml");
        self.says(&["model", "upload", model.to_str().unwrap(), "--name", "fraud-mlp"]);
        self.says(&["pipeline", "create", file.to_str().unwrap()]);
        self.json(&["publish", "start", "fraud"])
    }
}

/// The value of a line `key: value`.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {key} in:\n{text}"))
}

#[test]
fn the_story_goes_from_a_model_to_an_edge_by_commands_alone() {
    let person = Person::signed_in();
    let listed = person.says(&["workspace", "list"]);
    assert!(listed.starts_with("ID  NAME"), "{listed}");
    assert_eq!(listed.lines().count(), 2, "{listed}");

    let model = fixture("models/fraud.onnx");
    let model = model.to_str().unwrap();
    let uploaded = person.says(&["model", "upload", model, "--name", "fraud-mlp"]);
    assert_eq!(value(&uploaded, "status"), "ready");
    assert!(uploaded.contains("input"), "{uploaded}");
    assert!(person.says(&["model", "list"]).contains("fraud-mlp"));
    let versions = person.says(&["model", "versions", "fraud-mlp"]);
    assert!(versions.contains(value(&uploaded, "version")), "{versions}");

    let file = fixture("pipelines/fraud.yaml");
    let saved = person.says(&["pipeline", "create", file.to_str().unwrap()]);
    let version = saved.trim().rsplit(' ').next().unwrap();
    assert!(person.says(&["pipeline", "list"]).contains(version), "{saved}");
    assert!(person.says(&["pipeline", "versions", "fraud"]).contains(version), "{saved}");
    assert!(person.says(&["pipeline", "show", version]).contains("fraud-mlp"));

    let published = person.says(&["publish", "start", "fraud"]);
    assert_eq!(value(&published, "status"), "Published");
    let url = value(&published, "pipeline_url");
    assert_eq!(url, format!("{}/workspace-1/pipelines/fraud:{version}", person.center.address));
    assert_eq!(value(&published, "helm version"), format!("0.0.1-{version}"));
    let id = value(&published, "publish");
    assert_eq!(person.says(&["publish", "show", id]), published);
    for listed in [&["publish", "list"][..], &["publish", "list", "fraud"]] {
        assert!(person.says(listed).contains(url));
    }

    let added = person.says(&["edge", "add", "till-7", "--publish", id, "--tag", "shop"]);
    let bundle = value(&added, "EDGE_BUNDLE");
    assert_eq!(Bundle::parse(bundle).unwrap().value("EDGE_NAME"), Some("till-7"));
    assert!(!value(&added, "OCI_PASSWORD").is_empty());
    for listed in [&["edge", "list"][..], &["edge", "list", "--publish", id]] {
        let listed = person.says(listed);
        assert!(listed.contains("till-7  waiting") && listed.contains("shop"), "{listed}");
    }
    let commands = person.says(&["edge", "commands", "till-7", "--bundle", bundle]);
    assert!(commands.contains(&format!("EDGE_BUNDLE={bundle}")), "{commands}");
    for form in ["compose", "helm", "systemd"] {
        let printed =
            person.says(&["edge", "commands", "till-7", "--form", form, "--bundle", bundle]);
        assert!(printed.contains(bundle), "{form}: {printed}");
        let alone = ["edge", "commands", "till-7", "--form", form, "--without-observability"];
        let printed = person.says(&alone);
        assert!(printed.len() > 100 && !printed.contains("EDGE_BUNDLE"), "{form}: {printed}");
    }
    person.says(&["edge", "remove", "till-7"]);
    assert!(person.says(&["edge", "list"]).starts_with("no edges"));
    assert_eq!(person.fails(&["edge", "remove", "till-7"]).0, 5);
}

#[test]
fn a_pipeline_is_published_for_programs_with_the_answers_of_the_api() {
    let person = Person::signed_in();
    let publish = person.publish();
    assert_eq!(publish["status"], "Published");
    let id = publish["id"].to_string();
    let added = person.json(&["edge", "add", "till-7", "--publish", &id]);
    assert!(added["docker_run_variables"]["EDGE_BUNDLE"].is_string(), "{added}");
    let lists: [(&[&str], &str); 9] = [
        (&["workspace", "list"], "/workspaces/0/id"),
        (&["workspace", "users"], "/users/0/user_id"),
        (&["model", "list"], "/models/0/id"),
        (&["model", "versions", "fraud-mlp"], "/0/id"),
        (&["pipeline", "list"], "/pipelines/0/pipeline/id"),
        (&["pipeline", "versions", "fraud"], "/pipeline_versions/0/pipeline_version/id"),
        (&["publish", "list"], "/publishes/0/id"),
        (&["edge", "list"], "/edges/0/id"),
        (&["token", "list"], "/tokens/0/id"),
    ];
    for (words, place) in lists {
        let answer = person.json(words);
        assert!(answer.pointer(place).is_some(), "{words:?}: {answer}");
    }
    let asked = person.json(&["publish", "start", "fraud", "--no-wait", "--cpus", "2"]);
    let id = asked["id"].to_string();
    let ended = until(|| {
        let publish = person.json(&["publish", "show", &id]);
        (publish["status"] == "Published").then_some(publish)
    });
    assert_eq!(ended["engine_config"]["engine"]["resources"]["limits"]["cpu"], 2.0);
}

#[test]
fn tokens_and_users_come_and_go_by_commands() {
    let person = Person::signed_in();
    let token = person.says(&["token", "create", "ci", "--days", "7"]);
    let token = token.trim();
    let me = || run(person.command(&["user", "me"]).env("POTOROO_OPS_TOKEN", token));
    assert!(me().success().stdout.starts_with(EMAIL));
    let listed = person.json(&["token", "list"]);
    let tokens = listed["tokens"].as_array().unwrap();
    let made = tokens.iter().find(|it| it["name"] == "ci").unwrap();
    person.says(&["token", "revoke", &made["id"].to_string()]);
    assert_eq!(me().code(), 4);

    let invited = person.says(&["user", "invite", "eve@example.com"]);
    let password = value(&invited, "password");
    assert!(person.says(&["user", "list"]).contains("eve@example.com"));
    person.says(&["workspace", "add-user", "eve@example.com", "--role", "viewer"]);
    assert!(person.says(&["workspace", "users"]).contains("VIEWER"));
    let file = person.home.path().join("hers");
    std::fs::write(&file, password).unwrap();
    let home = tempfile::tempdir().unwrap();
    let url = person.center.url("");
    let hers = |words: &[&str]| run(ops().env("HOME", home.path()).args(words));
    let login =
        ["login", "eve@example.com", "--url", &url, "--password-file", file.to_str().unwrap()];
    hers(&login).success();
    assert_eq!(hers(&["workspace", "create", "hers"]).code(), 0);
    assert_eq!(hers(&["user", "invite", "mallory@example.com"]).code(), 4);
    person.says(&["workspace", "remove-user", "eve@example.com"]);
    person.says(&["user", "deactivate", "eve@example.com"]);
    assert_eq!(hers(&["workspace", "list"]).code(), 4);
    person.says(&["user", "activate", "eve@example.com"]);
    hers(&login).success();
}

#[test]
fn a_kept_login_is_its_users_alone_and_goes_with_logout() {
    let person = Person { center: Center::start(), home: tempfile::tempdir().unwrap() };
    let refused = person.login("wrong wrong wrong");
    assert_eq!(refused.code(), 4, "{}", refused.stderr);
    assert!(!person.kept().exists());
    let said = person.login(PASSWORD).success().stdout;
    let kept = std::fs::read_to_string(person.kept()).unwrap();
    let token = serde_json::from_str::<Value>(&kept).unwrap()["token"].as_str().unwrap().to_owned();
    assert!(!said.contains(&token) && !kept.contains(PASSWORD), "{said}");
    assert_eq!(std::fs::metadata(person.kept()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(person.says(&["user", "me"]).contains("an administrator"));
    person.says(&["logout"]);
    assert!(!person.kept().exists());
    let url = person.center.url("");
    let (code, said) = person.fails(&["user", "me", "--url", &url]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("potoroo-ops login"), "{said}");
}

#[test]
fn a_kept_token_goes_to_no_other_host() {
    let person = Person::signed_in();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    });
    assert_eq!(person.fails(&["user", "me", "--url", &url]).0, 6);
    let head = asked.join().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /v1/api/users/me"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn a_token_or_password_goes_to_another_machine_by_tls_alone() {
    let person = Person { center: Center::start(), home: tempfile::tempdir().unwrap() };
    // An address for documents (RFC 5737): whoever asked it would wait for an answer.
    let url = "http://192.0.2.1:8090";
    for words in [&["user", "me", "--url", url][..], &["login", EMAIL, "--url", url]] {
        let ended = run(person.command(words).env("POTOROO_OPS_TOKEN", "secret-token"));
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("plain text"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("secret-token"), "{}", ended.stderr);
    }
}

#[test]
fn what_fails_has_a_code_and_a_sentence() {
    let person = Person::signed_in();
    let broken = fixture("models/broken/unknown_operator.onnx");
    let broken = broken.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["publish", "start", "none"], 5, "none"),
        (&["publish", "show", "99"], 5, "99"),
        (&["pipeline", "versions", "none"], 5, "none"),
        (&["model", "versions", "none"], 5, "there is no model `none`"),
        (&["model", "list", "--workspace", "none"], 5, "there is no workspace `none`"),
        (&["model", "upload", "/nowhere.onnx"], 2, "/nowhere.onnx cannot be read"),
        (&["model", "upload", broken, "--name", "broken"], 3, "operator"),
        (&["workspace", "list", "--url", "ftp://localhost"], 2, "http://"),
        (&["edge", "add", "till-7", "--publish", "99"], 5, "99"),
    ];
    for (words, code, part) in cases {
        let (found, said) = person.fails(words);
        assert_eq!(found, code, "{words:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains(part), "{words:?}: {said}");
    }
    let wrong = run(person.command(&["workspace", "list"]).env("POTOROO_OPS_TOKEN", "ptr_wrong"));
    assert_eq!(wrong.code(), 4, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("next: "), "{}", wrong.stderr);
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, said) = person.fails(&["workspace", "list", "--url", &format!("http://{free}")]);
    assert_eq!(code, 6, "{said}");
}

#[test]
fn a_shell_reads_the_completion() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("completion");
    std::fs::write(&file, run(ops().args(["completion", "bash"])).success().stdout).unwrap();
    let script = r#"source "$1"; COMP_WORDS=(potoroo-ops pub); COMP_CWORD=1
                    _potoroo__ops potoroo-ops pub potoroo-ops; echo "${COMPREPLY[@]}""#;
    let found = run(Command::new("bash").args(["-c", script, "bash"]).arg(&file)).success();
    assert_eq!(found.stdout, "publish\n", "{}", found.stderr);
}
