//! A session with one registry about one repository: whom it talks to, how, and as whom.

use std::sync::Mutex;
use std::time::Duration;

use ureq::http::{Method, Uri};

use super::session::{Action, Held};
use super::{Credentials, Doing, Error, Oddity, Reply};
use crate::http::client::{
    self, Answer, Authorization, Call, Client, Network, Patience, Timeouts, Wait,
};
use crate::http::date;
use crate::oci::{RegistryHost, Repository, excerpt};

/// The longest wait that a registry is heard to ask for: a day. How much of it is granted is
/// up to [`Retry`](super::Retry).
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// The content type of a page for people, which no registry answers with.
const WEB_PAGE: &str = "text/html";

/// The host that answers for `docker.io`, whose own name is a web site.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// How registries are reached: always by TLS, but for this machine and hosts listed by name.
#[derive(Debug, Clone)]
pub struct Transport {
    client: Client,
    timeouts: Timeouts,
    plain_http: Vec<RegistryHost>,
    tls_only: Vec<RegistryHost>,
}

impl Transport {
    /// A transport that speaks plain HTTP with loopback hosts and those of `plain_http` only.
    ///
    /// A host of `plain_http` matches with its port, as it is written in references.
    #[must_use]
    pub fn new(timeouts: Timeouts, plain_http: Vec<RegistryHost>) -> Self {
        let client = Client::new(timeouts);
        Self { client, timeouts, plain_http, tls_only: Vec::new() }
    }

    /// The same through a network with proxies and trust roots of its own.
    #[must_use]
    pub fn through(self, network: &Network) -> Self {
        Self { client: Client::through(self.timeouts, network), ..self }
    }

    /// The same, but these hosts are spoken to by TLS alone, loopback or not.
    #[must_use]
    pub fn with_tls(self, tls_only: Vec<RegistryHost>) -> Self {
        Self { tls_only, ..self }
    }

    /// Whether a host may hear us in plain text.
    pub(super) fn may_be_plain(&self, host: &RegistryHost) -> bool {
        !self.tls_only.contains(host) && (host.is_loopback() || self.plain_http.contains(host))
    }
}

/// One repository of one registry, and who we are to it.
///
/// Nothing is sent before [`login`](Self::login) or a request. Requests may come from several
/// threads; each logs in anew, once, when it is answered 401.
#[derive(Debug)]
pub struct Remote {
    pub(super) transport: Transport,
    pub(super) registry: RegistryHost,
    pub(super) repository: Repository,
    pub(super) credentials: Option<Credentials>,
    pub(super) held: Mutex<Held>,
}

impl Remote {
    /// A session that has not begun; without credentials it is anonymous.
    #[must_use]
    pub fn new(
        transport: Transport,
        registry: RegistryHost,
        repository: Repository,
        credentials: Option<Credentials>,
    ) -> Self {
        Self { transport, registry, repository, credentials, held: Mutex::new(Held::Nothing) }
    }

    /// Sees that the registry is one, and logs in to do `action` in the repository.
    ///
    /// A registry that lets everyone in is not shown the credentials until it asks for them.
    ///
    /// # Errors
    /// [`Error::CredentialsMissing`] and [`Error::CredentialsWrong`] when it does not let us in,
    /// and those of a registry that cannot be reached or is none.
    pub fn login(&self, action: Action) -> Result<(), Error> {
        let uri = self.uri("/v2/")?;
        let answer = self.fetch(Doing::Login, action, Method::GET, &uri, &[], Patience::Answer)?;
        match answer.status {
            200..=299 => self.no_page(&answer),
            _ => Err(self.refusal(Doing::Login, answer)),
        }
    }

    /// Where the registry is asked: its base address, with the scheme that is spoken to it.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the host makes no URI.
    pub fn address(&self) -> Result<Uri, Error> {
        self.uri("/v2/")
    }

    /// The URI of a path at the registry.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, Error> {
        let scheme = if self.transport.may_be_plain(&self.registry) { "http" } else { "https" };
        let registry = self.registry.to_string();
        let host = if registry == "docker.io" { DOCKER_HUB } else { &registry };
        // A registry host and a path of repository, tag or digest are all of URI characters.
        format!("{scheme}://{host}{path}")
            .parse()
            .map_err(|_| self.odd(Oddity::Realm { realm: excerpt(host) }))
    }

    /// The URI of something in the repository, as `manifests/v1`.
    pub(super) fn in_repository(&self, rest: &str) -> Result<Uri, Error> {
        self.uri(&format!("/v2/{}/{rest}", self.repository))
    }

    /// A request without body, logged in.
    pub(super) fn fetch(
        &self,
        doing: Doing,
        action: Action,
        method: Method,
        uri: &Uri,
        headers: &[(&'static str, &str)],
        patience: Patience,
    ) -> Result<Answer, Error> {
        self.logged_in(doing, action, &mut |authorization: Option<&Authorization>| {
            let method = method.clone();
            let call = Call { method, uri, headers, authorization, patience };
            self.client().fetch(&call).map_err(|source| self.lost(doing, source))
        })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.transport.client
    }

    /// The error of a connection that failed while its body was read.
    pub(super) fn cut(&self, doing: Doing, error: std::io::Error) -> Error {
        let host = self.registry.to_string();
        self.lost(doing, client::Error::while_reading(&host, error, &self.transport.timeouts))
    }

    /// The error of a connection that is open and brings next to nothing.
    pub(super) fn stalled(&self, doing: Doing, limit: Duration) -> Error {
        let host = self.registry.to_string();
        self.lost(doing, client::Error::TimedOut { host, wait: Wait::Read, limit })
    }

    /// The error of a request that got no answer.
    pub(super) fn lost(&self, doing: Doing, source: client::Error) -> Error {
        let registry = self.registry.clone();
        match source {
            client::Error::Untrusted { .. } | client::Error::Tls { .. } => {
                Error::Untrusted { registry, source }
            }
            client::Error::UnknownHost { .. }
            | client::Error::Refused { .. }
            | client::Error::TimedOut { .. }
            | client::Error::Proxy { .. }
            | client::Error::Broken { .. } => Error::Unreachable { registry, doing, source },
            client::Error::NotHttp { .. }
            | client::Error::TooManyRedirects { .. }
            | client::Error::NoLocation { .. }
            | client::Error::Location { .. } => self.odd(Oddity::Http(source)),
        }
    }

    pub(super) fn odd(&self, oddity: Oddity) -> Error {
        Error::Protocol { registry: self.registry.clone(), oddity }
    }

    /// Sees that an answer is not a page for people, whatever its status says.
    pub(super) fn no_page(&self, answer: &Answer) -> Result<(), Error> {
        let kind = answer.header("content-type").unwrap_or_default().trim();
        if kind.get(..WEB_PAGE.len()).is_some_and(|it| it.eq_ignore_ascii_case(WEB_PAGE)) {
            return Err(self.odd(Oddity::WebPage));
        }
        Ok(())
    }

    /// The error of an answer whose status means no, whatever was asked.
    pub(super) fn refusal(&self, doing: Doing, answer: Answer) -> Error {
        let status = answer.status;
        let registry = self.registry.clone();
        let retry_after = retry_after(&answer);
        if status == 429 {
            return Error::RateLimited { registry, retry_after };
        }
        let reply = Reply::read(answer, self.credentials.as_ref());
        match status {
            403 => Error::Denied { registry, repository: self.repository.clone(), doing, reply },
            500..=599 => Error::Server { registry, status, doing, retry_after, reply },
            _ => Error::Refused { registry, status, doing, reply },
        }
    }
}

/// The wait that an answer asks for: in seconds, or until a date by the other side's own clock.
///
/// A date without the time at which it was said would need a right clock here, and is left out.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let asked = answer.header("retry-after")?.trim();
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date::parse(asked)?.saturating_sub(date::parse(answer.header("date")?)?),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
