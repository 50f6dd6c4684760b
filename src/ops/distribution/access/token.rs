//! Tokens: what a login may pull, written down for five minutes and signed.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::disk::{self, Step, failed};
use crate::oci::Repository;

/// How long a token counts: a pull of some minutes needs one more, and a login that was withdrawn
/// pulls no longer than that.
pub(super) const LIFE: Duration = Duration::from_secs(300);

/// Bytes of a token that is looked at: one for [`super::SCOPES_MAX`] of the longest names has 3 KB.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// Bytes of the key: as many as the hash of the signature has.
const KEY_BYTES: usize = 32;

/// The key that signs tokens. Its `Debug` names the algorithm alone.
#[derive(Debug, Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// The key in this file, which its owner alone can read; made anew where there is none, or
    /// only a part of one.
    ///
    /// A new key ends all tokens, and their clients ask for others.
    ///
    /// # Errors
    /// The file cannot be read or written, or the system has no random numbers.
    pub fn open(path: &Path) -> Result<TokenKey, disk::Error> {
        // Whoever opens it at the same time waits, and then finds the key.
        let mut file = disk::hold(path)?;
        let only_ours = std::fs::Permissions::from_mode(0o600);
        file.set_permissions(only_ours).map_err(failed(Step::Create, path))?;
        let mut bytes = Vec::new();
        let most = KEY_BYTES as u64 + 1;
        (&file).take(most).read_to_end(&mut bytes).map_err(failed(Step::Read, path))?;
        if bytes.len() != KEY_BYTES {
            bytes = vec![0; KEY_BYTES];
            let no_numbers = |_| std::io::Error::other("the system gives no random numbers");
            let filled = SystemRandom::new().fill(&mut bytes).map_err(no_numbers);
            filled.map_err(failed(Step::Create, path))?;
            let written = file
                .set_len(0)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .and_then(|_| file.write_all(&bytes))
                .and_then(|()| file.sync_all());
            written.map_err(failed(Step::Write, path))?;
            disk::sync_directory_of(path)?;
        }
        Ok(TokenKey(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

/// Issues tokens and knows them again, by the same clock.
pub(super) struct Tokens {
    key: TokenKey,
    clock: Box<dyn Clock>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// What a token says. It does not say whose it is: nothing is decided by that.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// Seconds since the epoch.
    until: u64,
    #[serde(flatten)]
    grant: Grant,
}

/// What a login may do, by the names of repositories.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// From these it may pull.
    pub(super) pull: Vec<String>,
    /// These it asked for, and may not pull from.
    pub(super) denied: Vec<String>,
}

impl Grant {
    /// Whether it may be pulled from; `None` when it was not asked for.
    pub(super) fn about(&self, repository: &Repository) -> Option<bool> {
        let is_in = |names: &[String]| names.iter().any(|name| name == repository.as_str());
        match is_in(&self.pull) {
            true => Some(true),
            false => is_in(&self.denied).then_some(false),
        }
    }
}

impl Tokens {
    pub(super) fn new(key: TokenKey, clock: Box<dyn Clock>) -> Tokens {
        Tokens { key, clock }
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.since_epoch()
    }

    /// A token that says this from now on.
    pub(super) fn issue(&self, grant: Grant) -> String {
        let claims = Claims { until: (self.now() + LIFE).as_secs(), grant };
        #[expect(clippy::expect_used, reason = "numbers and texts always have a JSON form")]
        let claims = serde_json::to_vec(&claims).expect("claims are JSON");
        let signature = hmac::sign(&self.key.0, &claims);
        let [claims, signature] =
            [&claims, signature.as_ref()].map(|it| URL_SAFE_NO_PAD.encode(it));
        format!("{claims}.{signature}")
    }

    /// What a token allows that is ours and has not ended; the signature is compared in constant
    /// time.
    ///
    /// One that ends later than any issued now would is refused, too: then the clock was set back,
    /// and the token would count for longer than it was meant to.
    pub(super) fn verify(&self, token: &str) -> Option<Grant> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (claims, signature) = token.split_once('.')?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key.0, &claims, &signature).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let (now, latest) = (self.now().as_secs(), (self.now() + LIFE).as_secs());
        (now < claims.until && claims.until <= latest).then_some(claims.grant)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::{Grant, LIFE, TokenKey, Tokens};
    use crate::clock::Clock;

    struct Hands(Arc<AtomicU64>);

    impl Clock for Hands {
        fn since_epoch(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    /// Tokens of a new key, and the seconds of their clock.
    fn tokens() -> (Tokens, Arc<AtomicU64>) {
        let directory = tempfile::tempdir().unwrap();
        let key = TokenKey::open(&directory.path().join("key")).unwrap();
        let seconds = Arc::new(AtomicU64::new(1_000_000));
        (Tokens::new(key, Box::new(Hands(Arc::clone(&seconds)))), seconds)
    }

    fn grant() -> Grant {
        let [pull, denied] = ["pipelines/edge", "charts/edge"].map(|it| vec![it.to_owned()]);
        Grant { pull, denied }
    }

    #[test]
    fn a_token_is_for_its_repositories_and_its_time() {
        let (tokens, seconds) = tokens();
        let [edge, chart, other] =
            ["pipelines/edge", "charts/edge", "pipelines"].map(|it| it.parse().unwrap());
        let token = tokens.issue(grant());
        let grant = tokens.verify(&token).unwrap();
        assert_eq!(
            [edge, chart, other].map(|it| grant.about(&it)),
            [Some(true), Some(false), None]
        );
        for (ahead, is_sound) in [(0, true), (LIFE.as_secs() - 1, true), (LIFE.as_secs(), false)] {
            seconds.store(1_000_000 + ahead, Ordering::SeqCst);
            assert_eq!(tokens.verify(&token).is_some(), is_sound, "after {ahead} s");
        }
        seconds.store(999_999, Ordering::SeqCst);
        assert_eq!(tokens.verify(&token), None, "the clock was set back");
    }

    #[test]
    fn a_token_of_which_anything_is_changed_is_none() {
        let (tokens, _) = tokens();
        let token = tokens.issue(grant());
        let mut found = Vec::new();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            found.extend(tokens.verify(&String::from_utf8(bytes).unwrap()).map(|_| at));
            found.extend(tokens.verify(&token[..at]).map(|_| at));
        }
        assert_eq!(found, [0; 0]);
        let (others, _) = super::tests::tokens();
        assert_eq!(others.verify(&token), None, "by another key");
        assert_eq!(tokens.verify(&format!("{token}{}", "A".repeat(5_000))), None);
    }

    #[test]
    fn the_key_stays_the_same_is_its_owners_and_a_half_one_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        TokenKey::open(&path).unwrap();
        let first = fs::read(&path).unwrap();
        TokenKey::open(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, &first[..7]).unwrap();
        TokenKey::open(&path).unwrap();
        let second = fs::read(&path).unwrap();
        assert!(second.len() == first.len() && second != first);
    }
}
