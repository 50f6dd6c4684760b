//! How a client is told to log in: where tokens are, and for what.

use crate::http::server::{Request, Response};
use crate::oci::Repository;

/// What we are called to token clients; each gets tokens for it alone.
pub(super) const SERVICE: &str = "potoroo";

/// The path of the tokens.
const TOKEN_PATH: &str = "/v2/token";

/// Under which address clients reach this registry, for the way to its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realm {
    /// The one by which the client asked, over this scheme: it reaches us there.
    AsAsked {
        /// Whether clients speak TLS, with us or with a proxy before us.
        https: bool,
    },
    /// A fixed one, as `https://ops.example.com`.
    At(String),
}

impl Realm {
    /// Where the tokens are; `None` when the client did not say by which name it asked.
    fn token_url(&self, request: &Request<'_, '_>) -> Option<String> {
        match self {
            Realm::At(base) => Some(format!("{}{TOKEN_PATH}", base.trim_end_matches('/'))),
            Realm::AsAsked { https } => {
                // The server takes nothing for a host that could end the quotes.
                let host = request.header("host").filter(|host| !host.is_empty())?;
                let scheme = if *https { "https" } else { "http" };
                Some(format!("{scheme}://{host}{TOKEN_PATH}"))
            }
        }
    }
}

/// The value of `WWW-Authenticate`.
///
/// One challenge alone: docker follows every one that it knows, and would show its password with
/// each request instead of a token.
#[derive(Debug)]
pub(in crate::ops::distribution) struct Challenge(String);

impl Challenge {
    pub(super) fn basic() -> Challenge {
        Challenge(format!("Basic realm=\"{SERVICE}\""))
    }

    pub(super) fn bearer(
        realm: &Realm,
        request: &Request<'_, '_>,
        repository: Option<&Repository>,
        error: Option<&str>,
    ) -> Challenge {
        let Some(url) = realm.token_url(request) else { return Challenge::basic() };
        let mut text = format!("Bearer realm=\"{url}\",service=\"{SERVICE}\"");
        if let Some(repository) = repository {
            text.push_str(&format!(",scope=\"repository:{repository}:pull\""));
        }
        if let Some(error) = error {
            text.push_str(&format!(",error=\"{error}\""));
        }
        Challenge(text)
    }

    pub(in crate::ops::distribution) fn write(self, response: Response) -> Response {
        response.with_header("WWW-Authenticate", self.0)
    }
}
