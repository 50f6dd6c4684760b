//! The blocking client: every wait has an end, and a password never follows a redirect elsewhere.

use std::io::Read;
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use ureq::http::{Method, Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

use crate::oci::RegistryHost;

mod answer;
mod error;
mod location;

pub use answer::Answer;
pub use error::{Error, Wait};
pub use location::{Origin, resolve};

/// The most redirects that are followed for one request.
///
/// A registry needs one or two, to its storage; more is a loop.
pub const REDIRECTS_MAX: usize = 5;

/// The largest head of an answer, in bytes: room for the signed URLs of storage services.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Under which name the other side sees us.
const USER_AGENT: &str = concat!("potoroo/", env!("CARGO_PKG_VERSION"));

/// How long the client waits, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a name to resolve.
    pub resolve: Duration,
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next byte, in either direction.
    pub stall: Duration,
    /// For a whole small answer: a token, a manifest, a refusal.
    pub answer: Duration,
    /// For the other side to take in what it was sent, a large blob for instance.
    pub commit: Duration,
}

impl Timeouts {
    /// What suits an edge: a mobile link may pause for seconds, a storage service may think for
    /// minutes over a blob it was sent.
    pub const EDGE: Self = Self {
        resolve: Duration::from_secs(10),
        connect: Duration::from_secs(20),
        stall: Duration::from_secs(30),
        answer: Duration::from_secs(60),
        commit: Duration::from_secs(300),
    };
}

const _: () = assert!(
    Timeouts::EDGE.stall.as_secs() < Timeouts::EDGE.answer.as_secs(),
    "a stalled answer is told from a slow one"
);

/// How long one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The whole answer within [`Timeouts::answer`].
    Answer,
    /// As long as bytes keep coming: [`Timeouts::stall`] between two of them.
    Stream,
    /// As long as bytes keep going, then [`Timeouts::commit`] for the answer.
    Commit,
}

/// One request to be made.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub uri: &'a Uri,
    /// The headers but for `Authorization`.
    pub headers: &'a [(&'static str, &'a str)],
    /// The value of the header `Authorization`; it reaches the origin of `uri` and no other.
    pub authorization: Option<&'a Authorization>,
    /// How long it may take.
    pub patience: Patience,
}

/// The value of a header `Authorization`, which no log and no error shows.
#[derive(Clone)]
pub struct Authorization(HeaderValue);

impl Authorization {
    /// The header with this value; `None` when the value has characters no header can hold.
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization(…)")
    }
}

/// Makes requests; it keeps connections open between them.
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`, …), but this machine is
/// never reached through one.
#[derive(Debug, Clone)]
pub struct Client {
    direct: Agent,
    proxied: Agent,
    timeouts: Timeouts,
}

impl Client {
    /// A client with these timeouts and the trust roots inside the program.
    #[must_use]
    pub fn new(timeouts: Timeouts) -> Self {
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                // Redirects are followed here: the client below would not tell one port of a
                // host from another, nor refuse to go from TLS to plain text.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_response_header_size(HEAD_BYTES_MAX)
                .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
                .user_agent(USER_AGENT)
                .accept_encoding("identity")
                .timeout_resolve(Some(timeouts.resolve))
                .timeout_connect(Some(timeouts.connect))
                .timeout_per_read(Some(timeouts.stall))
                .timeout_per_write(Some(timeouts.stall))
        };
        Self {
            direct: config().proxy(None).build().into(),
            proxied: config().build().into(),
            timeouts,
        }
    }

    /// Makes a request without body, and follows redirects.
    ///
    /// # Errors
    /// When no answer comes; an answer of any status is no error.
    pub fn fetch(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut uri = call.uri.clone();
        let mut authorization = call.authorization;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.once(call, &uri, authorization, None, SendBody::none())?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let next = answer.location()?;
            // Once away the password stays behind, even when the way leads back.
            if Origin::of(&next) != Origin::of(&uri) {
                authorization = None;
            }
            uri = next;
        }
        Err(Error::TooManyRedirects { host: host_of(call.uri) })
    }

    /// Makes a request whose body is `size` bytes; a redirect is an answer like any other.
    ///
    /// # Errors
    /// When no answer comes, or `body` fails or ends before `size` bytes.
    pub fn send(&self, call: &Call<'_>, body: &mut dyn Read, size: u64) -> Result<Answer, Error> {
        // The length is always told, zero too: registries refuse a POST without one.
        self.once(call, call.uri, call.authorization, Some(size), SendBody::from_reader(body))
    }

    fn once(
        &self,
        call: &Call<'_>,
        uri: &Uri,
        authorization: Option<&Authorization>,
        size: Option<u64>,
        body: SendBody<'_>,
    ) -> Result<Answer, Error> {
        let host = host_of(uri);
        let mut request = Request::builder().method(call.method.clone()).uri(uri.clone());
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if let Some(Authorization(value)) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if let Some(size) = size {
            request = request.header(CONTENT_LENGTH, size);
        }
        let request =
            request.body(body).map_err(|e| Error::from_ureq(&host, e.into(), &self.timeouts))?;
        let agent = if is_loopback(uri) { &self.direct } else { &self.proxied };
        let config = agent.configure_request(request);
        let request = match call.patience {
            Patience::Answer => config.timeout_global(Some(self.timeouts.answer)),
            // The body may take its time, and the head before it may not.
            Patience::Stream => config.timeout_recv_response(Some(self.timeouts.commit)),
            Patience::Commit => config
                .timeout_per_read(None)
                .timeout_recv_response(Some(self.timeouts.commit))
                .timeout_recv_body(Some(self.timeouts.answer)),
        };
        match agent.run(request.build()) {
            Ok(response) => Ok(Answer::new(uri.clone(), host, self.timeouts, response)),
            Err(error) => Err(Error::from_ureq(&host, error, &self.timeouts)),
        }
    }
}

/// The host and port of a URI for a sentence; never the user name and password in front.
fn host_of(uri: &Uri) -> String {
    match (uri.host(), uri.port_u16()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "no host".to_owned(),
    }
}

/// Whether the URI leads to this very machine.
fn is_loopback(uri: &Uri) -> bool {
    uri.host().and_then(|it| it.parse().ok()).is_some_and(|it: RegistryHost| it.is_loopback())
}
