//! NaCl's secretbox: bytes under a key, which nobody can read or change without it.

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};

/// The length of a key, in bytes.
pub(super) const KEY_BYTES: usize = 32;
/// The length of a nonce, in bytes.
pub(super) const NONCE_BYTES: usize = 24;
/// The length of the tag in front, in bytes.
const TAG_BYTES: usize = 16;

/// Tag and sealed bytes. A nonce must never be used twice with one key.
pub(super) fn seal(plain: &[u8], nonce: &[u8; NONCE_BYTES], key: &[u8; KEY_BYTES]) -> Vec<u8> {
    let (mut stream, tagger) = start(nonce, key);
    let mut sealed = plain.to_vec();
    stream.apply_keystream(&mut sealed);
    let tag = tagger.compute_unpadded(&sealed);
    [tag.as_slice(), &sealed].concat()
}

/// The plain bytes; `None` when the key is another one or the bytes were changed.
pub(super) fn open(
    sealed: &[u8],
    nonce: &[u8; NONCE_BYTES],
    key: &[u8; KEY_BYTES],
) -> Option<Vec<u8>> {
    let (tag, sealed) = sealed.split_first_chunk::<TAG_BYTES>()?;
    let (mut stream, tagger) = start(nonce, key);
    let expected = tagger.compute_unpadded(sealed);
    // All bytes are looked at, whichever differs first.
    let differs = tag.iter().zip(expected.as_slice()).fold(0, |all, (a, b)| all | (a ^ b));
    if differs != 0 {
        return None;
    }
    let mut plain = sealed.to_vec();
    stream.apply_keystream(&mut plain);
    Some(plain)
}

/// The key stream after its first 32 bytes, which are the key of the tag.
fn start(nonce: &[u8; NONCE_BYTES], key: &[u8; KEY_BYTES]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(&(*key).into(), &(*nonce).into());
    let mut first = [0; 32];
    stream.apply_keystream(&mut first);
    (stream, Poly1305::new(&first.into()))
}

#[cfg(test)]
mod tests {
    use super::{open, seal};

    #[test]
    fn what_is_sealed_opens_with_its_key_alone() {
        let (nonce, key) = ([7; 24], [9; 32]);
        let sealed = seal(b"a key", &nonce, &key);
        assert_eq!(sealed.len(), 16 + 5);
        assert_eq!(open(&sealed, &nonce, &key).as_deref(), Some(b"a key".as_slice()));
        assert_eq!(open(&sealed, &nonce, &[8; 32]), None);
        assert_eq!(open(&sealed[..10], &nonce, &key), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, &nonce, &key), None, "byte {at}");
        }
    }
}
