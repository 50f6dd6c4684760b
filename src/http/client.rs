//! The blocking client: every wait has an end, and a password never follows a redirect elsewhere.

use std::io::Read;
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use ureq::http::{Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};
use ureq::{Agent, Body, SendBody};

use crate::oci::RegistryHost;

/// The words of HTTP that calls are written with.
pub use ureq::http::{Method, Uri};

mod answer;
mod bypass;
mod distrust;
mod error;
mod glance;
mod location;
mod network;
mod proxy;
mod roots;
mod secured;

pub use answer::Answer;
pub use distrust::{Distrust, TlsFault};
pub use error::{Error, ProxyFault, Wait};
pub use glance::{Glance, GlanceError, Seen, reachable};
pub use location::{Origin, resolve};
pub use network::{Network, NetworkRead};
use proxy::Proxy;
pub use proxy::{Proxies, ProxyError};
pub use roots::{Roots, RootsError};
pub use secured::HeardTime;
use secured::{Secured, Securing};

/// The most redirects that are followed for one request.
///
/// A registry needs one or two, to its storage; more is a loop.
pub const REDIRECTS_MAX: usize = 5;

/// The largest head of an answer, in bytes: room for the signed URLs of storage services.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How much is read, in bytes, of a 400 without TLS, to see whether it is one that asks for TLS.
const SUSPECT_BYTES_MAX: u64 = 64 << 10;

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
/// This machine is never reached through a proxy, whatever the settings say.
#[derive(Clone)]
pub struct Client {
    direct: Agent,
    https: Option<Way>,
    http: Option<Way>,
    network: Network,
    timeouts: Timeouts,
}

/// A way out through a proxy.
#[derive(Clone)]
struct Way {
    agent: Agent,
    proxy: Proxy,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("network", &self.network.proxies).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with these timeouts, in a network without proxies.
    #[must_use]
    pub fn new(timeouts: Timeouts) -> Self {
        Self::through(timeouts, &Network::default())
    }

    /// A client with these timeouts in that network.
    #[must_use]
    pub fn through(timeouts: Timeouts, network: &Network) -> Self {
        let secured = Secured::new(&network.roots, &network.heard);
        let agent = |proxy: Option<&Proxy>| -> Agent {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                // Redirects are followed here: the client below would not tell one port of a
                // host from another, nor refuse to go from TLS to plain text.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_response_header_size(HEAD_BYTES_MAX)
                .user_agent(USER_AGENT)
                .accept_encoding("identity")
                .timeout_resolve(Some(timeouts.resolve))
                .timeout_connect(Some(timeouts.connect))
                .timeout_per_read(Some(timeouts.stall))
                .timeout_per_write(Some(timeouts.stall))
                // Said in any case: the client below would look at variables by itself, and send
                // all kinds of requests through the first proxy that it finds.
                .proxy(proxy.map(|it| it.inner.clone()))
                .build();
            let connector =
                ().chain(ConnectProxyConnector::default())
                    .chain(TcpConnector::default())
                    .chain(Securing(secured.clone()));
            Agent::with_parts(config, connector, DefaultResolver::default())
        };
        let way = |proxy: &Option<Proxy>| {
            proxy.as_ref().map(|it| Way { agent: agent(Some(it)), proxy: it.clone() })
        };
        Self {
            direct: agent(None),
            https: way(&network.proxies.https),
            http: way(&network.proxies.http),
            network: network.clone(),
            timeouts,
        }
    }

    /// The host and port of the proxy that a request goes through; `None` for a direct one.
    #[must_use]
    pub fn proxy_for(&self, uri: &Uri) -> Option<&str> {
        self.way(uri).map(|way| way.proxy.name.as_str())
    }

    fn way(&self, uri: &Uri) -> Option<&Way> {
        if is_loopback(uri) {
            return None;
        }
        let (way, implied) = match uri.scheme_str() {
            Some("https") => (self.https.as_ref()?, 443),
            Some(_) | None => (self.http.as_ref()?, 80),
        };
        let port = uri.port_u16().unwrap_or(implied);
        let bypass = &self.network.proxies.bypass;
        (!bypass.covers(uri.host().unwrap_or_default(), port)).then_some(way)
    }

    /// One plain request, answered by whoever is at that address; no redirect is followed.
    ///
    /// # Errors
    /// When no answer comes; an answer of any status is no error.
    pub fn knock(&self, uri: &Uri) -> Result<Answer, Error> {
        let method = Method::GET;
        let patience = Patience::Answer;
        let call = Call { method, uri, headers: &[], authorization: None, patience };
        self.once(&call, uri, None, None, SendBody::none())
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
        let way = self.way(uri);
        let agent = way.map_or(&self.direct, |way| &way.agent);
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
        let failed = |error| {
            let error = Error::from_ureq(&host, error, &self.timeouts);
            match way {
                Some(way) => error.behind(&way.proxy),
                None => error,
            }
        };
        let response = agent.run(request.build()).map_err(failed)?;
        let is_suspect = response.status().as_u16() == 400 && uri.scheme_str() == Some("http");
        let response = if is_suspect { in_plain(&host, response)? } else { response };
        Ok(Answer::new(uri.clone(), host, self.timeouts, response))
    }
}

/// The answer again, unless it is how a server of TLS tells one who speaks without.
fn in_plain(host: &str, response: Response<Body>) -> Result<Response<Body>, Error> {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    // A 400 counts also when its words do not come through.
    let _ = body.as_reader().take(SUSPECT_BYTES_MAX).read_to_end(&mut bytes);
    if distrust::wants_tls(&bytes) {
        return Err(Error::Tls { host: host.to_owned(), fault: TlsFault::AskedInPlain });
    }
    Ok(Response::from_parts(head, Body::builder().data(bytes)))
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

#[cfg(test)]
mod tests {
    use super::{Client, Network, Timeouts};

    #[test]
    fn a_request_takes_the_proxy_of_its_kind_unless_it_needs_none() {
        let network = Network::read(|name| {
            let value = match name {
                "HTTPS_PROXY" => "https.example:1",
                "ALL_PROXY" => "http://all.example:2",
                "no_proxy" => "10.0.0.0/8,.internal,r.io:5000",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let client = Client::through(Timeouts::EDGE, &network.network);
        for (uri, expected) in [
            ("https://r.io/", Some("https.example:1")),
            ("http://r.io/", Some("all.example:2")),
            ("https://r.io:5000/", None),
            ("https://a.internal/", None),
            ("http://10.1.2.3:5000/", None),
            ("http://11.1.2.3:5000/", Some("all.example:2")),
            ("https://localhost/", None),
            ("http://127.0.0.2:5000/", None),
            ("https://[::1]:5000/", None),
        ] {
            assert_eq!(client.proxy_for(&uri.parse().unwrap()), expected, "{uri}");
        }
        assert_eq!(Client::new(Timeouts::EDGE).proxy_for(&"https://r.io/".parse().unwrap()), None);
    }
}
