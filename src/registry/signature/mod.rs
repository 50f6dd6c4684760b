//! Signatures: whether one who holds a trusted key vouches for an artifact, told without a network.
//!
//! ```text
//! Place (registry, layout, tar) ──attached──▶ Attached ──verdict──▶ Vouched, or why not
//!                                                │  ▲
//!                                                ▼  │
//!                                              Kept (on this device)
//! ```
//! Two forms are read, both of cosign's making: a manifest under the tag `sha256-HEX.sig`, and a
//! Sigstore bundle that refers to the artifact. Keys are what counts; certificates and the
//! transparency log (Rekor) are not looked at, since a device that starts without a network can
//! ask neither.

mod attached;
mod bundle;
mod der;
mod kept;
mod key;
mod keyring;
mod made;
mod pem;
mod place;
mod simple;
mod verdict;

#[cfg(test)]
mod tests;

pub use attached::{Attached, SIGNATURES_MAX, attached, signature_tag};
pub use bundle::{BUNDLE_BYTES_MAX, envelope_bytes, statement, write_bundle};
pub use kept::Kept;
pub use key::{KeyError, PublicKey};
pub use keyring::{KEY_FILE_BYTES_MAX, KEYS_MAX, Keyring, KeyringError};
pub use made::{bundle_manifest, tag_manifest};
pub use pem::{Block, blocks, write_block};
pub use place::Place;
pub use simple::{PAYLOAD_BYTES_MAX, SIGNATURE, SIGNATURE_TYPE, write_payload};
pub use verdict::{Flaw, Form, Unvouched, Vouched, check};
