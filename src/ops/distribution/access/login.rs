//! What a request shows of itself: a login, a token, or nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::server::Request;
use crate::registry::Secret;

/// Bytes of a user name: those of ours are short, an e-mail address has at most 254.
const USERNAME_BYTES_MAX: usize = 256;

/// A user name and a password.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret,
}

/// The header `Authorization`, read.
#[derive(Debug)]
pub(super) enum Shown<'r> {
    Nothing,
    Login(Login),
    Token(&'r str),
    /// Another scheme, or one of these that cannot be read.
    Other,
}

impl<'r> Shown<'r> {
    pub(super) fn of(request: &'r Request<'_, '_>) -> Shown<'r> {
        match request.header_bytes("authorization") {
            None => Shown::Nothing,
            Some(value) => std::str::from_utf8(value).map_or(Shown::Other, Shown::parse),
        }
    }

    fn parse(value: &'r str) -> Shown<'r> {
        let Some((scheme, rest)) = value.split_once(' ') else { return Shown::Other };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Shown::Token(rest);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Shown::Other;
        }
        basic(rest).map_or(Shown::Other, Shown::Login)
    }
}

/// RFC 7617, in UTF-8; the first colon ends the user name.
fn basic(encoded: &str) -> Option<Login> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    let is_name = username.len() <= USERNAME_BYTES_MAX && !username.chars().any(char::is_control);
    let password = Secret::new(password.to_owned());
    is_name.then(|| Login { username: username.to_owned(), password })
}

#[cfg(test)]
mod tests {
    use super::Shown;

    #[test]
    fn logins_and_tokens_are_read_and_nothing_else_is() {
        // `edge:a:b`, and a name of 257 bytes.
        let long = {
            use base64::Engine as _;
            let text = format!("{}:p", "a".repeat(257));
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
        };
        let login = |shown: Shown<'_>| match shown {
            Shown::Login(login) => Some((login.username, login.password.reveal().to_owned())),
            Shown::Nothing | Shown::Token(_) | Shown::Other => None,
        };
        let expected = Some(("edge".to_owned(), "a:b".to_owned()));
        assert_eq!(login(Shown::parse("BASIC  ZWRnZTphOmI=")), expected);
        assert!(matches!(Shown::parse("bearer abc "), Shown::Token("abc")));
        for value in
            ["", "Basic", "Basic ", "Basic ZWRnZQ==", "Basic %", "Bearer ", "Digest a", &long]
        {
            assert!(matches!(Shown::parse(value), Shown::Other), "{value}");
        }
    }
}
