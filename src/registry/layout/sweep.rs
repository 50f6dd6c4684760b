//! Takes away what nobody needs: blobs, tags of what is gone, and files that were never finished.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Index, Layout};
use crate::disk::{Step, UNFINISHED, failed};
use crate::oci::Digest;
use crate::registry::Error;

/// What a sweep took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// The bytes that they had.
    pub bytes: u64,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, more: Swept) {
        self.files += more.files;
        self.bytes += more.bytes;
    }
}

impl Layout {
    /// Everything that these manifests need, themselves included: what they name, and what is
    /// tagged by the digest of one of them, as signatures are.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`], [`Error::DigestMismatch`] or [`Error::Disk`] when a manifest cannot
    /// be read: what it needs is not known then.
    pub fn needed_by(&self, manifests: &[Digest]) -> Result<BTreeSet<Digest>, Error> {
        let mut needed = BTreeSet::new();
        let mut open = manifests.to_vec();
        for (tag, digest) in self.index()?.tagged() {
            if manifests.iter().any(|manifest| tag.contains(&manifest.hex())) {
                open.push(digest);
            }
        }
        while let Some(manifest) = open.pop() {
            if !needed.insert(manifest) {
                continue;
            }
            let named = Named::of(&self.whole_manifest(&manifest)?);
            needed.extend(named.blobs);
            // A manifest that an index names may be of a platform that was never fetched.
            open.extend(named.manifests.into_iter().filter(|it| self.blob_path(it).is_file()));
        }
        Ok(needed)
    }

    /// Every blob that is there, in no order.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn blobs_there(&self) -> Result<Vec<Digest>, Error> {
        let directory = self.blobs();
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed(Step::Read, &directory))? {
            let name = entry.map_err(failed(Step::Read, &directory))?.file_name();
            let digest = name.to_str().map(|name| format!("sha256:{name}").parse::<Digest>());
            found.extend(digest.and_then(Result::ok));
        }
        Ok(found)
    }

    /// Takes away every blob and tag that is not of `keep`, and every blob that is not whole.
    ///
    /// Nobody may be writing to the layout meanwhile.
    ///
    /// # Errors
    /// [`Error::Disk`] when the layout cannot be read or changed; what is kept is then untouched.
    pub fn sweep(&self, keep: &BTreeSet<Digest>) -> Result<Swept, Error> {
        self.change_index(|index| index.retain(keep))?;
        let mut swept = Swept::default();
        sweep_files(&self.root, &mut swept, &|name| name.ends_with(UNFINISHED))?;
        sweep_files(&self.blobs(), &mut swept, &|name| {
            // A file that is no blob is not ours.
            let digest = format!("sha256:{name}").parse::<Digest>();
            name.ends_with(UNFINISHED) || digest.is_ok_and(|digest| !keep.contains(&digest))
        })?;
        for digest in self.partial_blobs()? {
            swept += Swept { files: 1, bytes: self.partial_bytes(&digest)? };
            self.discard_partial(&digest)?;
        }
        Ok(swept)
    }
}

/// What a manifest names, by the keys that the image specification has for it.
#[derive(Debug, Default)]
struct Named {
    blobs: Vec<Digest>,
    manifests: Vec<Digest>,
}

impl Named {
    /// Something that is no manifest names nothing.
    fn of(bytes: &[u8]) -> Named {
        let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let digest = |it: &Value| it.get("digest")?.as_str()?.parse::<Digest>().ok();
        let list = |key: &str| -> Vec<Digest> {
            let list = manifest.get(key).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(digest).collect()
        };
        let mut blobs = list("layers");
        blobs.extend(manifest.get("config").and_then(digest));
        Named { blobs, manifests: list("manifests") }
    }
}

/// Removes the files of a directory whose name is litter; one that goes by itself is no error.
fn sweep_files(
    directory: &Path,
    swept: &mut Swept,
    is_litter: &dyn Fn(&str) -> bool,
) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(failed(Step::Read, directory))?;
    for entry in entries {
        let entry = entry.map_err(failed(Step::Read, directory))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !entry.file_name().to_str().is_some_and(is_litter) {
            continue;
        }
        let bytes = entry.metadata().map_or(0, |it| it.len());
        match fs::remove_file(entry.path()) {
            Ok(()) => {
                swept.files += 1;
                swept.bytes += bytes;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(Step::Remove, &entry.path())(error).into()),
        }
    }
    Ok(())
}

impl Index {
    /// Every entry that has a tag, with it.
    pub(super) fn tagged(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.entries().iter().filter_map(|entry| {
            let tag = entry.pointer("/annotations")?.get(crate::oci::REF_NAME)?.as_str()?;
            Some((tag, digest_of(entry)?))
        })
    }

    /// Drops every entry whose manifest is not of `keep`; tells whether there was one.
    pub(super) fn retain(&mut self, keep: &BTreeSet<Digest>) -> bool {
        let entries = self.entries_mut();
        let before = entries.len();
        entries.retain(|entry| digest_of(entry).is_some_and(|digest| keep.contains(&digest)));
        entries.len() < before
    }
}

fn digest_of(entry: &Value) -> Option<Digest> {
    entry.get("digest")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, Manifest, media_type};

    /// A layout with one artifact of one layer for each tag.
    fn layout(directory: &Path, tags: &[&str]) -> (Layout, Vec<Digest>) {
        let layout = Layout::create(directory).unwrap();
        let manifests = tags.iter().map(|tag| {
            let (config, layer) = (format!("config of {tag}"), format!("layer of {tag}"));
            let put = |bytes: &str| {
                let blob = Descriptor::of(media_type::OCTET_STREAM, bytes.as_bytes());
                layout.put_blob_from(&blob, &mut bytes.as_bytes()).unwrap();
                blob
            };
            let manifest = Manifest {
                media_type: media_type::MANIFEST.to_owned(),
                artifact_type: None,
                config: put(&config),
                layers: vec![put(&layer)],
                annotations: Default::default(),
            };
            layout.put_manifest(&tag.parse().unwrap(), &manifest.to_bytes()).unwrap().digest
        });
        let manifests = manifests.collect();
        (layout, manifests)
    }

    fn tags(layout: &Layout) -> Vec<String> {
        layout.index().unwrap().tagged().map(|(tag, _)| tag.to_owned()).collect()
    }

    #[test]
    fn a_sweep_leaves_what_is_needed_and_nothing_else_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, manifests) = layout(directory.path(), &["one", "two", "three"]);
        let partial = format!("partial/sha256-{}", "0".repeat(64));
        fs::create_dir(directory.path().join("partial")).unwrap();
        let litter = [format!("a{UNFINISHED}"), format!("blobs/sha256/b{UNFINISHED}"), partial];
        for name in litter.iter().map(String::as_str).chain(["theirs", "blobs/sha256/theirs"]) {
            fs::write(directory.path().join(name), "12345").unwrap();
        }
        let needed = layout.needed_by(&manifests[1..]).unwrap();
        assert_eq!(needed.len(), 6);
        let swept = layout.sweep(&needed).unwrap();
        assert_eq!(swept.files, 3 + 3);
        assert_eq!(tags(&layout), ["two", "three"]);
        layout.needed_by(&manifests[1..]).unwrap();
        layout.needed_by(&manifests[..1]).unwrap_err();
        assert!(directory.path().join("theirs").exists());
        assert!(directory.path().join("blobs/sha256/theirs").exists());
        assert_eq!(layout.sweep(&needed).unwrap(), Swept::default());
    }

    #[test]
    fn what_is_tagged_by_the_digest_of_a_manifest_is_needed_by_it() {
        let directory = tempfile::tempdir().unwrap();
        let (_, first) = layout(directory.path(), &["one"]);
        let signature = format!("sha256-{}.sig", first[0].hex());
        let (layout, second) = layout(directory.path(), &[&signature]);
        let needed = layout.needed_by(&first).unwrap();
        assert!(needed.contains(&second[0]));
        assert_eq!(needed.len(), 6);
    }

    #[test]
    fn a_manifest_that_is_damaged_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, manifests) = layout(directory.path(), &["one"]);
        fs::write(layout.blob_path(&manifests[0]), "{}").unwrap();
        let error = layout.needed_by(&manifests).unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    }
}
