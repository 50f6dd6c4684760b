//! Where an answer points: the URI in a `Location` header, made whole and checked.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use super::{Error, host_of};
use crate::oci::excerpt;

/// Scheme, host and port: who hears a request (RFC 6454). A password is for one origin only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Option<Scheme>,
    host: Option<String>,
    port: Option<u16>,
}

impl Origin {
    /// The origin of a URI, with the port that its scheme implies.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        let implied = match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            Some(_) | None => None,
        };
        Self {
            scheme: uri.scheme().cloned(),
            host: uri.host().map(str::to_ascii_lowercase),
            port: uri.port_u16().or(implied),
        }
    }
}

/// The URI that `location` means in an answer to `base` (RFC 9110, 10.2.2).
///
/// # Errors
/// When it is no URI for HTTP, holds credentials, or leads from TLS to plain text.
pub fn resolve(base: &Uri, location: &str) -> Result<Uri, Error> {
    // Neither the query, which may be a signature, nor credentials are repeated.
    let shown = location.split('?').next().unwrap_or_default();
    let shown = if shown.contains('@') { "…".to_owned() } else { excerpt(shown) };
    let refuse = |why| Error::Location { host: host_of(base), found: shown.clone(), why };
    let whole = if location.contains("://") && !location.starts_with(['/', '?']) {
        location.to_owned()
    } else {
        let scheme = base.scheme_str().unwrap_or("https");
        let authority = base.authority().map_or("", |it| it.as_str());
        let path = base.path();
        let directory = &path[..path.rfind('/').map_or(0, |at| at + 1)];
        match location {
            "" => return Err(refuse("it is empty")),
            it if it.starts_with("//") => format!("{scheme}:{it}"),
            it if it.starts_with('/') => format!("{scheme}://{authority}{it}"),
            it if it.starts_with('?') => format!("{scheme}://{authority}{path}{it}"),
            it => format!("{scheme}://{authority}{directory}{it}"),
        }
    };
    let uri: Uri = whole.parse().map_err(|_| refuse("it is not a URI"))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if base.scheme_str() == Some("http") => {}
        Some("http") => return Err(refuse("it leads from TLS to plain text")),
        Some(_) | None => return Err(refuse("it does not begin with `https://`")),
    }
    match uri.authority() {
        Some(it) if it.as_str().contains('@') => Err(refuse("it holds credentials")),
        Some(_) => Ok(uri),
        None => Err(refuse("it names no host")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, resolve};

    fn resolved(base: &str, location: &str) -> Result<String, String> {
        let base = base.parse().unwrap();
        resolve(&base, location).map(|uri| uri.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn each_form_of_location_is_made_whole() {
        let base = "https://r.io:5000/v2/a/blobs/uploads/?x=1";
        for (location, expected) in [
            ("/v2/u?_state=a%3D", "https://r.io:5000/v2/u?_state=a%3D"),
            ("https://s3.io/b?sig=1", "https://s3.io/b?sig=1"),
            ("//s3.io/b", "https://s3.io/b"),
            ("u1", "https://r.io:5000/v2/a/blobs/uploads/u1"),
            ("?y=2", "https://r.io:5000/v2/a/blobs/uploads/?y=2"),
            ("/v2/u?back=https://x", "https://r.io:5000/v2/u?back=https://x"),
        ] {
            assert_eq!(resolved(base, location).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn tls_is_never_left_and_plain_text_may_be() {
        assert!(resolved("https://r.io/", "http://r.io/").unwrap_err().contains("plain text"));
        assert!(resolved("http://r.io/", "http://s.io/").is_ok());
        assert!(resolved("http://r.io/", "https://r.io/").is_ok());
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        assert!(resolved("https://r.io/", "file:///etc/passwd").is_err());
        assert!(resolved("https://r.io/", "").is_err());
        assert!(resolved("https://r.io/", "/a b").is_err());
        let error = resolved("https://r.io/", "https://u:hunter2@s.io/").unwrap_err();
        assert!(error.contains("credentials") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn another_port_or_scheme_is_another_origin() {
        let origin = |text: &str| Origin::of(&text.parse().unwrap());
        assert_eq!(origin("https://R.io/a"), origin("https://r.io:443/b"));
        assert_ne!(origin("https://r.io/"), origin("https://r.io:444/"));
        assert_ne!(origin("http://r.io:443/"), origin("https://r.io/"));
        assert_ne!(origin("https://r.io/"), origin("https://s.r.io/"));
    }
}
