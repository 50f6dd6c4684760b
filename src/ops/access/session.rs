//! Sessions of browsers: a cookie that scripts cannot read, and what a page of ours has beside it.

use super::issue::issue;
use super::secret::hashed;
use super::{NoRandomness, TokenKind};
use crate::ops::store::{StoreError, TokenHolder, Tx};
use crate::registry::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The cookie's name without TLS, which a browser takes on loopback.
const PLAIN: &str = "potoroo_session";

/// The cookie's name under TLS: by its beginning a browser takes it from this host alone, with
/// `Secure` and for every path (RFC 6265bis, section 4.1.3.2).
const HOST: &str = "__Host-potoroo_session";

/// How long a session lives without a request: a long meeting, and no night.
const IDLE_MS: i64 = 3 * 3600 * 1000;

/// How long a session lives at most: each day begins with the password.
const LIFE_MS: i64 = 16 * 3600 * 1000;

const _: () = assert!(IDLE_MS < LIFE_MS, "else it never counts");

/// The session's cookie, as it is made and as it comes back.
#[derive(Debug)]
pub(in crate::ops) struct Cookie {
    name: &'static str,
    secret: Secret,
}

impl Cookie {
    /// The session's cookie among those of a `Cookie` header (RFC 6265, section 5.4).
    pub(in crate::ops) fn read(header: &str) -> Option<Cookie> {
        let of = |name: &'static str| {
            let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
            let (_, value) = pairs.find(|(known, _)| *known == name)?;
            Some(Cookie { name, secret: Secret::new(value.to_owned()) })
        };
        of(HOST).or_else(|| of(PLAIN))
    }

    /// What stands for it in the records. The name is part of it: a cookie that a neighbour of our
    /// host has set under the plain name is no session of one that was made under TLS.
    pub(super) fn hash(&self) -> Vec<u8> {
        hashed(&format!("{}={}", self.name, self.secret.reveal()))
    }

    /// What every change that comes by this cookie must have beside it, as `csrf_token` in a form or
    /// in a header: bound to the session, and it does not tell of it.
    pub(super) fn csrf(&self) -> Secret {
        let hash = hashed(&format!("csrf of {}", self.secret.reveal()));
        Secret::new(URL_SAFE_NO_PAD.encode(hash))
    }

    /// The `Set-Cookie` that begins the session.
    pub(in crate::ops) fn set(&self) -> String {
        let Cookie { name, secret } = self;
        format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{}", secret.reveal(), self.secure())
    }

    /// The `Set-Cookie` that ends it.
    pub(in crate::ops) fn unset(is_secure: bool) -> String {
        let cookie = Cookie { name: name(is_secure), secret: Secret::new(String::new()) };
        format!("{}; Max-Age=0", cookie.set())
    }

    fn secure(&self) -> &'static str {
        if self.name == HOST { "; Secure" } else { "" }
    }
}

/// Begins a session of a user.
pub(in crate::ops) fn open_session<E>(
    tx: &Tx<'_>,
    user: &str,
    is_secure: bool,
    now_ms: i64,
) -> Result<Cookie, E>
where
    E: From<StoreError> + From<NoRandomness>,
{
    let secret = super::fresh_secret(TokenKind::Session.prefix())?;
    let cookie = Cookie { name: name(is_secure), secret };
    tx.sweep_tokens(now_ms)?;
    issue(tx, TokenKind::Session, &cookie.hash(), user, ("", None), now_ms, LIFE_MS)?;
    Ok(cookie)
}

/// Whether nothing was asked in a session for too long.
pub(super) fn is_idle(holder: &TokenHolder, now_ms: i64) -> bool {
    now_ms - holder.used_ms.unwrap_or(holder.created_ms) > IDLE_MS
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { HOST } else { PLAIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_the_one_of_the_host_goes_before() {
        let read = |header: &str| Cookie::read(header).map(|cookie| (cookie.name, cookie.secret));
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(read("a=b; potoroo_session=c; d"), Some((PLAIN, secret("c"))));
        let both = "potoroo_session=c; __Host-potoroo_session=d";
        assert_eq!(read(both), Some((HOST, secret("d"))));
        assert_eq!(read("xpotoroo_session=c; potoroo_sessio=d"), None);
    }

    #[test]
    fn a_session_of_tls_does_not_hold_under_the_plain_name() {
        let [one, other] = [HOST, PLAIN].map(|name| Cookie::read(&format!("{name}=x")).unwrap());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_cookie_is_out_of_reach_of_scripts_and_under_tls_secure() {
        let set = |name: &str| Cookie::read(&format!("{name}=x")).unwrap().set();
        assert_eq!(set(PLAIN), "potoroo_session=x; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(set(HOST), "__Host-potoroo_session=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(Cookie::unset(true).ends_with("; Secure; Max-Age=0"));
    }
}
