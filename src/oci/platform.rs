//! An image index: one artifact for several platforms, and which of its manifests is for this device.

use serde::Deserialize;
use serde_json::Value;

use super::descriptor::WireDescriptor;
use super::manifest::{MANIFEST_BYTES_MAX, ManifestError, not_json};
use super::{Descriptor, excerpt};

/// How many of an index's platforms a sentence names.
const NAMED_MAX: usize = 8;

/// The one platform system that is chosen: the engine runs on nothing else.
const OS: &str = "linux";

#[derive(Deserialize)]
struct WireIndex {
    // Go writes an empty list as null.
    manifests: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

impl Platform {
    /// The platform that an entry of an index is for, if it is for one.
    fn of(entry: &Value) -> Option<(String, String)> {
        let platform = Self::deserialize(entry.get("platform")?).ok()?;
        Some((platform.os?, platform.architecture?))
    }
}

/// The manifest that an image index has for a device of this architecture.
///
/// It is the first for Linux on it, as the image specification has it, or the only one there is
/// when that is for no platform in particular: most pipelines are for none.
///
/// # Errors
/// [`ManifestError::NoPlatform`] when there is no such, and those of a broken entry.
pub fn choose(index: &[u8], architecture: &str) -> Result<Descriptor, ManifestError> {
    let index: WireIndex = serde_json::from_slice(index).map_err(|error| not_json(&error))?;
    let entries = index.manifests.unwrap_or_default();
    let suits = |entry: &&Value| {
        Platform::of(entry).is_some_and(|(os, found)| os == OS && found == architecture)
    };
    let entry = match (entries.iter().find(suits), entries.as_slice()) {
        (Some(entry), _) => entry,
        (None, [only]) if Platform::of(only).is_none() => only,
        (None, _) => {
            let wanted = format!("{OS}/{architecture}");
            return Err(ManifestError::NoPlatform { wanted, found: named(&entries) });
        }
    };
    WireDescriptor::deserialize(entry)
        .map_err(|error| ManifestError::Shape { why: excerpt(&error.to_string()) })?
        .read(MANIFEST_BYTES_MAX)
        .map_err(|source| ManifestError::IndexEntry { source })
}

/// The name of this device's architecture, as images have it.
#[must_use]
pub const fn architecture() -> &'static str {
    // The names that Go has for those that it calls otherwise than Rust.
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else if cfg!(target_arch = "x86") {
        "386"
    } else {
        std::env::consts::ARCH
    }
}

/// What the entries are for, each platform once.
fn named(entries: &[Value]) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let name = match Platform::of(entry) {
            Some((os, architecture)) => excerpt(&format!("{os}/{architecture}")),
            None => "a manifest for no platform".to_owned(),
        };
        // Builders put their attestations beside the images, under this name.
        if name != "unknown/unknown" && !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    match (names.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::choose;
    use crate::oci::{Descriptor, Digest, ManifestError, media_type};

    fn entry(bytes: &str, platform: Value) -> Value {
        let mut entry = json!(Descriptor::of(media_type::MANIFEST, bytes.as_bytes()));
        entry["platform"] = platform;
        entry
    }

    fn on(os: &str, architecture: &str) -> Value {
        json!({ "os": os, "architecture": architecture })
    }

    fn chosen(entries: &[Value]) -> Result<Digest, ManifestError> {
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        choose(index.to_string().as_bytes(), "arm64").map(|it| it.digest)
    }

    #[test]
    fn the_first_manifest_for_this_platform_is_chosen() {
        let entries = [
            entry("a", on("linux", "amd64")),
            entry("b", on("windows", "arm64")),
            entry("c", on("linux", "arm64")),
            entry("d", on("linux", "arm64")),
        ];
        assert_eq!(chosen(&entries), Ok(Digest::of(b"c")));
    }

    #[test]
    fn the_only_manifest_is_chosen_when_it_is_for_no_platform() {
        assert_eq!(chosen(&[entry("a", Value::Null)]), Ok(Digest::of(b"a")));
        assert!(chosen(&[entry("a", Value::Null), entry("b", Value::Null)]).is_err());
        assert!(chosen(&[entry("a", on("linux", "amd64"))]).is_err());
    }

    #[test]
    fn what_an_index_holds_instead_is_named_briefly() {
        let sentence = |entries: &[Value]| chosen(entries).unwrap_err().to_string();
        let entries = [
            entry("a", on("linux", "amd64")),
            entry("b", on("linux", "amd64")),
            entry("c", on("unknown", "unknown")),
            entry("d", Value::Null),
        ];
        let told = "it is an image index without a manifest for linux/arm64; it holds linux/amd64, \
                    a manifest for no platform";
        assert_eq!(sentence(&entries), told);
        assert!(sentence(&[]).ends_with("it holds nothing"));
        let many: Vec<_> =
            (0..1000).map(|n| entry("x", on("linux", &format!("\u{1b}{n}")))).collect();
        assert!(sentence(&many).ends_with("linux/ 7 and 992 more"), "{}", sentence(&many));
    }

    #[test]
    fn an_entry_that_is_broken_is_refused() {
        let broken = json!({ "platform": on("linux", "arm64"), "digest": "../../x", "size": 1 });
        assert!(matches!(chosen(&[broken]), Err(ManifestError::IndexEntry { .. })));
        assert!(matches!(chosen(&[json!([])]), Err(ManifestError::Shape { .. })));
        assert!(matches!(choose(b"{", "arm64"), Err(ManifestError::NotJson { .. })));
    }
}
