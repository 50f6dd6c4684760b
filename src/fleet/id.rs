//! Identifiers of sessions, processes, boots and journals: 128 bits, written as a UUID.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Characters of a UUID.
const CHARS: usize = 36;

/// Where the dashes of a UUID are.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// 128 bits that name a session, a process, a boot or a journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

/// A text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID, 32 hexadecimal digits with dashes as in 8-4-4-4-12")]
pub struct IdError;

impl Id {
    /// The identifier of so many random bits: a UUID of version 4 (RFC 9562, section 5.4).
    #[must_use]
    pub const fn of_random(mut bits: [u8; 16]) -> Id {
        bits[6] = (bits[6] & 0x0f) | 0x40;
        bits[8] = (bits[8] & 0x3f) | 0x80;
        Id(bits)
    }

    /// The bits themselves.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Id, IdError> {
        let text = text.as_bytes();
        if text.len() != CHARS || DASHES.iter().any(|at| text[*at] != b'-') {
            return Err(IdError);
        }
        let mut bits = [0; 16];
        let mut digits = text.iter().filter(|byte| **byte != b'-');
        for byte in &mut bits {
            for _ in 0..2 {
                let digit = digits.next().and_then(|digit| char::from(*digit).to_digit(16));
                let digit = digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(IdError)?;
                *byte = *byte << 4 | digit;
            }
        }
        match digits.next() {
            None => Ok(Id(bits)),
            Some(_) => Err(IdError),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_read() {
        let text = "0190a5b2-c3d4-4e5f-8a7b-00112233aabb";
        assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Id>().unwrap().to_string(), text);
        for wrong in
            ["", "0190a5b2", "0190a5b2-c3d4-4e5f-8a7b-00112233aab", &text.replace('a', "g")]
        {
            assert_eq!(wrong.parse::<Id>(), Err(IdError), "{wrong}");
        }
        for at in [0, 9, 35] {
            let mut wrong = text.to_owned();
            wrong.replace_range(at..=at, "-");
            assert_eq!(wrong.parse::<Id>(), Err(IdError), "{wrong}");
        }
    }

    #[test]
    fn random_bits_make_a_uuid_of_version_4() {
        for bits in [[0; 16], [0xff; 16]] {
            let text = Id::of_random(bits).to_string();
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
        }
    }
}
