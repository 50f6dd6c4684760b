//! An ops center as a process with a user and a workspace, and `curl` as its client.

use super::engine::{Answer, curl};
use super::ops::ops;
use super::process::{PATIENCE, Running, run};
use super::python::python;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// The token of the one user, an administrator.
pub const TOKEN: &str = "token-of-a-test";

/// Records a user, a token and a workspace, as an invitation would.
const SEED: &str = "
import hashlib, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
who = '00000000-0000-4000-8000-00000000000' + sys.argv[3]
db.execute('INSERT INTO users (id, email, is_admin, created_ms) VALUES (?, ?, ?, 1)', (who, who + '@example.com', sys.argv[4]))
db.execute('INSERT INTO tokens (kind, hash, user_id, created_ms) VALUES (?, ?, ?, 1)', ('api', hashlib.sha256(sys.argv[2].encode()).digest(), who))
db.commit()
";

/// `potoroo-ops serve` on a free loopback port.
pub struct Center {
    pub process: Running,
    /// `http://127.0.0.1:port`
    pub url: String,
    /// The workspace of the tests.
    pub workspace: i64,
    pub home: TempDir,
}

impl Center {
    /// Starts one with an empty directory, an administrator and a workspace.
    pub fn start() -> Center {
        let home = tempfile::tempdir().unwrap();
        let (process, url) = serve(home.path());
        seed(home.path(), TOKEN, "1", "1");
        let mut center = Center { process, url, workspace: 0, home };
        center.workspace = center.new_workspace("tests");
        center
    }

    /// Kills it, as a power cut would, and starts it again with the same directory.
    pub fn kill_and_start(&mut self) {
        self.process.signal("KILL");
        (self.process, self.url) = serve(self.home.path());
    }

    pub fn new_workspace(&self, name: &str) -> i64 {
        let made = self.ok("workspaces/create", &json!({ "workspace_name": name }));
        made["workspace_id"].as_i64().unwrap()
    }

    /// A further user who is nobody's administrator; gives the token.
    pub fn new_user(&self, digit: &str) -> String {
        let token = format!("{TOKEN}-{digit}");
        seed(self.home.path(), &token, digit, "0");
        token
    }

    /// `POST /v1/api/…` with JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(TOKEN, path, body)
    }

    pub fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Authorization: Bearer {token}");
        let kind = "Content-Type: application/json";
        let url = format!("{}/v1/api/{path}", self.url);
        curl(&url, &["-X", "POST", "-H", &bearer, "-H", kind, "-d", &body.to_string()])
    }

    /// The same, which must be answered with 200 or 201.
    pub fn ok(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert!(matches!(answer.status, 200 | 201), "{path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// The same, which must be refused with that status; gives the kind and the sentence.
    pub fn refused(&self, path: &str, body: &Value, status: u16) -> (String, String) {
        problem(&self.post(path, body), status)
    }

    /// `curl` with the token and these arguments after the URL.
    pub fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let bearer = format!("Authorization: Bearer {TOKEN}");
        let url = format!("{}/v1/api/{path}", self.url);
        curl(&url, &[&["-H", &bearer], arguments].concat())
    }

    /// Uploads a file under that name as the original's clients do; gives the version's number.
    pub fn upload(&self, name: &str, file: &Path) -> i64 {
        let answer = self.upload_to(self.workspace, name, file);
        assert_eq!(answer.status, 200, "{}", answer.body);
        version_id(&answer.json())
    }

    pub fn upload_to(&self, workspace: i64, name: &str, file: &Path) -> Answer {
        upload(&self.url, workspace, name, file)
    }

    /// Uploads a file and waits for the end of its check; gives the version as it is described.
    pub fn checked(&self, name: &str, file: &Path) -> Value {
        let id = self.upload(name, file);
        self.wait_for(id)
    }

    /// Waits for the end of a version's check.
    pub fn wait_for(&self, id: i64) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let version = self.ok("models/get_version", &json!({ "id": id }));
            if version["status"] != "attempting_load_native" {
                return version;
            }
            assert!(Instant::now() < end, "still being checked: {version}");
            std::thread::yield_now();
        }
    }

    /// Files below the directory whose names do not begin with `records.db`, `keys` or `lock`.
    pub fn litter(&self) -> Vec<String> {
        let listed =
            run(Command::new("find").arg(self.home.path()).args(["-name", "*.unfinished"]));
        let uploads =
            run(Command::new("find").arg(self.home.path().join("uploads")).args(["-type", "f"]));
        let lines = [listed.success().stdout, uploads.success().stdout].concat();
        lines.lines().map(str::to_owned).collect()
    }

    /// The digests of all blobs.
    pub fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path().join("blobs/blobs/sha256")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.len() == 64).collect()
    }
}

/// Uploads a file as the original's clients do.
pub fn upload(url: &str, workspace: i64, name: &str, file: &Path) -> Answer {
    let metadata = json!({ "name": name, "visibility": "private", "workspace_id": workspace });
    let metadata = format!("metadata={metadata};type=application/json");
    let file = format!("file=@{};type=application/octet-stream", file.display());
    let bearer = format!("Authorization: Bearer {TOKEN}");
    curl(&format!("{url}/v1/api/models/upload"), &["-H", &bearer, "-F", &metadata, "-F", &file])
}

/// The number of the version in the answer to an upload.
pub fn version_id(answer: &Value) -> i64 {
    answer["insert_models"]["returning"][0]["models"][0]["id"].as_i64().unwrap()
}

/// The kind and the sentence of an answer that must have this status.
pub fn problem(answer: &Answer, status: u16) -> (String, String) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["code"], status, "{body}");
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    (text("kind"), text("msg"))
}

fn serve(home: &Path) -> (Running, String) {
    let mut command = ops();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(home);
    let mut process = Running::start(&mut command);
    let line = process.line_with("msg=ready");
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("listen=")).unwrap();
    (process, format!("http://{address}"))
}

fn seed(home: &Path, token: &str, digit: &str, is_admin: &str) {
    let records = home.join("records.db");
    run(Command::new(python()).args(["-c", SEED]).arg(records).args([token, digit, is_admin]))
        .success();
}
