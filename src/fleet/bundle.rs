//! The edge bundle: base64 of `export KEY=VALUE` lines, made by the ops center for one edge.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use std::collections::BTreeMap;
use std::fmt;

/// A bundle's text. The original's are under 600 bytes.
const BUNDLE_BYTES_MAX: usize = 16 << 10;

/// The keys and values of a bundle. Values are shown to nobody: one of them is a join token.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle(BTreeMap<String, String>);

/// Why a text is no bundle. Nothing of the text is repeated: it may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Longer than any bundle.
    #[error("the bundle has {found} bytes, more than {BUNDLE_BYTES_MAX}: copy it again")]
    TooLong {
        /// Bytes of the text.
        found: usize,
    },
    /// Not base64, or not UTF-8 inside.
    #[error("the bundle is not base64 of text: copy it again, whole and in one line")]
    NotBase64,
    /// A line that is no assignment.
    #[error("line {line} of the decoded bundle is not `export KEY=VALUE`: copy the bundle again")]
    NotAnAssignment {
        /// The first line is 1.
        line: usize,
    },
    /// A value that cannot stand in a line.
    #[error(
        "the value of {key} cannot stand in a bundle: it takes letters, digits and the signs . _ - : / @ [ ]"
    )]
    Value {
        /// Its key.
        key: &'static str,
    },
}

impl Bundle {
    /// Reads a bundle: both generations of keys, in any order, padded or not.
    ///
    /// # Errors
    /// When the text is not base64 of `export KEY=VALUE` lines.
    pub fn parse(text: &str) -> Result<Bundle, BundleError> {
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLong { found: text.len() });
        }
        let packed: String = text.split_ascii_whitespace().collect();
        let engine = if packed.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
        let decoded = engine.decode(packed).map_err(|_| BundleError::NotBase64)?;
        let decoded = String::from_utf8(decoded).map_err(|_| BundleError::NotBase64)?;
        let mut entries = BTreeMap::new();
        for (index, line) in decoded.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let assignment = line.strip_prefix("export ").and_then(|rest| rest.split_once('='));
            let Some((key, value)) = assignment.filter(|(key, _)| is_key(key)) else {
                return Err(BundleError::NotAnAssignment { line: index + 1 });
            };
            entries.insert(key.to_owned(), value.to_owned());
        }
        Ok(Bundle(entries))
    }

    /// A bundle of these keys and values.
    ///
    /// # Errors
    /// [`BundleError::Value`] when a shell would read a value as something else: the original's
    /// container runs the lines.
    pub fn new(entries: &[(&'static str, &str)]) -> Result<Bundle, BundleError> {
        for &(key, value) in entries {
            if !is_key(key) || value.is_empty() || !value.bytes().all(is_plain) {
                return Err(BundleError::Value { key });
            }
        }
        let owned = entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Bundle(owned.collect()))
    }

    /// The bundle as an edge is given it: base64 of its lines by key, without a line feed at the end.
    pub fn encoded(&self) -> String {
        let lines: Vec<String> =
            self.0.iter().map(|(key, value)| format!("export {key}={value}")).collect();
        STANDARD.encode(lines.join("\n"))
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What no shell gives a meaning to; enough for names, hosts and references.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-:/@[]".contains(&byte)
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.0.keys().collect();
        write!(f, "Bundle({keys:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bundle that the contract prints, which has no padding at its end.
    const SEED: &str = "ZXhwb3J0IEJVTkRMRV9WRVJTSU9OPTEKZXhwb3J0IEVER0VfTkFNRT14Z2ItY2NmcmF1ZC1lZGdlLXRlc3QKZXhwb3J0IEpPSU5fVE9LRU49MzE0OGFkYTUtMjg1YS00ZmNhLWIzYjgtYjUwYTQ4ZDc1MTFiCmV4cG9ydCBPUFNDRU5URVJfSE9TVD1kb2MtdGVzdC5lZGdlLndhbGxhcm9vY29tbXVuaXR5Lm5pbmphCmV4cG9ydCBQSVBFTElORV9VUkw9Z2hjci5pby93YWxsYXJvb2xhYnMvZG9jLXNhbXBsZXMvcGlwZWxpbmVzL2VkZ2UtcGlwZWxpbmU6ZjM4OGMxMDktOGQ1Ny00ZWQyLTk4MDYtYWExM2Y4NTQ1NzZiCmV4cG9ydCBXT1JLU1BBQ0VfSUQ9NQ==";

    #[test]
    fn the_contracts_bundle_is_read() {
        let bundle = Bundle::parse(SEED).unwrap();
        let expected = [
            ("BUNDLE_VERSION", "1"),
            ("EDGE_NAME", "xgb-ccfraud-edge-test"),
            ("OPSCENTER_HOST", "doc-test.edge.wallaroocommunity.ninja"),
            (
                "PIPELINE_URL",
                "ghcr.io/wallaroolabs/doc-samples/pipelines/edge-pipeline:f388c109-8d57-4ed2-9806-aa13f854576b",
            ),
            ("WORKSPACE_ID", "5"),
        ];
        for (key, value) in expected {
            assert_eq!(bundle.value(key), Some(value));
        }
    }

    #[test]
    fn the_contracts_bundle_is_written_to_the_byte() {
        let pipeline = "ghcr.io/wallaroolabs/doc-samples/pipelines/edge-pipeline:f388c109-8d57-4ed2-9806-aa13f854576b";
        let bundle = Bundle::new(&[
            ("WORKSPACE_ID", "5"),
            ("BUNDLE_VERSION", "1"),
            ("EDGE_NAME", "xgb-ccfraud-edge-test"),
            ("JOIN_TOKEN", "3148ada5-285a-4fca-b3b8-b50a48d7511b"),
            ("OPSCENTER_HOST", "doc-test.edge.wallaroocommunity.ninja"),
            ("PIPELINE_URL", pipeline),
        ]);
        assert_eq!(bundle.unwrap().encoded(), SEED);
    }

    #[test]
    fn a_value_that_a_shell_would_read_otherwise_is_refused() {
        for value in ["", "a b", "a\nexport B=1", "$(reboot)", "`a`", "a;b", "a'b", "a\"b", "ä"] {
            let error = Bundle::new(&[("EDGE_NAME", value)]).unwrap_err();
            assert_eq!(error, BundleError::Value { key: "EDGE_NAME" }, "{value:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_bundle_is_refused_without_being_repeated() {
        let secret = STANDARD.encode("export A=1\nJOIN_TOKEN hunter2");
        let cases = [
            ("not base64!", BundleError::NotBase64),
            (secret.as_str(), BundleError::NotAnAssignment { line: 2 }),
        ];
        for (text, expected) in cases {
            let error = Bundle::parse(text).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_bundle_does_not_show_its_values() {
        let bundle = Bundle::parse(SEED).unwrap();
        assert!(!format!("{bundle:?}").contains("3148ada5"));
    }
}
