//! Who may pull: a login or a token at the door, and tokens for those with a login.
//!
//! ```text
//! no login ─▶ 401 with the way to /v2/token ─▶ login there ─▶ Admission ─▶ token, 300 s ─▶ pull
//! ```
//!
//! By the distribution project's [token specification], which docker, Helm and skopeo speak. A login
//! may be shown without the detour, too.
//!
//! [token specification]: https://distribution.github.io/distribution/spec/auth/token/

mod admission;

mod login;
mod scope;

mod challenge;
mod token;

mod throttle;

pub use admission::{Admission, Verdict};
pub(super) use challenge::Challenge;
pub use challenge::Realm;
pub use token::TokenKey;

use std::time::Instant;

use serde_json::json;

use super::fault::Fault;
use crate::clock::{DeviceClock, rfc3339};
use crate::http::query;
use crate::http::server::{Request, Response};
use crate::logging::AT_SERVE;
use crate::oci::Repository;
use crate::ops::proxies::{Network, client_of};
use challenge::SERVICE;
use login::{Login, Shown};
use scope::Scope;
use throttle::Throttle;
use token::{Grant, LIFE, Tokens};

/// Scopes of one token: docker asks for two at most, when it copies between repositories.
const SCOPES_MAX: usize = 8;

/// Lets in who may come in.
#[derive(Debug)]
pub(super) struct Door {
    admission: Box<dyn Admission>,
    realm: Realm,
    tokens: Tokens,
    throttle: Throttle,
    /// Proxies whose word counts for where a request comes from.
    trusted_proxies: Vec<Network>,
}

impl Door {
    pub(super) fn new(key: TokenKey, realm: Realm, admission: Box<dyn Admission>) -> Door {
        let tokens = Tokens::new(key, Box::new(DeviceClock));
        let (throttle, trusted_proxies) = (Throttle::default(), Vec::new());
        Door { admission, realm, tokens, throttle, trusted_proxies }
    }

    /// Believes these proxies where a request comes from.
    pub(super) fn trust(&mut self, proxies: &[Network]) {
        proxies.clone_into(&mut self.trusted_proxies);
    }

    /// Whether this request may read that repository, or, without one, be here at all.
    pub(super) fn admit(
        &self,
        request: &Request<'_, '_>,
        repository: Option<&Repository>,
    ) -> Result<(), Fault> {
        let refused = |why, error| {
            let challenge = Challenge::bearer(&self.realm, request, repository, error);
            Err(Fault::Unauthorized { why, challenge })
        };
        match Shown::of(request) {
            Shown::Nothing => refused("a login is needed: give a user name and a password", None),
            Shown::Other => {
                refused("the login is neither Basic nor Bearer: show one of these", None)
            }
            Shown::Token(token) => match (self.tokens.verify(token), repository) {
                (None, _) => refused(
                    "the token has ended or is none of this registry's: ask for another",
                    Some("invalid_token"),
                ),
                (Some(_), None) => Ok(()),
                (Some(grant), Some(repository)) => match grant.about(repository) {
                    Some(true) => Ok(()),
                    Some(false) => Err(Fault::Denied(repository.clone())),
                    None => refused(
                        "the token is for another repository: ask for one with this scope",
                        Some("insufficient_scope"),
                    ),
                },
            },
            Shown::Login(login) => self.checked(request, &login, || match repository {
                Some(repository) => match self.ask(&login, Some(repository))? {
                    true => Ok(()),
                    false => Err(Fault::Denied(repository.clone())),
                },
                None => self.ask(&login, None).map(drop),
            }),
        }
    }

    /// A token for what the request asks to pull, as far as its login may pull it.
    ///
    /// What is denied is written into it, too, and told where it is shown: clients show their people
    /// what the registry says, and of the service of tokens the status alone.
    pub(super) fn token(&self, request: &Request<'_, '_>) -> Result<Response, Fault> {
        if query::value(request.query(), "service").is_some_and(|it| it != SERVICE) {
            return Err(Fault::Service);
        }
        let Shown::Login(login) = Shown::of(request) else {
            let why = "a login is needed: give a user name and a password";
            return Err(Fault::Unauthorized { why, challenge: Challenge::basic() });
        };
        let texts: Vec<String> = query::values(request.query(), "scope").collect();
        let scopes: Vec<Scope> = texts.iter().flat_map(|it| Scope::all(it)).collect();
        if scopes.len() > SCOPES_MAX {
            return Err(Fault::Scopes { max: SCOPES_MAX });
        }
        let grant = self.checked(request, &login, || self.grant(&login, scopes))?;
        let token = self.tokens.issue(grant);
        let issued_at = rfc3339(self.tokens.now());
        let body = json!({
            "token": token, "access_token": token, "expires_in": LIFE.as_secs(),
            "issued_at": issued_at,
        });
        let response = Response::new(200, "application/json", body.to_string());
        Ok(response.with_header("Cache-Control", "no-store".to_owned()))
    }

    /// Which of these repositories the login may pull, and which it may not.
    fn grant(&self, login: &Login, scopes: Vec<Scope>) -> Result<Grant, Fault> {
        if !scopes.iter().any(|scope| scope.pull) {
            self.ask(login, None)?;
        }
        let mut grant = Grant::default();
        for Scope { repository, .. } in scopes.into_iter().filter(|scope| scope.pull) {
            match self.ask(login, Some(&repository))? {
                true => grant.pull.push(repository.to_string()),
                false => grant.denied.push(repository.to_string()),
            }
        }
        Ok(grant)
    }

    /// Whether the login may pull; an error when it is none, or nobody knows.
    fn ask(&self, login: &Login, repository: Option<&Repository>) -> Result<bool, Fault> {
        match self.admission.admit(&login.username, &login.password, repository) {
            Verdict::Admitted => Ok(true),
            Verdict::Denied => Ok(false),
            Verdict::Unavailable => Err(Fault::Unavailable),
            Verdict::Unknown => Err(Fault::Unauthorized {
                why: "the user name or the password is wrong, or has ended",
                challenge: Challenge::basic(),
            }),
        }
    }

    /// Looks at a login, unless too many failed; one that fails counts.
    fn checked<T>(
        &self,
        request: &Request<'_, '_>,
        login: &Login,
        look: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let address = client_of(request, &self.trusted_proxies);
        let turn = self.throttle.begin(address, &login.username, Instant::now());
        let turn = turn.map_err(|wait| Fault::Throttled { wait })?;
        let found = look();
        match &found {
            Err(Fault::Unauthorized { .. }) => {
                log::warn!(target: AT_SERVE, "peer={address} msg=\"a login to the registry failed\"");
            }
            Ok(_) | Err(_) => self.throttle.forgive(turn),
        }
        found
    }
}
