//! A private key under a password, in the JSON form that cosign keeps it in.

use super::secretbox::{self, KEY_BYTES, NONCE_BYTES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// The length of a salt, in bytes.
const SALT_BYTES: usize = 32;
/// The costs of scrypt that are taken, as powers of two: cosign has written the first two, and
/// knows the third. Other ones are refused, since a file must not say how long we compute.
const COSTS: [u8; 3] = [15, 16, 17];
/// The cost that is written: 64 MB and a tenth of a second.
const COST: u8 = 16;
/// The other numbers of scrypt, which are always these.
const BLOCK_SIZE: u32 = 8;
const LANES: u32 = 1;

const SCRYPT: &str = "scrypt";
const SECRETBOX: &str = "nacl/secretbox";

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Costs,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Costs {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Why a key does not come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealedError {
    #[error("its content is not JSON of the form that cosign writes")]
    Form,
    #[error("it is sealed in a way that cosign does not use")]
    Way,
    #[error("the password does not open it")]
    Password,
    #[error("the system gives no random numbers")]
    Random,
}

/// Seals bytes under a password.
pub(super) fn seal(plain: &[u8], password: &[u8]) -> Result<Vec<u8>, SealedError> {
    let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
    let random = SystemRandom::new();
    random.fill(&mut salt).map_err(|_| SealedError::Random)?;
    random.fill(&mut nonce).map_err(|_| SealedError::Random)?;
    let key = key(password, &salt, COST)?;
    let sealed = Sealed {
        kdf: Kdf {
            name: SCRYPT.to_owned(),
            params: Costs { n: 1 << COST, r: BLOCK_SIZE, p: LANES },
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher { name: SECRETBOX.to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(secretbox::seal(plain, &nonce, &key)),
    };
    serde_json::to_vec(&sealed).map_err(|_| SealedError::Form)
}

/// Opens what [`seal`] or cosign sealed.
pub(super) fn open(sealed: &[u8], password: &[u8]) -> Result<Vec<u8>, SealedError> {
    let Sealed { kdf, cipher, ciphertext } =
        serde_json::from_slice(sealed).map_err(|_| SealedError::Form)?;
    if kdf.name != SCRYPT || cipher.name != SECRETBOX {
        return Err(SealedError::Way);
    }
    let Costs { n, r, p } = kdf.params;
    let cost = COSTS.into_iter().find(|cost| 1 << cost == n).ok_or(SealedError::Way)?;
    if (r, p) != (BLOCK_SIZE, LANES) {
        return Err(SealedError::Way);
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| SealedError::Form);
    let nonce = decoded(&cipher.nonce)?.try_into().map_err(|_| SealedError::Form)?;
    let key = key(password, &decoded(&kdf.salt)?, cost)?;
    secretbox::open(&decoded(&ciphertext)?, &nonce, &key).ok_or(SealedError::Password)
}

fn key(password: &[u8], salt: &[u8], cost: u8) -> Result<[u8; KEY_BYTES], SealedError> {
    let params = scrypt::Params::new(cost, BLOCK_SIZE, LANES).map_err(|_| SealedError::Way)?;
    let mut key = [0; KEY_BYTES];
    scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| SealedError::Way)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{SealedError, open, seal};

    #[test]
    fn what_is_sealed_opens_with_its_password_alone() {
        let sealed = seal(b"a key", b"hunter2").unwrap();
        assert_eq!(open(&sealed, b"hunter2").as_deref(), Ok(b"a key".as_slice()));
        assert_eq!(open(&sealed, b"hunter3"), Err(SealedError::Password));
        let text = String::from_utf8(sealed).unwrap();
        for (from, to, error) in [
            ("65536", "1073741824", SealedError::Way),
            ("scrypt", "argon2", SealedError::Way),
            ("nacl/secretbox", "none", SealedError::Way),
            ("\"r\":8", "\"r\":8000", SealedError::Way),
            ("\"nonce\":\"", "\"nonce\":\"AAAA", SealedError::Form),
            ("\"kdf\"", "\"kdg\"", SealedError::Form),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert_eq!(open(changed.as_bytes(), b"hunter2"), Err(error), "{from} to {to}");
        }
    }
}
