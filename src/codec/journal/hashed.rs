//! Hashes in the place of values that shall not leave a device, and yet be told apart.

use crate::codec::literal;
use crate::oci::Digest;
use crate::tensor::Data;

/// For each row the SHA-256, in hexadecimal digits, of the salt followed by the row's values: as a
/// log writes them in JSON, with commas between, but a single text as it is.
///
/// So `printf '%s%s' "$SALT" "$TEXT" | sha256sum` finds the rows of a text.
pub fn hashed(data: &Data<'_>, rows: usize, salt: &str) -> Vec<String> {
    let length = data.len() / rows.max(1);
    let row = |row: usize| {
        let mut text = salt.as_bytes().to_vec();
        match data {
            Data::String(values) if length == 1 => text.extend_from_slice(values[row].as_bytes()),
            Data::Bool(_)
            | Data::F16(_)
            | Data::F32(_)
            | Data::F64(_)
            | Data::I8(_)
            | Data::I16(_)
            | Data::I32(_)
            | Data::I64(_)
            | Data::String(_)
            | Data::U8(_)
            | Data::U16(_)
            | Data::U32(_)
            | Data::U64(_) => literal::values(&mut text, data, row * length..(row + 1) * length),
        }
        Digest::of(&text).hex()
    };
    (0..rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn a_hash_is_that_of_the_salt_and_the_values() {
        let texts = ["one".to_owned(), "two".to_owned()];
        let found = hashed(&Data::String(Cow::Borrowed(&texts)), 2, "salt");
        assert_eq!(found, [b"saltone", b"salttwo"].map(|text| Digest::of(text).hex()));
        let found = hashed(&Data::F32(Cow::Borrowed(&[1.0, 0.25, 2.0, 3.0])), 2, "salt");
        assert_eq!(found[0], Digest::of(b"salt1.0,0.25").hex());
    }
}
