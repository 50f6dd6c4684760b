//! A digest: the sha256 by which a blob is named, compared and trusted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::excerpt;

/// The length of a sha256 in hexadecimal digits.
const HEX_CHARS: usize = 64;

/// The sha256 of a blob, written `sha256:` and 64 lower-case hexadecimal digits.
///
/// The grammar is that of the [image specification]; of its algorithms only sha256 is taken,
/// since every registry knows it and one algorithm means one name for a blob.
///
/// ```
/// use potoroo::oci::Digest;
///
/// let digest = Digest::of(b"{}");
/// assert!(digest.to_string().starts_with("sha256:44136fa355b3678a"));
/// assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
/// ```
///
/// [image specification]: https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md#digests
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 lower-case hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(HEX_CHARS);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
        hex
    }

    /// The 32 bytes themselves.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        if algorithm != "sha256" {
            return Err(DigestError::Algorithm { found: excerpt(algorithm) });
        }
        let found = hex.chars().count();
        if found != HEX_CHARS {
            return Err(DigestError::Length { found });
        }
        if let Some(found) = hex.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(DigestError::NotHex { found });
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// The value of one lower-case hexadecimal digit.
fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        // The specification names a blob in one way only; two spellings would be two names.
        _ => Err(DigestError::UpperCase),
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon, so no algorithm.
    #[error("a digest is `sha256:` and 64 hexadecimal digits, and this one names no algorithm")]
    NoAlgorithm,
    /// An algorithm other than sha256.
    #[error("the digest algorithm is `{found}`, and only sha256 is supported")]
    Algorithm {
        /// The algorithm named, shortened.
        found: String,
    },
    /// Not 64 digits.
    #[error("a sha256 digest has 64 hexadecimal digits, and this one has {found}")]
    Length {
        /// The number of characters after the colon.
        found: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("a sha256 digest has hexadecimal digits only, and this one has {found:?}")]
    NotHex {
        /// The first such character.
        found: char,
    },
    /// Digits in upper case.
    #[error("a sha256 digest is written in lower case, and this one has upper-case digits")]
    UpperCase,
}

/// Makes a [`Digest`] of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen no byte yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, DigestError, Hasher};

    /// The digest of the empty JSON object, as the image specification prints it.
    const EMPTY_OBJECT: &str =
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn a_digest_reads_back_as_it_is_written() {
        let digest: Digest = EMPTY_OBJECT.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY_OBJECT);
        assert_eq!(digest, Digest::of(b"{}"));
    }

    #[test]
    fn bytes_in_pieces_give_the_digest_of_the_whole() {
        let mut hasher = Hasher::new();
        hasher.update(b"{");
        hasher.update(b"");
        hasher.update(b"}");
        assert_eq!(hasher.finish(), Digest::of(b"{}"));
    }

    #[test]
    fn each_wrong_digest_is_refused_with_its_own_reason() {
        let digits = &EMPTY_OBJECT[7..];
        let cases = [
            (digits.to_owned(), DigestError::NoAlgorithm),
            (format!("sha512:{digits}"), DigestError::Algorithm { found: "sha512".into() }),
            (format!("SHA256:{digits}"), DigestError::Algorithm { found: "SHA256".into() }),
            (format!("sha256:{}", &digits[1..]), DigestError::Length { found: 63 }),
            (format!("sha256:{digits}0"), DigestError::Length { found: 65 }),
            ("sha256:".to_owned(), DigestError::Length { found: 0 }),
            (format!("sha256:g{}", &digits[1..]), DigestError::NotHex { found: 'g' }),
            (format!("sha256:é{}", &digits[1..]), DigestError::NotHex { found: 'é' }),
            (format!("sha256:{}", digits.to_uppercase()), DigestError::UpperCase),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(text, expected)| text.parse::<Digest>().as_ref() != Err(expected))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
