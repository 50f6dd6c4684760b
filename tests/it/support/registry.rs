//! A real registry, Debian's `docker-registry`, as a child process on a free loopback port.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use potoroo::http::client::Timeouts;
use potoroo::oci::RegistryHost;
use potoroo::registry::{Credentials, Remote, Secret, Transport};
use tempfile::TempDir;

use super::certificates::Shown;
use super::token_server::TokenServer;

/// The password that the registry knows with [`Auth::Htpasswd`].
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Its bcrypt hash, made by `htpasswd -nbB -C 4`.
pub(crate) const PASSWORD_HASH: &str =
    "$2y$04$aV/B2qr8EZn.Wkf/Vi7kjOFUEB05BOlJ5rOPMCkRGHhR6SPpQKw2a";

/// Whom the registry lets in.
pub(crate) enum Auth<'a> {
    /// Everyone.
    None,
    /// This user with [`PASSWORD`].
    Htpasswd(&'a str),
    /// Who has a token of this service.
    Token(&'a TokenServer),
    /// The same, with its address as the registry is to tell it.
    TokenAt(&'a TokenServer, &'a str),
}

/// The running registry; it and its storage end with this value.
pub(crate) struct Registry {
    child: Child,
    host: RegistryHost,
    storage: TempDir,
}

impl Registry {
    /// Starts a registry and returns when it listens.
    pub(crate) fn start(auth: &Auth<'_>) -> Self {
        Self::start_at("127.0.0.1:0", auth, None)
    }

    /// The same at an address of the test's choice, with TLS where there is a certificate.
    pub(crate) fn start_at(address: &str, auth: &Auth<'_>, shown: Option<&Shown>) -> Self {
        Self::start_in(&[], address, auth, shown)
    }

    /// The same after words that give it another surrounding: `nsenter --net=FILE`.
    pub(crate) fn start_in(
        words: &[&str],
        address: &str,
        auth: &Auth<'_>,
        shown: Option<&Shown>,
    ) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let config = storage.path().join("config.yml");
        let tls = shown.map(|it| it.write(storage.path())).map_or(String::new(), |files| {
            let [certificate, key] = files.map(|path| path.display().to_string());
            format!("  tls:\n    certificate: {certificate}\n    key: {key}\n")
        });
        std::fs::write(&config, configuration(&storage, address, &tls, auth)).unwrap();
        let (child, host) = serve(words, &config);
        Self { child, host, storage }
    }

    /// Ends it; what it stores stays.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with what it stores, on another port.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.host) = serve(&[], &self.storage.path().join("config.yml"));
    }

    /// Where it answers.
    pub(crate) const fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// A session with it about a repository.
    pub(crate) fn remote(&self, repository: &str, credentials: Option<Credentials>) -> Remote {
        let transport = Transport::new(Timeouts::EDGE, Vec::new());
        Remote::new(transport, self.host.clone(), repository.parse().unwrap(), credentials)
    }

    /// The directory with its storage.
    pub(crate) fn storage(&self) -> PathBuf {
        self.storage.path().join("docker/registry/v2")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program and waits until it listens.
fn serve(words: &[&str], config: &Path) -> (Child, RegistryHost) {
    let mut command = Command::new(words.first().unwrap_or(&"docker-registry"));
    if let Some((_, others)) = words.split_first() {
        command.args(others).arg("docker-registry");
    }
    let mut child = command
        .arg("serve")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need Debian's package docker-registry");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    // It takes a free port by itself and says which, so no port is lost to someone else.
    let host = loop {
        let Some(Ok(line)) = lines.next() else {
            let _ = child.wait();
            panic!("docker-registry did not start:\n{said}");
        };
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address: String =
                rest.chars().take_while(|c| c.is_ascii_hexdigit() || ".:[]".contains(*c)).collect();
            break address.parse().unwrap();
        }
        writeln!(said, "{line}").unwrap();
    };
    // A pipe that nobody reads would stop it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (child, host)
}

/// Credentials in one line.
pub(crate) fn credentials(username: &str, password: &str) -> Option<Credentials> {
    let password = Secret::new(password.to_owned());
    Some(Credentials { username: username.to_owned(), password })
}

fn configuration(storage: &TempDir, address: &str, tls: &str, auth: &Auth<'_>) -> String {
    let root = storage.path().display();
    let auth = match auth {
        Auth::None => String::new(),
        Auth::Htpasswd(user) => {
            let path = storage.path().join("htpasswd");
            std::fs::write(&path, format!("{user}:{PASSWORD_HASH}\n")).unwrap();
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display())
        }
        Auth::Token(server) => {
            let realm = server.realm();
            return configuration(storage, address, tls, &Auth::TokenAt(server, &realm));
        }
        Auth::TokenAt(server, realm) => {
            let path = storage.path().join("root.pem");
            std::fs::write(&path, server.certificate_pem()).unwrap();
            format!(
                "auth:\n  token:\n    realm: {}\n    service: {}\n    issuer: {}\n    \
                 rootcertbundle: {}\n",
                realm,
                TokenServer::SERVICE,
                TokenServer::ISSUER,
                path.display()
            )
        }
    };
    format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {root}\n\
         http:\n  addr: \"{address}\"\n{tls}{auth}"
    )
}
