//! The form of the page: the rows that a browser posts, if they come from our own page.

use crate::engine::refusal::Problem;
use crate::http::percent;
use crate::http::server::Request;

/// Bytes of a posted form: a thousand rows of a table typed or pasted by a person. What is larger
/// comes from a program, which has the inference endpoints.
pub(super) const FORM_BYTES_MAX: u64 = 1024 * 1024;

/// What browsers post forms as (HTML, section "URL-encoded form data").
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The field that holds the rows.
const FIELD: &str = "rows";

/// Why a post to the page is not taken for its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::engine) enum FormError {
    /// Sent by the page of another site, through the browser of someone who can reach the engine.
    #[error(
        "the form was sent from another site: open this engine's own page and send it from there"
    )]
    OtherSite,
    /// Not a form.
    #[error("the page takes its own form, `{FORM_TYPE}`: send rows to POST /infer")]
    Type,
    /// A chunked body.
    #[error("the form does not tell its length: send it with a Content-Length")]
    NoLength,
    /// Larger than the limit.
    #[error(
        "the form has {found} bytes, and the page takes {FORM_BYTES_MAX}: send the rows to \
         POST /infer, which takes more"
    )]
    TooLarge {
        /// Its declared length.
        found: u64,
    },
    /// Not encoded as forms are, or without rows.
    #[error("the form has no field `{FIELD}`, or one that is not URL-encoded")]
    NoRows,
}

/// The form that `request` posts, still encoded.
pub(super) fn body(request: &mut Request<'_, '_>) -> Result<Vec<u8>, Problem> {
    let header = |name| request.header(name);
    if from_another_site(header("sec-fetch-site"), header("origin"), header("host")) {
        return Err(FormError::OtherSite.into());
    }
    let media = header("content-type").and_then(|value| value.split(';').next());
    if !media.is_some_and(|media| media.trim().eq_ignore_ascii_case(FORM_TYPE)) {
        return Err(FormError::Type.into());
    }
    match request.content_length() {
        Some(bytes) if bytes <= FORM_BYTES_MAX => {}
        Some(found) => return Err(FormError::TooLarge { found }.into()),
        None => return Err(FormError::NoLength.into()),
    }
    Ok(request.body()?)
}

/// The rows in a posted form, as typed.
pub(super) fn rows(body: &[u8]) -> Result<Vec<u8>, FormError> {
    field(body).ok_or(FormError::NoRows)
}

/// Whether a browser says that the form is on the page of another site. Inference takes types
/// that a foreign page cannot send without asking first; a form is not such a type.
///
/// `Sec-Fetch-Site` (Fetch Metadata) is sent over TLS and on loopback, `Origin` everywhere; a
/// client that sends neither is no browser, and lends nobody its place in the network.
fn from_another_site(site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    match (site, origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_none() || authority != host
        }
        (None, None) => false,
    }
}

/// The bytes of the field with the rows.
fn field(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == FIELD)?;
    percent::form_decoded(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_what_was_typed() {
        let cases: [(&str, Option<&[u8]>); 7] = [
            ("rows=%5B%7B%22x%22%3A+1%7D%5D", Some(b"[{\"x\": 1}]")),
            ("a=1&rows=1%2B1%0D%0A&rows=2", Some(b"1+1\r\n")),
            ("rows=", Some(b"")),
            ("rows=%C3%BC", Some("ü".as_bytes())),
            ("rows=%FF", Some(b"\xff")),
            ("rows=%4", None),
            ("lines=1", None),
        ];
        for (body, rows) in cases {
            assert_eq!(field(body.as_bytes()).as_deref(), rows, "{body}");
        }
        assert_eq!(field(b"rows=\xff"), None);
    }

    #[test]
    fn only_our_own_page_may_post_from_a_browser() {
        let host = Some("edge.local:8080");
        for (site, origin, foreign) in [
            (None, None, false),
            (Some("same-origin"), Some("http://elsewhere"), false),
            (Some("none"), None, false),
            (Some("cross-site"), Some("http://edge.local:8080"), true),
            (Some("same-site"), None, true),
            (None, Some("http://edge.local:8080"), false),
            (None, Some("http://edge.local"), true),
            (None, Some("https://elsewhere.example"), true),
            (None, Some("null"), true),
        ] {
            assert_eq!(from_another_site(site, origin, host), foreign, "{site:?} {origin:?}");
        }
    }
}
