//! The ops center's own registry behind the real server, with the logins of a test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use potoroo::http::server::{Handle, Limits, Refusal, Request, Response, Server, Service};
use potoroo::oci::{Descriptor, Digest, Manifest, Repository, media_type};
use potoroo::ops::distribution::{Admission, Distribution, Realm, Repositories, TokenKey, Verdict};
use potoroo::registry::{Layout, Secret};
use tempfile::TempDir;

use super::process::run;

/// The password of every login.
pub const PASSWORD: &str = "correct horse battery";

/// May pull from everywhere.
pub const PERSON: &str = "person";
/// May pull from below `pipelines/` alone.
pub const EDGE: &str = "edge-1";
/// Cannot be judged, as if the store were locked.
const NOBODY_KNOWS: &str = "nobody-knows";

#[derive(Debug)]
struct Logins;

impl Admission for Logins {
    fn admit(&self, username: &str, password: &Secret, repository: Option<&Repository>) -> Verdict {
        let is_edges = repository.is_none_or(|it| it.as_str().starts_with("pipelines/"));
        match (username, password.reveal() == PASSWORD) {
            (NOBODY_KNOWS, _) => Verdict::Unavailable,
            (PERSON, true) => Verdict::Admitted,
            (EDGE, true) if is_edges => Verdict::Admitted,
            (EDGE, true) => Verdict::Denied,
            _ => Verdict::Unknown,
        }
    }
}

struct Router(Arc<Distribution>);

impl Service for Router {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        match request.path().starts_with("/v2") {
            true => self.0.answer(request),
            false => Response::empty(404),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }
}

/// The running registry; it and what it holds end with this value.
pub struct BuiltIn {
    pub directory: TempDir,
    pub repositories: Repositories,
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl BuiltIn {
    pub fn start() -> BuiltIn {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::create(&directory.path().join("registry")).unwrap();
        let key = TokenKey::open(&directory.path().join("tokens.key")).unwrap();
        let realm = Realm::AsAsked { https: false };
        let distribution = Distribution::new(repositories.clone(), key, realm, Box::new(Logins));
        let server = Server::bind("127.0.0.1:0", Limits::default()).unwrap();
        let (address, handle) = (server.address(), server.handle().unwrap());
        let router = Router(Arc::new(distribution));
        let thread = Some(std::thread::spawn(move || server.run(router)));
        BuiltIn { directory, repositories, address, handle, thread }
    }

    /// Where it answers, as `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The layout of a repository, to publish into.
    pub fn layout(&self, repository: &str) -> Layout {
        self.repositories.layout(&repository.parse().unwrap()).unwrap()
    }

    /// An artifact of one layer behind a tag; gives its digest.
    pub fn put(&self, repository: &str, tag: &str, model: &[u8]) -> Digest {
        put(&self.layout(repository), tag, model)
    }

    /// Asks for a path as it is written, with these arguments of curl.
    pub fn ask(&self, path: &str, arguments: &[&str]) -> Got {
        let files = tempfile::tempdir().unwrap();
        let body = files.path().join("body");
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "--path-as-is", "-D", "-", "-o"]).arg(&body);
        command.arg(format!("http://{}{path}", self.address)).args(arguments);
        Got::read(&run(&mut command).success().stdout, &body)
    }

    /// The same by the login of a person.
    pub fn get(&self, path: &str) -> Got {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, arguments: &[&str]) -> Got {
        let login = format!("{PERSON}:{PASSWORD}");
        self.ask(path, &[&["-u", login.as_str()], arguments].concat())
    }
}

impl Drop for BuiltIn {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
    }
}

/// What curl got.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    /// Lines of the head, without the first.
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    fn read(heads: &str, body: &Path) -> Got {
        // Before the last there may be an interim one.
        let head = heads.trim_end().rsplit("\r\n\r\n").next().unwrap();
        let (first, head) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let body = std::fs::read(body).unwrap_or_default();
        Got { status, head: head.replace('\r', ""), body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Puts an artifact of one layer into a layout; gives its digest.
pub fn put(layout: &Layout, tag: &str, model: &[u8]) -> Digest {
    let blob = |bytes: &[u8]| {
        let blob = Descriptor::of(media_type::OCTET_STREAM, bytes);
        layout.put_blob_from(&blob, &mut &*bytes).unwrap();
        blob
    };
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: blob(b"{}"),
        layers: vec![blob(model)],
        annotations: [].into(),
    };
    layout.put_manifest(&tag.parse().unwrap(), &manifest.to_bytes()).unwrap().digest
}

/// A directory as text for an argument.
pub fn shown(path: impl Into<PathBuf>) -> String {
    path.into().display().to_string()
}
