//! The index of a layout: which manifests it has, and what they are called.

use serde_json::{Map, Value, json};

use crate::oci::{Descriptor, Digest, REF_NAME, Tag, media_type};

/// The largest `index.json` that is read or written, in bytes: 4 MiB, ten thousand tags.
pub const INDEX_BYTES_MAX: u64 = 4 << 20;

/// An `index.json`, kept as it came but for the entries that are changed.
///
/// It is held as free JSON since other tools keep things in it that are not ours to lose.
#[derive(Debug)]
pub(super) struct Index(Map<String, Value>);

impl Index {
    pub(super) fn empty() -> Self {
        let mut index = Map::new();
        index.insert("schemaVersion".to_owned(), json!(2));
        index.insert("mediaType".to_owned(), json!(media_type::INDEX));
        index.insert("manifests".to_owned(), json!([]));
        Self(index)
    }

    /// The index in these bytes; `None` when it is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut index: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let is_two = index.get("schemaVersion").and_then(Value::as_u64) == Some(2);
        // Go writes an empty list as null.
        if index.get("manifests").is_none_or(Value::is_null) {
            index.insert("manifests".to_owned(), json!([]));
        }
        (is_two && index["manifests"].is_array()).then_some(Self(index))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// The digest of the manifest with this tag; of several the one listed last.
    pub(super) fn find(&self, tag: &Tag) -> Option<Digest> {
        let entry = self.entries().iter().rev().find(|entry| has_tag(entry, tag))?;
        entry.get("digest")?.as_str()?.parse().ok()
    }

    /// Gives the tag to one manifest and takes it from every other.
    ///
    /// A manifest that loses its last tag keeps no entry: it is then only a blob. Tells whether
    /// anything changed: a start of the same pipeline writes nothing.
    pub(super) fn tag(&mut self, tag: &Tag, manifest: &Descriptor) -> bool {
        let entry = json!(manifest.clone().with_annotation(REF_NAME, tag.as_str()));
        let entries = self.entries_mut();
        if entries.iter().filter(|entry| has_tag(entry, tag)).eq([&entry]) {
            return false;
        }
        entries.retain(|entry| !has_tag(entry, tag));
        entries.push(entry);
        true
    }

    pub(super) fn entries_mut(&mut self) -> &mut Vec<Value> {
        let entries = self.0.entry("manifests").or_insert_with(|| json!([]));
        if !entries.is_array() {
            *entries = json!([]);
        }
        #[expect(clippy::expect_used, reason = "it was made a list two lines above")]
        entries.as_array_mut().expect("a list")
    }

    pub(super) fn entries(&self) -> &[Value] {
        self.0.get("manifests").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn has_tag(entry: &Value, tag: &Tag) -> bool {
    entry.pointer("/annotations").and_then(|it| it.get(REF_NAME)).and_then(Value::as_str)
        == Some(tag.as_str())
}
