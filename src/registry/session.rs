//! Logging in: from the challenge of a 401 to the header that answers it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::{Method, Uri};

use super::challenge::{self, Bearer, Challenge};
use super::remote::Remote;
use super::{Credentials, Doing, Error, Oddity, Reply, Secret};
use crate::http::client::{Answer, Authorization, Call, Origin, Patience};
use crate::http::percent;
use crate::logging::AT_PULL;
use crate::oci::{RegistryHost, excerpt};

/// The largest answer of a token service, in bytes: tokens of the big clouds have some KB.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// How long a token lives when its service does not say (token specification), in seconds.
const TOKEN_S_DEFAULT: u64 = 60;
/// The longest life of a token that is believed, in seconds: a day.
const TOKEN_S_MAX: u64 = 86_400;
/// A token this near its end is not sent any more: it might end on the way.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);

const _: () = assert!(TOKEN_S_DEFAULT > TOKEN_MARGIN.as_secs(), "a new token is of use");

/// What one wants to do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Fetch from it.
    Pull,
    /// Fetch from it and send to it.
    Push,
}

impl Action {
    const fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// What was last shown to the registry with success.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// Nothing.
    Nothing,
    /// User name and password.
    Basic(Authorization),
    /// A token, and when it ends.
    Token(Authorization, Instant),
}

impl Held {
    fn header(&self) -> Option<&Authorization> {
        match self {
            Self::Nothing => None,
            Self::Basic(header) | Self::Token(header, _) => Some(header),
        }
    }
}

/// The answer of a token service; both names are in use.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Remote {
    /// Makes a request with what is held, and once more with something fresh after a 401.
    pub(super) fn logged_in(
        &self,
        doing: Doing,
        action: Action,
        make: &mut dyn FnMut(Option<&Authorization>) -> Result<Answer, Error>,
    ) -> Result<Answer, Error> {
        let held = self.held();
        let answer = make(held.header())?;
        self.pass_on_warnings(&answer);
        if answer.status != 401 || !self.is_from_registry(&answer)? {
            return Ok(answer);
        }
        let fresh = self.take_up(&held, action, answer)?;
        let answer = make(fresh.header())?;
        if answer.status != 401 || !self.is_from_registry(&answer)? {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            return Ok(answer);
        }
        let reply = Reply::read(answer, self.credentials.as_ref());
        Err(match (&fresh, &self.credentials) {
            (Held::Basic(_), _) => self.wrong(reply),
            (Held::Nothing | Held::Token(..), None) => self.missing(reply),
            // The service knows us and gave a token, and the registry finds too little in it.
            (Held::Nothing | Held::Token(..), Some(_)) => Error::Denied {
                registry: self.registry.clone(),
                repository: self.repository.clone(),
                doing,
                reply,
            },
        })
    }

    fn held(&self) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match held {
            Held::Token(_, until) if until <= Instant::now() => Held::Nothing,
            Held::Nothing | Held::Basic(_) | Held::Token(..) => held,
        }
    }

    /// Whether the registry itself answered, and not a storage service it redirected to.
    ///
    /// The challenge of anyone else must not get the password.
    fn is_from_registry(&self, answer: &Answer) -> Result<bool, Error> {
        Ok(Origin::of(&answer.uri) == Origin::of(&self.uri("/v2/")?))
    }

    /// Takes up the challenge of a 401.
    fn take_up(&self, held: &Held, action: Action, answer: Answer) -> Result<Held, Error> {
        let challenges = challenge::parse(answer.headers("www-authenticate"));
        let reply = Reply::read(answer, self.credentials.as_ref());
        for challenge in &challenges {
            if let Challenge::Bearer(bearer) = challenge {
                return self.token(bearer, action);
            }
        }
        if !challenges.contains(&Challenge::Basic) {
            return Err(self.odd(Oddity::NoChallenge));
        }
        match (&self.credentials, held) {
            (None, _) => Err(self.missing(reply)),
            (Some(_), Held::Basic(_)) => Err(self.wrong(reply)),
            // An identity token is for a token service, and here is none.
            (Some(it), _) if it.is_identity_token() => Err(self.wrong(reply)),
            (Some(credentials), Held::Nothing | Held::Token(..)) => {
                let header = credentials.basic().ok_or_else(|| self.odd(Oddity::Unsendable))?;
                Ok(Held::Basic(header))
            }
        }
    }

    /// Fetches a token from the service that the registry names.
    fn token(&self, bearer: &Bearer, action: Action) -> Result<Held, Error> {
        if let Some(error) = &bearer.error {
            log::debug!(target: AT_PULL, "registry={} token_error={:?}", self.registry, excerpt(error));
        }
        let uri = self.token_uri(bearer, action)?;
        let lost = |source| self.lost(Doing::Token, source);
        let answer = match &self.credentials {
            Some(it) if it.is_identity_token() => self.exchange(it, &uri)?,
            Some(_) | None => self.ask_for_token(&uri)?,
        };
        match answer.status {
            200 => {}
            400 | 401 | 403 => {
                let reply = Reply::read(answer, self.credentials.as_ref());
                let refused = self.credentials.is_some();
                return Err(if refused { self.wrong(reply) } else { self.missing(reply) });
            }
            _ => return Err(self.refusal(Doing::Token, answer)),
        }
        let body = answer.read(TOKEN_BYTES_MAX).map_err(lost)?.ok_or_else(|| Error::TooLarge {
            what: format!("the token answer for {}", self.registry),
            bytes_max: TOKEN_BYTES_MAX,
        })?;
        let odd = || self.odd(Oddity::NoToken);
        let found: Token = serde_json::from_slice(&body).map_err(|_| odd())?;
        let token = found.token.or(found.access_token).filter(|it| !it.is_empty());
        let token = Secret::new(token.ok_or_else(odd)?);
        let header = Authorization::new(&format!("Bearer {}", token.reveal())).ok_or_else(odd)?;
        let life = found.expires_in.unwrap_or(TOKEN_S_DEFAULT).min(TOKEN_S_MAX);
        let life = Duration::from_secs(life).saturating_sub(TOKEN_MARGIN);
        Ok(Held::Token(header, Instant::now() + life))
    }

    /// Asks for a token by user name and password, or by none.
    fn ask_for_token(&self, uri: &Uri) -> Result<Answer, Error> {
        let basic = match &self.credentials {
            Some(it) => Some(it.basic().ok_or_else(|| self.odd(Oddity::Unsendable))?),
            None => None,
        };
        let call = Call {
            method: Method::GET,
            uri,
            headers: &[("accept", "application/json")],
            authorization: basic.as_ref(),
            patience: Patience::Answer,
        };
        self.client().fetch(&call).map_err(|source| self.lost(Doing::Token, source))
    }

    /// Asks for a token by an identity token: the grant `refresh_token` of the token service's
    /// OAuth 2 side. What a query would say, and the token with it, goes into the body.
    fn exchange(&self, credentials: &Credentials, uri: &Uri) -> Result<Answer, Error> {
        let token = percent::encoded(credentials.password.reveal(), &[]);
        let asked = uri.query().unwrap_or_default();
        let form =
            format!("grant_type=refresh_token&client_id=potoroo&{asked}&refresh_token={token}");
        let authority = uri.authority().map_or("", |it| it.as_str());
        let bare = format!("{}://{authority}{}", uri.scheme_str().unwrap_or("https"), uri.path());
        let bare: Uri = bare.parse().map_err(|_| self.odd(Oddity::NoToken))?;
        let call = Call {
            method: Method::POST,
            uri: &bare,
            headers: &[
                ("accept", "application/json"),
                ("content-type", "application/x-www-form-urlencoded"),
            ],
            authorization: None,
            patience: Patience::Answer,
        };
        let answer = self.client().send(&call, &mut form.as_bytes(), form.len() as u64);
        answer.map_err(|source| self.lost(Doing::Token, source))
    }

    /// Where the token is, once it is sure that the password may go there.
    fn token_uri(&self, bearer: &Bearer, action: Action) -> Result<Uri, Error> {
        // The query may hold a secret, and so may what stands before an `@`.
        let shown = bearer.realm.split('?').next().unwrap_or_default();
        let shown = shown.rsplit('@').next().unwrap_or_default();
        let refuse = || self.odd(Oddity::Realm { realm: excerpt(shown) });
        let realm: Uri = bearer.realm.parse().map_err(|_| refuse())?;
        let authority = realm.authority().ok_or_else(refuse)?.as_str();
        if authority.contains('@') {
            return Err(refuse());
        }
        // A password travels in plain text only to hosts that may be spoken to so anyway.
        let is_plain = self.transport.may_be_plain(&self.registry);
        let host: Option<RegistryHost> = authority.parse().ok();
        match realm.scheme_str() {
            Some("https") => {}
            Some("http") if is_plain && host.is_some_and(|it| self.transport.may_be_plain(&it)) => {
            }
            Some(_) | None => return Err(refuse()),
        }
        let own = format!("repository:{}:{}", self.repository, action.scope());
        let mut query = String::new();
        if let Some(service) = &bearer.service {
            query.push_str(&format!("&service={}", percent::encoded(service, KEPT_IN_QUERY)));
        }
        for scope in bearer.scope.as_deref().unwrap_or(&own).split_ascii_whitespace() {
            query.push_str(&format!("&scope={}", percent::encoded(scope, KEPT_IN_QUERY)));
        }
        let joint = if bearer.realm.contains('?') { "&" } else { "?" };
        format!("{}{joint}{}", bearer.realm, &query[1..]).parse().map_err(|_| refuse())
    }

    /// Registries announce their end with these; the specification wants people to see them.
    fn pass_on_warnings(&self, answer: &Answer) {
        if let Some(text) = answer.header("warning").and_then(|it| it.strip_prefix("299 - ")) {
            log::warn!(target: AT_PULL, "registry={} warning={:?}", self.registry, excerpt(text));
        }
    }

    fn wrong(&self, reply: Reply) -> Error {
        Error::CredentialsWrong { registry: self.registry.clone(), reply }
    }

    fn missing(&self, reply: Reply) -> Error {
        Error::CredentialsMissing { registry: self.registry.clone(), reply }
    }
}

/// What stands as it is in the value of a query, besides what stands so anywhere.
const KEPT_IN_QUERY: &[u8] = b":/,";

#[cfg(test)]
mod tests;
