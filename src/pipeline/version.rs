//! Version identifiers that follow from content, so that publishing the same again changes nothing.

use crate::oci::Digest;

/// The version that stands for this content: a UUID of version 8 (RFC 9562, section 5.8) whose
/// other 122 bits are the digest's first.
pub fn derived_version(content: &Digest) -> String {
    let hex = content.hex();
    // Position 12 carries the version, position 16 the two bits of the variant.
    let variant = match hex.as_bytes()[16] {
        b'0' | b'4' | b'8' | b'c' => '8',
        b'1' | b'5' | b'9' | b'd' => '9',
        b'2' | b'6' | b'a' | b'e' => 'a',
        _ => 'b',
    };
    format!(
        "{}-{}-8{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_uuid_and_follows_the_content() {
        let version = derived_version(&Digest::of(b"potoroo"));
        assert_eq!(version, derived_version(&Digest::of(b"potoroo")));
        assert_ne!(version, derived_version(&Digest::of(b"kangaroo")));
        let lengths: Vec<usize> = version.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(version.as_bytes()[14], b'8');
        assert!(matches!(version.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
