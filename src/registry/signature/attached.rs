//! What is attached to an artifact: its signatures as they travel, each a manifest with small blobs.

use super::bundle::BUNDLE_BYTES_MAX;
use super::place::Place;
use super::simple::PAYLOAD_BYTES_MAX;
use super::verdict::{Flaw, Form};
use crate::exit;
use crate::oci::{Descriptor, Digest, Tag, Version};
use crate::registry::{Error, Fetched};

/// The most signatures of one artifact that are looked at: each costs a request and a check.
pub const SIGNATURES_MAX: usize = 32;
/// The largest config of a signature's manifest, in bytes: nobody reads it, but it travels along.
const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// One manifest with signatures, and all its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// How it is found.
    pub form: Form,
    /// The manifest's descriptor, its artifact type included.
    pub descriptor: Descriptor,
    /// The manifest, to the byte.
    pub manifest: Vec<u8>,
    /// Its config.
    pub config: (Descriptor, Vec<u8>),
    /// Its layers: payloads, or one bundle.
    pub layers: Vec<(Descriptor, Vec<u8>)>,
}

impl Attached {
    /// Config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &(Descriptor, Vec<u8>)> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// The name under which it is found: a tag, or nothing where it refers to its subject.
    #[must_use]
    pub fn tag(&self, subject: &Digest) -> Option<Tag> {
        match self.form {
            Form::Tag => Some(signature_tag(subject)),
            Form::Bundle => None,
        }
    }
}

/// The tag under which cosign looks for the signatures of a manifest.
#[must_use]
pub fn signature_tag(digest: &Digest) -> Tag {
    #[expect(clippy::expect_used, reason = "75 letters, digits, dashes and dots are a tag")]
    format!("sha256-{}.sig", digest.hex()).parse().expect("a digest makes a tag")
}

/// Everything attached to a manifest, and what there was that could not be read.
///
/// # Errors
/// When the place itself cannot be read; what is wrong with one signature is a [`Flaw`].
pub fn attached(place: &dyn Place, digest: &Digest) -> Result<(Vec<Attached>, Vec<Flaw>), Error> {
    let (mut found, mut flaws) = (Vec::new(), Vec::new());
    let tag = Version::Tag(signature_tag(digest));
    for (form, version) in std::iter::once((Form::Tag, tag))
        .chain(place.bundles(digest)?.into_iter().map(|it| (Form::Bundle, Version::Digest(it))))
    {
        if found.len() > SIGNATURES_MAX {
            flaws.push(Flaw::TooMany { found: found.len() });
            break;
        }
        match place.manifest(&version).and_then(|fetched| read(place, form, fetched)) {
            Ok(Ok(one)) => found.push(one),
            Ok(Err(flaw)) => flaws.push(flaw),
            Err(error) if is_absent(&error) && form == Form::Tag => {}
            Err(error) if is_absent(&error) || is_content(&error) => {
                flaws.push(Flaw::Unreadable { form, why: exit::chain(&error) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, flaws))
}

/// The blobs of one manifest, if it has the shape of its form.
fn read(place: &dyn Place, form: Form, fetched: Fetched) -> Result<Result<Attached, Flaw>, Error> {
    let Fetched { manifest, bytes, digest } = fetched;
    let (layers_max, bytes_max) = match form {
        Form::Tag => (SIGNATURES_MAX, PAYLOAD_BYTES_MAX),
        Form::Bundle => (1, BUNDLE_BYTES_MAX),
    };
    if manifest.layers.len() > layers_max {
        return Ok(Err(Flaw::TooMany { found: manifest.layers.len() }));
    }
    let config = place.read_blob(&manifest.config, CONFIG_BYTES_MAX)?;
    let mut layers = Vec::new();
    for layer in manifest.layers {
        let bytes = place.read_blob(&layer, bytes_max)?;
        layers.push((layer, bytes));
    }
    let mut descriptor = Descriptor::new(&manifest.media_type, digest, bytes.len() as u64);
    descriptor.artifact_type = manifest.artifact_type;
    let config = (manifest.config, config);
    Ok(Ok(Attached { form, descriptor, manifest: bytes, config, layers }))
}

/// Whether there is no such thing, which for a signature is an answer.
fn is_absent(error: &Error) -> bool {
    matches!(error, Error::UnknownVersion { .. } | Error::UnknownRepository { .. })
}

/// Whether the thing is there and wrong, which another try does not change.
fn is_content(error: &Error) -> bool {
    matches!(
        error,
        Error::UnknownBlob { .. }
            | Error::DigestMismatch { .. }
            | Error::SizeMismatch { .. }
            | Error::TooLong { .. }
            | Error::TooLarge { .. }
            | Error::NotAManifest { .. }
    )
}
