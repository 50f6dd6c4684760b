//! PEM: bytes between two dashed lines, in base64 (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The characters of one line of base64, as the RFC wants it.
const LINE_CHARS: usize = 64;

/// What stands between one pair of dashed lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// What the dashed lines call it, as `PUBLIC KEY`.
    pub label: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Bytes may be a private key, so they are not shown.
impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({}, …)", self.label)
    }
}

/// All blocks of a text; what stands between them is a comment. `None` when one is broken.
#[must_use]
pub fn blocks(text: &str) -> Option<Vec<Block>> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = between(line, "-----BEGIN ") else { continue };
        let mut body = String::new();
        loop {
            let line = lines.next()?;
            match between(line, "-----END ") {
                Some(end) if end == label => break,
                Some(_) => return None,
                None => body.push_str(line),
            }
        }
        found.push(Block { label: label.to_owned(), bytes: STANDARD.decode(body).ok()? });
    }
    Some(found)
}

fn between<'a>(line: &'a str, begins: &str) -> Option<&'a str> {
    line.strip_prefix(begins)?.strip_suffix("-----")
}

/// One block as text, its last line break included.
#[must_use]
pub fn write_block(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(LINE_CHARS) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::{blocks, write_block};

    #[test]
    fn what_is_written_is_read_back_with_comments_between() {
        let bytes: Vec<u8> = (0..200).collect();
        let one = write_block("PUBLIC KEY", &bytes);
        assert!(one.lines().all(|line| line.len() <= 64));
        let found = blocks(&format!("# mine\r\n{one}\nold:\n{one}")).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].label.as_str(), &found[1].bytes), ("PUBLIC KEY", &bytes));
    }

    #[test]
    fn a_broken_block_is_no_block() {
        let text = write_block("PUBLIC KEY", b"0123456789");
        for broken in [
            text.replace("-----END PUBLIC", "-----END PRIVATE"),
            text.replace("-----END", "----END"),
            text.replace("MDEy", "MD!y"),
        ] {
            assert_eq!(blocks(&broken), None, "{broken}");
        }
        assert_eq!(blocks("no key here"), Some(Vec::new()));
    }
}
