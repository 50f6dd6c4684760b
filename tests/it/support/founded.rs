//! The ops center as a process with its first run behind it, and a small client of its API.

use super::link_proxy::LinkProxy;
use super::ops::ops;
use super::process::{PATIENCE, Running};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The first administrator of every center here.
pub const EMAIL: &str = "admin@example.com";

/// Their password.
pub const PASSWORD: &str = "correct horse battery staple";

/// `potoroo-ops serve` on a free loopback port.
pub struct Center {
    pub process: Running,
    /// `127.0.0.1:port`.
    pub address: String,
    /// An API token of the first administrator; empty before the first run.
    pub token: String,
    /// The number of the workspace that is there from the beginning.
    pub workspace: i64,
    /// Where its data are.
    pub data: PathBuf,
    home: Option<TempDir>,
}

/// The command that serves this directory on a free port.
pub fn command(data: &Path) -> Command {
    let mut command = ops();
    command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    command
}

impl Center {
    /// A new center whose first administrator is [`EMAIL`], in a directory that goes with it.
    pub fn start() -> Center {
        Center::start_with(&[])
    }

    /// The same with further arguments of `serve`.
    pub fn start_with(arguments: &[&str]) -> Center {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let mut center = Center::serve(&data, arguments);
        center.home = Some(home);
        center.first_run();
        center
    }

    /// A center over a directory that may be there already, without a token.
    pub fn serve(data: &Path, arguments: &[&str]) -> Center {
        Center::run(data, command(data).args(arguments))
    }

    /// A center over a directory that may be there already, at the end of this link.
    pub fn behind(proxy: &LinkProxy, data: &Path) -> Center {
        let url = format!("http://{}", proxy.host());
        let center = Center::serve(data, &["--url", &url, "--report-seconds", "1"]);
        proxy.lead_to(Some(&center.address));
        center
    }

    /// A center as this command starts it.
    pub fn run(data: &Path, command: &mut Command) -> Center {
        let mut process = Running::start(command);
        let line = process.line_with("msg=ready");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("listen="));
        let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
        let (token, data) = (String::new(), data.to_owned());
        Center { process, address, token, workspace: 0, data, home: None }
    }

    /// Kills it with the signal KILL and starts it again over the same data, with the same token.
    pub fn killed_and_started(mut self) -> Center {
        self.process.signal("KILL");
        self.started_again()
    }

    /// Starts it again, which has ended, over the same data, with the same token.
    pub fn started_again(self) -> Center {
        let mut command = command(&self.data);
        self.started_by(&mut command)
    }

    /// The same by this command.
    pub fn started_by(mut self, command: &mut Command) -> Center {
        let next = Center::run(&self.data, command);
        let (token, workspace, home) = (self.token, self.workspace, self.home.take());
        Center { token, workspace, home, ..next }
    }

    /// The token of the printed link.
    pub fn first_run_token(&mut self) -> String {
        let seen = self.process.seen().join("\n");
        let line = seen.lines().find(|line| line.contains("/first-run?token=")).map(str::to_owned);
        let line = line.unwrap_or_else(|| self.process.line_with("/first-run?token="));
        line.rsplit_once("token=").unwrap().1.trim().to_owned()
    }

    /// Makes the first administrator by the link, as a script does.
    pub fn first_run(&mut self) {
        let token = self.first_run_token();
        let order = json!({ "token": token, "email": EMAIL, "password": PASSWORD });
        let reply = self.client().post("/v1/api/first_run", &order).ok();
        self.token = reply["token"].as_str().unwrap().to_owned();
        self.workspace = reply["workspace_id"].as_i64().unwrap();
    }

    /// A path there, or with none the ops center as commands name it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client that shows the administrator's token.
    pub fn client(&self) -> Client {
        Client::new(&self.address, Some(&self.token).filter(|token| !token.is_empty()))
    }

    /// A client that shows nothing.
    pub fn stranger(&self) -> Client {
        Client::new(&self.address, None)
    }

    /// Posts JSON as the administrator.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.client().post(path, body)
    }

    /// Gets as the administrator.
    pub fn get(&self, path: &str) -> Reply {
        self.client().get(path)
    }
}

/// A client of the API: one connection for each request.
#[derive(Clone)]
pub struct Client {
    address: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(address: &str, token: Option<&String>) -> Client {
        let client = Client { address: address.to_owned(), headers: Vec::new() };
        match token {
            Some(token) => client.with("Authorization", &format!("Bearer {token}")),
            None => client,
        }
    }

    /// The same with a further header field.
    pub fn with(mut self, name: &str, value: &str) -> Client {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    /// Posts a form.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let encoded = |text: &str| potoroo::http::percent::encoded(text, b"");
        let pairs =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.send("POST", path, "application/x-www-form-urlencoded", body.as_bytes())
    }

    /// A connection on which this was asked, and nothing was read yet.
    pub fn open(&self, method: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream
    }

    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Reply {
        self.try_send(method, path, content_type, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The answer, or why there was none: the center may be killed meanwhile.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        head.push_str(&format!("Connection: close\r\nContent-Length: {}\r\n", body.len()));
        if !content_type.is_empty() {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        // A center that refuses a body answers before it has read it.
        let sent = stream.write_all(&request);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        match Reply::read(&answer) {
            Some(reply) => Ok(reply),
            None => {
                sent.and(read)?;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// The header fields as sent, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn read(answer: &[u8]) -> Option<Reply> {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&answer[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(field).collect();
        let reply = Reply { status, headers, body: answer[end + 4..].to_vec() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        (length.unwrap_or(0) <= reply.body.len()).then_some(reply)
    }

    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The JSON of an answer of status 200 to 299; fails the test for any other.
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self.json()
    }

    /// The JSON of an answer of that status; fails the test for any other.
    pub fn refused(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}
