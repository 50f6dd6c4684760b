//! The built-in registry: the pull side of the OCI distribution specification over image layouts.
//!
//! ```text
//! publisher ─▶ Repositories::layout ─▶ an image layout a repository, one store of blobs for all
//!                                                   │
//! /v2/… ─▶ route ─▶ access (who asks?) ─▶ holdings (what has the repository?) ─▶ pull or listing
//! ```
//!
//! Written after version 1.1 of the [specification]; pushing is refused, since what is published
//! goes into the layouts from within.
//!
//! [specification]: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md

mod repositories;

mod route;

mod access;

mod holdings;
mod listing;
mod pull;
mod range;

mod fault;

pub use access::{Admission, Realm, TokenKey, Verdict};
pub use repositories::Repositories;

use crate::http::server::{Request, Response};
use crate::oci::Repository;
use crate::ops::proxies::Network;
use access::Door;
use fault::Fault;
use holdings::{Catalogue, Stock};
use route::Asked;

/// What answers every path below `/v2/`.
#[derive(Debug)]
pub struct Distribution {
    catalogue: Catalogue,
    door: Door,
}

impl Distribution {
    /// A registry of these repositories, whose tokens are signed with that key.
    ///
    /// `realm` is the address that clients are sent to for a token; `admission` is asked who may
    /// pull what.
    #[must_use]
    pub fn new(
        repositories: Repositories,
        key: TokenKey,
        realm: Realm,
        admission: Box<dyn Admission>,
    ) -> Distribution {
        let door = Door::new(key, realm, admission);
        Distribution { catalogue: Catalogue::new(repositories), door }
    }

    /// The same behind these proxies, whose word counts for where a request comes from.
    #[must_use]
    pub fn behind(mut self, proxies: &[Network]) -> Distribution {
        self.door.trust(proxies);
        self
    }

    /// Answers one request; its body is not read.
    pub fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        self.respond(request)
            .unwrap_or_else(Fault::into_response)
            .with_header("Docker-Distribution-Api-Version", "registry/2.0".to_owned())
            // What is served is what people publish: no browser may take it for a page of ours.
            .with_header("X-Content-Type-Options", "nosniff".to_owned())
    }

    fn respond(&self, request: &Request<'_, '_>) -> Result<Response, Fault> {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Err(Fault::ReadOnly);
        }
        let asked = Asked::parse(request.path())?;
        if asked == Asked::Token {
            return self.door.token(request);
        }
        self.door.admit(request, asked.repository())?;
        match &asked {
            Asked::Token | Asked::Base => Ok(Response::new(200, "application/json", "{}")),
            Asked::Manifest { repository, version } => {
                pull::manifest(&self.stock(repository)?, repository, version, request)
            }
            Asked::Blob { repository, digest } => {
                pull::blob(&self.stock(repository)?, repository, digest, request)
            }
            Asked::Tags { repository } => {
                listing::tags(&self.stock(repository)?, repository, request)
            }
            Asked::Referrers { repository, subject } => {
                listing::referrers(&self.stock(repository)?, repository, subject, request)
            }
        }
    }

    fn stock(&self, repository: &Repository) -> Result<Stock, Fault> {
        self.catalogue.stock(repository)?.ok_or_else(|| Fault::Repository(repository.clone()))
    }
}
