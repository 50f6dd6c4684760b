//! The index of a layout: which manifests it has, and what they are called.

use serde_json::{Map, Value, json};

use crate::oci::{Descriptor, Digest, REF_NAME, Tag, Version, media_type};
use crate::registry::LayoutFault;

/// The largest `index.json` that is read or written, in bytes: 4 MiB, ten thousand tags.
pub const INDEX_BYTES_MAX: u64 = 4 << 20;

/// The most Sigstore bundles of one index that are looked at: one artifact has a few, and each
/// costs a request or a file.
const BUNDLES_MAX: usize = 64;

/// An `index.json`, kept as it came but for the entries that are changed.
///
/// It is held as free JSON since other tools keep things in it that are not ours to lose.
#[derive(Debug)]
pub(in crate::registry) struct Index(Map<String, Value>);

impl Index {
    pub(in crate::registry) fn empty() -> Self {
        let mut index = Map::new();
        index.insert("schemaVersion".to_owned(), json!(2));
        index.insert("mediaType".to_owned(), json!(media_type::INDEX));
        index.insert("manifests".to_owned(), json!([]));
        Self(index)
    }

    /// The index in these bytes; `None` when it is none.
    pub(in crate::registry) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut index: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let is_two = index.get("schemaVersion").and_then(Value::as_u64) == Some(2);
        // Go writes an empty list as null.
        if index.get("manifests").is_none_or(Value::is_null) {
            index.insert("manifests".to_owned(), json!([]));
        }
        (is_two && index["manifests"].is_array()).then_some(Self(index))
    }

    pub(in crate::registry) fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// The digest of the manifest with this tag; of several the one listed last.
    pub(in crate::registry) fn find(&self, tag: &Tag) -> Option<Digest> {
        digest(self.entries().iter().rev().find(|entry| has_tag(entry, tag))?)
    }

    /// Gives the tag to one manifest and takes it from every other.
    ///
    /// A manifest that loses its last tag keeps no entry: it is then only a blob. Tells whether
    /// anything changed: a start of the same pipeline writes nothing.
    pub(in crate::registry) fn tag(&mut self, tag: &Tag, manifest: &Descriptor) -> bool {
        let entry = json!(manifest.clone().with_annotation(REF_NAME, tag.as_str()));
        let entries = self.entries_mut();
        if entries.iter().filter(|entry| has_tag(entry, tag)).eq([&entry]) {
            return false;
        }
        entries.retain(|entry| !has_tag(entry, tag));
        entries.push(entry);
        true
    }

    /// Lists a manifest without a tag; `false` when it is listed already.
    pub(in crate::registry) fn add(&mut self, manifest: &Descriptor) -> bool {
        if self.entries().iter().any(|entry| digest(entry) == Some(manifest.digest)) {
            return false;
        }
        self.entries_mut().push(json!(manifest));
        true
    }

    /// The entries that are Sigstore bundles, up to [`BUNDLES_MAX`].
    pub(in crate::registry) fn bundles(&self) -> Vec<Digest> {
        let bundles = self.entries().iter().filter(|entry| is_bundle(entry));
        bundles.filter_map(digest).take(BUNDLES_MAX).collect()
    }

    /// The one entry that is no signature.
    pub(in crate::registry) fn only(&self) -> Result<Version, LayoutFault> {
        let mut found: Vec<Digest> = self
            .entries()
            .iter()
            .filter(|entry| !is_bundle(entry) && !is_attachment(entry))
            .filter_map(digest)
            .collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Err(LayoutFault::Empty),
            [one] => Ok(Version::Digest(*one)),
            several => Err(LayoutFault::Several { count: several.len() }),
        }
    }

    pub(in crate::registry) fn entries_mut(&mut self) -> &mut Vec<Value> {
        let entries = self.0.entry("manifests").or_insert_with(|| json!([]));
        if !entries.is_array() {
            *entries = json!([]);
        }
        #[expect(clippy::expect_used, reason = "it was made a list two lines above")]
        entries.as_array_mut().expect("a list")
    }

    pub(in crate::registry) fn entries(&self) -> &[Value] {
        self.0.get("manifests").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn digest(entry: &Value) -> Option<Digest> {
    entry.get("digest")?.as_str()?.parse().ok()
}

fn is_bundle(entry: &Value) -> bool {
    entry.get("artifactType").and_then(Value::as_str) == Some(media_type::SIGSTORE_BUNDLE)
}

/// Whether its tag is one that cosign or a list of referrers has: `sha256-HEX`, with an ending.
fn is_attachment(entry: &Value) -> bool {
    let tag = entry.pointer("/annotations").and_then(|it| it.get(REF_NAME)).and_then(Value::as_str);
    let digits = tag.and_then(|tag| tag.strip_prefix("sha256-"));
    digits.is_some_and(|digits| {
        let bare = digits.split('.').next().unwrap_or_default();
        format!("sha256:{bare}").parse::<Digest>().is_ok()
    })
}

fn has_tag(entry: &Value, tag: &Tag) -> bool {
    entry.pointer("/annotations").and_then(|it| it.get(REF_NAME)).and_then(Value::as_str)
        == Some(tag.as_str())
}
