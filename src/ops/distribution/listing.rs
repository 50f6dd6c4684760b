//! Lists: the tags of a repository, and what says that it is about one of its manifests.

use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::holdings::{Stock, kind};
use crate::http::server::{Request, Response};
use crate::http::{percent, query};
use crate::logging::AT_SERVE;
use crate::oci::{Digest, Repository, media_type};

/// Tags of one answer: those of an index at its limit, so that clients which never turn the page
/// miss none.
const TAGS_MAX: usize = 20_000;

/// Bytes of descriptors in one answer about referrers, but for the last of them: together they stay
/// below the 4 MiB that clients read of a manifest.
const REFERRERS_BYTES_MAX: usize = 1 << 20;

/// Bytes of annotations that a descriptor takes over from its manifest; one with more has none.
const ANNOTATIONS_BYTES_MAX: usize = 64 << 10;

/// The tags in the order of their characters, in pages where the client asks for those.
pub(super) fn tags(
    stock: &Stock,
    repository: &Repository,
    request: &Request<'_, '_>,
) -> Result<Response, Fault> {
    let count = match query::value(request.query(), "n") {
        Some(text) => number(&text).ok_or(Fault::PageSize)?.min(TAGS_MAX),
        None => TAGS_MAX,
    };
    let last = query::value(request.query(), "last").filter(|last| !last.is_empty());
    let tags = &stock.holdings.tags;
    let from = match &last {
        Some(last) => Bound::Excluded(last.as_str()),
        None => Bound::Unbounded,
    };
    let mut rest = tags.range::<str, _>((from, Bound::Unbounded)).map(|(tag, _)| tag);
    let page: Vec<&str> = rest.by_ref().take(count).map(String::as_str).collect();
    let body = json!({ "name": repository.as_str(), "tags": page });
    let response = Response::new(200, "application/json", body.to_string());
    Ok(match (page.last(), rest.next()) {
        (Some(last), Some(_)) => {
            let next = format!("/v2/{repository}/tags/list?n={count}&last={last}");
            response.with_header("Link", format!("<{next}>; rel=\"next\""))
        }
        (Some(_) | None, Some(_) | None) => response,
    })
}

/// The descriptors of the manifests about `subject`, as an image index; none where there are none.
pub(super) fn referrers(
    stock: &Stock,
    repository: &Repository,
    subject: &Digest,
    request: &Request<'_, '_>,
) -> Result<Response, Fault> {
    let wanted = query::value(request.query(), "artifactType").filter(|kind| !kind.is_empty());
    let last = query::value(request.query(), "last");
    let last: Option<Digest> = last.map(|it| it.parse()).transpose().map_err(Fault::Digest)?;
    let found = stock.holdings.referrers(subject);
    let mut rest = found.into_iter().filter(|digest| last.is_none_or(|last| *digest > last));
    let (mut page, mut bytes, mut end) = (Vec::new(), 0, None);
    for digest in rest.by_ref() {
        let manifest = match stock.layout.whole_manifest(&digest) {
            Ok(manifest) => manifest,
            Err(error) => {
                log::error!(target: AT_SERVE, "digest={digest} msg={:?}", crate::exit::chain(&error));
                continue;
            }
        };
        let descriptor = descriptor(digest, &manifest);
        if wanted.is_some() && wanted.as_deref() != descriptor["artifactType"].as_str() {
            continue;
        }
        bytes += descriptor.to_string().len();
        page.push(descriptor);
        if bytes > REFERRERS_BYTES_MAX {
            end = Some(digest);
            break;
        }
    }
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": page });
    let mut response = Response::new(200, media_type::INDEX, index.to_string());
    if wanted.is_some() {
        response = response.with_header("OCI-Filters-Applied", "artifactType".to_owned());
    }
    if let Some(end) = end
        && rest.next().is_some()
    {
        let filter = wanted.map_or(String::new(), |kind| {
            format!("&artifactType={}", percent::encoded(&kind, b"/"))
        });
        let next = format!("/v2/{repository}/referrers/{subject}?last={end}{filter}");
        response = response.with_header("Link", format!("<{next}>; rel=\"next\""));
    }
    Ok(response)
}

/// The descriptor of a manifest, by the rules of the specification's "Listing Referrers".
fn descriptor(digest: Digest, bytes: &[u8]) -> Value {
    let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let own = manifest.get("artifactType").and_then(Value::as_str).filter(|it| !it.is_empty());
    let of_config = || manifest.pointer("/config/mediaType").and_then(Value::as_str);
    let mut found = Map::new();
    found.insert("mediaType".to_owned(), json!(kind(&manifest)));
    found.insert("digest".to_owned(), json!(digest));
    found.insert("size".to_owned(), json!(bytes.len()));
    if let Some(artifact_type) = own.or_else(of_config) {
        found.insert("artifactType".to_owned(), json!(artifact_type));
    }
    if let Some(annotations) = manifest.get("annotations").filter(|it| it.is_object())
        && annotations.to_string().len() <= ANNOTATIONS_BYTES_MAX
    {
        found.insert("annotations".to_owned(), annotations.clone());
    }
    Value::Object(found)
}

/// Digits alone; what is more than fits is as much as there is.
fn number(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}
