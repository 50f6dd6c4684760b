//! The ops center with many records: how long its lists take, from the first byte asked to the last answered.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

const PUBLISHES: usize = 10_000;
const EDGES: usize = 1_000;
const ROUNDS: usize = 41;

const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "correct horse battery staple";

fn main() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let password = home.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    drop(Center::start(&data, &password)); // makes the tables and the first user
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/center/seed.py");
    let counts = [PUBLISHES, EDGES].map(|count| count.to_string());
    let seeded =
        Command::new("python3").arg(seed).arg(data.join("records.db")).args(counts).status();
    assert!(seeded.unwrap().success());
    let center = Center::start(&data, &password);
    let token = center.token();
    println!("{PUBLISHES} publishes, {EDGES} edges; medians and worst of {ROUNDS}");
    for (path, body, what) in [
        ("pipelines/list_publishes", "{}", "all publishes with all edges"),
        ("pipelines/list_publishes", r#"{"limit":100}"#, "the newest 100 publishes with all edges"),
        ("pipelines/list_publishes_for_pipeline", r#"{"pipeline_id":7}"#, "those of one pipeline"),
        ("pipelines/list_edges", "{}", "all edges"),
        ("pipelines/list_edges", r#"{"tag":"site-7"}"#, "edges with a tag, one in fifty"),
    ] {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let answer = center.post(path, "application/json", body, &token);
            times.push(start.elapsed());
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            bytes = answer.len();
        }
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, worst) = (ms(times[ROUNDS / 2]), ms(times[ROUNDS - 1]));
        println!("{median:7.1} ms, worst {worst:7.1} ms, {bytes:9} bytes: {what}");
    }
}

/// `potoroo-ops serve`, ended when dropped.
struct Center {
    process: Child,
    address: String,
    /// Kept open, or its next line of log would be an error.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Center {
    fn start(data: &Path, password: &Path) -> Center {
        let program = std::env::var_os("POTOROO_OPS")
            .map_or_else(|| env!("CARGO_BIN_EXE_potoroo-ops").into(), PathBuf::from);
        let mut process = Command::new(program)
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-email", EMAIL, "--data"])
            .arg(data)
            .arg("--admin-password-file")
            .arg(password)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("the ops center ended").unwrap();
            if line.contains("msg=ready") {
                let word = line.split(' ').find_map(|word| word.strip_prefix("listen="));
                break word.unwrap().to_owned();
            }
        };
        Center { process, address, _log: log }
    }

    fn token(&self) -> String {
        let form = format!(
            "grant_type=password&client_id=bench&username={EMAIL}&password={}",
            PASSWORD.replace(' ', "+")
        );
        let path = "/auth/realms/master/protocol/openid-connect/token";
        let answer = self.ask(path, "application/x-www-form-urlencoded", &form, "");
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    fn post(&self, path: &str, content_type: &str, body: &str, token: &str) -> Vec<u8> {
        let head = format!("Authorization: Bearer {token}\r\n");
        self.ask(&format!("/v1/api/{path}"), content_type, body, &head)
    }

    fn ask(&self, path: &str, content_type: &str, body: &str, head: &str) -> Vec<u8> {
        let Center { address, .. } = self;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n{head}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
