//! Manifests and blobs to the byte, the latter in part where a client goes on with one.

use serde_json::Value;

use super::fault::Fault;
use super::holdings::{Stock, is_gone, kind};
use super::range::Wanted;
use crate::disk::Stretch;
use crate::http::server::{Content, Request, Response};
use crate::logging::AT_SERVE;
use crate::oci::{Digest, Repository, Version, media_type};
use crate::registry::Error;

/// A manifest or an index, whichever has that name or digest.
///
/// What the client says it accepts is not looked at: each manifest has one form, and all readers of
/// this registry know both kinds.
pub(super) fn manifest(
    stock: &Stock,
    repository: &Repository,
    version: &Version,
    request: &Request<'_, '_>,
) -> Result<Response, Fault> {
    let unknown = || Fault::Manifest { repository: repository.clone(), version: version.clone() };
    let digest = stock.holdings.find(version).ok_or_else(unknown)?;
    if is_known(request, &digest) {
        return Ok(marked(Response::empty(304), &digest));
    }
    let bytes = match stock.layout.whole_manifest(&digest) {
        Err(Error::UnknownBlob { .. }) => return Err(unknown()),
        found => found?,
    };
    let read: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(marked(Response::new(200, kind(&read), bytes), &digest))
}

/// A blob that one of the repository's manifests names.
pub(super) fn blob(
    stock: &Stock,
    repository: &Repository,
    digest: &Digest,
    request: &Request<'_, '_>,
) -> Result<Response, Fault> {
    let unknown = || Fault::Blob { repository: repository.clone(), digest: *digest };
    let bytes = stock.holdings.blob_bytes(digest).ok_or_else(unknown)?;
    if is_known(request, digest) {
        return Ok(marked(Response::empty(304), digest));
    }
    let whole = Stretch::whole(stock.layout.blob_path(digest));
    let found = match whole.bytes() {
        Ok(found) => found,
        Err(error) if is_gone(&error) => return Err(unknown()),
        Err(error) => return Err(Fault::File(error)),
    };
    if found != bytes {
        log::error!(target: AT_SERVE, "digest={digest} found={found} expected={bytes} msg=\"a blob is damaged: publish it again\"");
        return Err(unknown());
    }
    let (status, stretch, part) = match wanted(request, digest, bytes) {
        Wanted::Whole => (200, whole, None),
        Wanted::Part { first, last } => {
            let part = format!("bytes {first}-{last}/{bytes}");
            (206, whole.within(first, last - first + 1), Some(part))
        }
        Wanted::Outside => return Err(Fault::Range { bytes }),
    };
    let content = Content::of(&stretch).map_err(Fault::File)?;
    let response = marked(Response::new(status, media_type::OCTET_STREAM, content), digest)
        .with_header("Accept-Ranges", "bytes".to_owned());
    Ok(match part {
        Some(part) => response.with_header("Content-Range", part),
        None => response,
    })
}

/// What of a blob is asked for; a part of another blob than this is the whole of this (RFC 9110
/// section 13.1.5), and only GET has ranges.
fn wanted(request: &Request<'_, '_>, digest: &Digest, bytes: u64) -> Wanted {
    let is_other = request.header("if-range").is_some_and(|tag| tag != entity_tag(digest));
    if request.method() != "GET" || is_other {
        return Wanted::Whole;
    }
    Wanted::of(request.header("range"), bytes)
}

/// Whether the client has it already (RFC 9110 section 13.1.2).
fn is_known(request: &Request<'_, '_>, digest: &Digest) -> bool {
    let own = entity_tag(digest);
    request.header("if-none-match").is_some_and(|tags| {
        let mut tags = tags.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|tag| tag == "*" || tag == own)
    })
}

fn entity_tag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

fn marked(response: Response, digest: &Digest) -> Response {
    response
        .with_header("Docker-Content-Digest", digest.to_string())
        .with_header("ETag", entity_tag(digest))
}
