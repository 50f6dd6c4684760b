//! Writing a layout as one tar file: the same artifact gives the same bytes, wherever it came from.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use super::header::{self, BLOCK_BYTES, Kind};
use super::{BLOBS, INDEX, MARKER, blob_name};
use crate::disk::{self, DurableFile, Step, failed};
use crate::oci::{Descriptor, Tag};
use crate::registry::layout::Index;
use crate::registry::signature::Attached;
use crate::registry::verify::Verified;
use crate::registry::{Error, Fetched};

/// What the marker says (image specification, "oci-layout file").
const MARKER_JSON: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// What goes into a tar file.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The artifact.
    pub artifact: &'a Fetched,
    /// What it is called in there; nothing where its digest has to do.
    pub tag: Option<&'a Tag>,
    /// Its signatures.
    pub signatures: &'a [Attached],
}

/// Writes the tar file, whole or not at all; `fetch` gives the bytes of a blob and the proof that
/// they are right.
///
/// # Errors
/// Those of `fetch`, and [`Error::Disk`].
///
/// # Panics
/// When `fetch` brings the proof of another blob.
pub fn write_archive(
    path: &Path,
    contents: &Contents<'_>,
    fetch: &mut dyn FnMut(&Descriptor, &mut dyn Write) -> Result<Verified, Error>,
) -> Result<(), Error> {
    let Fetched { manifest, digest, bytes } = contents.artifact;
    let file = DurableFile::create(disk::directory_of(path))?;
    let mut tar = Tar { at: file.path().to_owned(), file: io::BufWriter::new(file) };
    tar.file(MARKER, MARKER_JSON)?;
    tar.file(INDEX, &index(contents).to_bytes())?;
    tar.entry("blobs/", 0, Kind::Directory)?;
    tar.entry(BLOBS, 0, Kind::Directory)?;
    let mut written = BTreeSet::from([*digest]);
    tar.file(&blob_name(digest), bytes)?;
    // What is small comes first, so that a tool that reads from the front need not go far.
    for signature in contents.signatures {
        let Attached { descriptor, manifest, .. } = signature;
        let blobs = signature.blobs().map(|(blob, bytes)| (blob, bytes));
        for (blob, bytes) in blobs.chain([(descriptor, manifest)]) {
            if written.insert(blob.digest) {
                tar.file(&blob_name(&blob.digest), bytes)?;
            }
        }
    }
    for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
        if !written.insert(blob.digest) {
            continue;
        }
        tar.entry(&blob_name(&blob.digest), blob.size, Kind::File)?;
        let proof = fetch(blob, &mut tar.file)?;
        assert_eq!((proof.digest(), proof.size()), (&blob.digest, blob.size), "the right blob");
        tar.pad(blob.size)?;
    }
    tar.end(path)
}

fn index(contents: &Contents<'_>) -> Index {
    let Fetched { manifest, digest, bytes } = contents.artifact;
    let mut entry = Descriptor::new(&manifest.media_type, *digest, bytes.len() as u64);
    entry.artifact_type.clone_from(&manifest.artifact_type);
    let mut index = Index::empty();
    match contents.tag {
        Some(tag) => index.tag(tag, &entry),
        None => index.add(&entry),
    };
    for signature in contents.signatures {
        match signature.tag(digest) {
            Some(tag) => index.tag(&tag, &signature.descriptor),
            None => index.add(&signature.descriptor),
        };
    }
    index
}

/// The tar file while it is written.
struct Tar {
    file: io::BufWriter<DurableFile>,
    at: std::path::PathBuf,
}

impl Tar {
    fn entry(&mut self, name: &str, bytes: u64, kind: Kind) -> Result<(), Error> {
        self.put(&header::write(name, bytes, kind))
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.entry(name, bytes.len() as u64, Kind::File)?;
        self.put(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Fills the last block of an entry.
    fn pad(&mut self, bytes: u64) -> Result<(), Error> {
        let block = BLOCK_BYTES as u64;
        let missing = bytes.next_multiple_of(block) - bytes;
        self.put(&[0; BLOCK_BYTES][..missing as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.file.write_all(bytes).map_err(failed(Step::Write, &self.at))?)
    }

    /// Two empty blocks are the end.
    fn end(mut self, path: &Path) -> Result<(), Error> {
        self.put(&[0; 2 * BLOCK_BYTES])?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        Ok(file.map_err(failed(Step::Write, &self.at))?.persist(path)?)
    }
}
