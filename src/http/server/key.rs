//! The API key: a text that a client must show, compared without telling how much of it was right.

use std::fmt;
use std::hint::black_box;

use super::request::Request;
use super::response::Response;

/// Bytes of a key; a JSON web token is below, and it leaves three fourths of a head.
const KEY_BYTES_MAX: usize = 4 * 1024;

const _: () = assert!(KEY_BYTES_MAX < super::limits::HEAD_BYTES_MAX, "a key fits its head");

/// A key that clients show as `Authorization: Bearer KEY` (RFC 6750) or `X-API-Key: KEY`.
///
/// Neither `Debug` nor anything else shows it.
#[derive(Clone)]
pub struct ApiKey(Vec<u8>);

/// Why a text can be no key. The text does not stand in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It is empty or too long.
    #[error("the API key has {bytes} bytes: make it 1 to {KEY_BYTES_MAX} long")]
    Length {
        /// What it has.
        bytes: usize,
    },
    /// It holds what cannot stand in a header field, or is lost there.
    #[error("the API key holds a blank or a character beyond ASCII: use letters, digits and signs")]
    Character,
}

impl ApiKey {
    /// Takes the key that clients are to show: 1 to 4096 visible ASCII characters.
    ///
    /// # Errors
    /// No header field could carry the text as it is.
    pub fn new(text: &str) -> Result<ApiKey, ApiKeyError> {
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            return Err(ApiKeyError::Length { bytes: text.len() });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiKeyError::Character);
        }
        Ok(ApiKey(text.as_bytes().to_vec()))
    }

    /// Whether the request shows this key, in either field.
    pub fn admits(&self, request: &Request<'_, '_>) -> bool {
        let bearer = request.header_bytes("authorization").and_then(bearer);
        let shown = [bearer, request.header_bytes("x-api-key")];
        // Both are compared, whatever came of the first.
        shown.into_iter().flatten().fold(false, |admits, shown| admits | self.is(shown))
    }

    /// The answer's field for a client that showed none or another (RFC 9110 section 11.6.1),
    /// with status 401.
    #[must_use]
    pub fn challenge(response: Response) -> Response {
        response.with_header("WWW-Authenticate", "Bearer".to_owned())
    }

    /// Takes as long as what was shown is, wherever it differs.
    fn is(&self, shown: &[u8]) -> bool {
        let mut difference = shown.len() ^ self.0.len();
        for (shown, key) in shown.iter().zip(self.0.iter().cycle()) {
            // Opaque, so that the compiler cannot end the loop at the first difference.
            difference = black_box(difference | usize::from(shown ^ key));
        }
        difference == 0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// What follows the scheme, whose case does not matter (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_is_the_key() {
        let key = ApiKey::new("s3cret").unwrap();
        assert!(key.is(b"s3cret"));
        let others = ["", "s", "s3cre", "s3creT", "S3cret", "s3crets", "s3crets3cret", "xxxxxx"];
        assert!(others.iter().all(|other| !key.is(other.as_bytes())));
    }

    #[test]
    fn a_text_that_no_field_carries_is_refused() {
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        for text in ["", long.as_str()] {
            assert_eq!(ApiKey::new(text).unwrap_err(), ApiKeyError::Length { bytes: text.len() });
        }
        for text in ["a b", "a\n", "schlüssel", "\0"] {
            assert_eq!(ApiKey::new(text).unwrap_err(), ApiKeyError::Character, "{text:?}");
        }
    }

    #[test]
    fn a_key_is_shown_by_neither_debug_nor_its_errors() {
        let shown = format!("{:?}", ApiKey::new("hunter2").unwrap());
        let refused = ApiKey::new("hunter2 ").unwrap_err();
        assert!(!format!("{shown}{refused}{refused:?}").contains("hunter2"));
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer(b"bearer  abc"), Some(b"abc".as_slice()));
        let others: [&[u8]; 4] = [b"Basic abc", b"Bearer", b"Bearerabc", b""];
        assert!(others.iter().all(|value| bearer(value).is_none()));
    }
}
