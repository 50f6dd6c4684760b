//! Percent-encoding, as paths, queries and forms have it (RFC 3986, section 2.1).

/// The bytes that an encoded text stands for; `None` where an escape is broken.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let value = digit()? << 4 | digit()?;
                u8::try_from(value).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

/// The same for a value in a form or a query, where a plus sign is a blank.
pub fn form_decoded(text: &str) -> Option<Vec<u8>> {
    decoded(&text.replace('+', " "))
}

/// The text with every byte encoded but letters, digits, `-._~`, and those of `kept`.
pub fn encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_are_not() {
        let cases: [(&str, Option<&[u8]>); 5] = [
            ("edge-cv", Some(b"edge-cv")),
            ("a%20b%2F+", Some(b"a b/+")),
            ("%C3%bc", Some("ü".as_bytes())),
            ("a%2", None),
            ("a%zz", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(decoded(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(encoded("a b/ü:", b"/"), "a%20b/%C3%BC%3A");
        assert_eq!(form_decoded("a+b%2B").as_deref(), Some(&b"a b+"[..]));
    }
}
