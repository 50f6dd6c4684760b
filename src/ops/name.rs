//! The names that people give to models and pipelines, which stand in URLs, image references and Kubernetes.

/// Characters of a name: a label of DNS has no more.
pub(in crate::ops) const NAME_CHARS_MAX: usize = 63;

/// Whether the text may be a name: a-z, 0-9 and -, with a letter or digit at both ends.
pub(in crate::ops) fn is_name(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= NAME_CHARS_MAX
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_of_dns() {
        for name in ["a", "fraud-2", "2b", &"a".repeat(NAME_CHARS_MAX)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a_b", "a.b", "ü", "a/b", &"a".repeat(NAME_CHARS_MAX + 1)]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
