//! Signatures in a layout: found by what they refer to, listed beside the pipelines.

use super::Layout;
use crate::disk;
use crate::oci::{Digest, Tag, Version};
use crate::registry::signature::Attached;
use crate::registry::{Error, INDEX_BYTES_MAX, LayoutFault};

use super::index::Index;

impl Layout {
    /// The manifests in the index, or in an index tagged `sha256-HEX`, that are Sigstore bundles
    /// about `subject`.
    pub(in crate::registry) fn referrers(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let index = self.index()?;
        let mut found = index.bundles();
        if let Some(digest) = index.find(&subject_tag(subject)) {
            let bytes = disk::read_whole(&self.blob_path(&digest), INDEX_BYTES_MAX)?;
            let listed = bytes.as_deref().and_then(Index::parse);
            found.extend(listed.iter().flat_map(Index::bundles));
        }
        found.retain(|digest| {
            disk::read_whole(&self.blob_path(digest), INDEX_BYTES_MAX)
                .is_ok_and(|bytes| bytes.is_some_and(|bytes| is_about(&bytes, subject)))
        });
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Stores a signature of `subject` and lists it, without a tag where it refers to its subject.
    ///
    /// # Errors
    /// Those of [`put_manifest`](Self::put_manifest).
    pub fn put_attached(&self, subject: &Digest, attached: &Attached) -> Result<(), Error> {
        for (blob, bytes) in attached.blobs() {
            self.put_blob_from(blob, &mut bytes.as_slice())?;
        }
        if let Some(tag) = attached.tag(subject) {
            self.put_manifest(&tag, &attached.manifest)?;
            return Ok(());
        }
        self.put_blob_from(&attached.descriptor, &mut attached.manifest.as_slice())?;
        self.change_index(|index| index.add(&attached.descriptor))
    }

    /// The one artifact that the layout has beside signatures.
    ///
    /// # Errors
    /// [`Error::NotALayout`] when there is none, or when there are several.
    pub fn only(&self) -> Result<Version, Error> {
        self.index()?.only().map_err(|fault: LayoutFault| self.fault(fault))
    }
}

/// The tag under which what refers to a manifest is listed where a registry cannot be asked for it.
pub(in crate::registry) fn subject_tag(subject: &Digest) -> Tag {
    #[expect(clippy::expect_used, reason = "71 letters, digits and dashes are a tag")]
    format!("sha256-{}", subject.hex()).parse().expect("a digest makes a tag")
}

/// Whether a manifest says that it is about that one.
pub(in crate::registry) fn is_about(manifest: &[u8], subject: &Digest) -> bool {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest.pointer("/subject/digest").and_then(|it| it.as_str()) == Some(&subject.to_string())
}
