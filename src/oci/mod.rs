//! The words of OCI: what an artifact is called, how it is described, and what its parts weigh.

mod digest;
mod reference;

mod descriptor;
mod manifest;
pub mod media_type;
mod platform;

mod excerpt;

pub use descriptor::{BLOB_BYTES_MAX, Descriptor, DescriptorError, REF_NAME, TITLE};
pub use digest::{Digest, DigestError, Hasher};
pub use excerpt::{EXCERPT_CHARS_MAX, excerpt};
pub use manifest::{
    CONFIG_BYTES_MAX, LAYERS_MAX, MANIFEST_BYTES_MAX, Manifest, ManifestError, Part,
};
pub use platform::{architecture, choose};
pub use reference::{Reference, ReferenceError, RegistryHost, Repository, Source, Tag, Version};
