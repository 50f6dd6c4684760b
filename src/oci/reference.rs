//! A reference: the name under which an artifact is found, in a registry or on disk.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Digest, DigestError, excerpt};

mod host;
mod name;

pub use host::RegistryHost;
pub use name::{Repository, Tag};

/// The longest text that is looked at as a reference, in bytes.
///
/// Host, repository, tag and digest at their longest come to some 460; a path may be 4096.
const REFERENCE_BYTES_MAX: usize = 4096 + 512;

/// The longest registry host and repository together, in bytes.
///
/// The distribution specification warns that many clients accept no more.
const NAME_BYTES_MAX: usize = 255;

/// One artifact in a registry: `host[:port]/repository`, then `:tag`, `@digest` or both.
///
/// ```
/// use potoroo::oci::Reference;
///
/// let text = "registry.example.com:5000/pipelines/edge-cv:v1";
/// let reference: Reference = text.parse().unwrap();
/// assert_eq!(reference.repository.as_str(), "pipelines/edge-cv");
/// assert_eq!(reference.to_string(), text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where the registry answers.
    pub registry: RegistryHost,
    /// The repository within the registry.
    pub repository: Repository,
    /// Which artifact of the repository.
    pub version: Version,
}

/// Which artifact of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// The one that the tag points to today.
    Tag(Tag),
    /// The one with this digest, for ever.
    Digest(Digest),
    /// The one with this digest, for ever; the tag is kept for people.
    Pinned {
        /// What the artifact was called.
        tag: Tag,
        /// What the artifact is.
        digest: Digest,
    },
}

impl Version {
    /// The digest, where the version is pinned to one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) | Self::Pinned { digest, .. } => Some(digest),
        }
    }

    /// The tag, where there is one.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Digest(_) => None,
            Self::Tag(tag) | Self::Pinned { tag, .. } => Some(tag),
        }
    }
}

/// The version as it follows the repository: `:tag`, `@digest`, or `:tag@digest`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
            Self::Pinned { tag, digest } => write!(f, ":{tag}@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.version)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let text = without_scheme(check_length(text)?)?;
        // Asked before anything is quoted in an error: what stands there may be a password.
        if text.match_indices('@').any(|(at, _)| text[at..].contains('/')) {
            return Err(ReferenceError::Credentials);
        }
        let (host, rest) = text.split_once('/').ok_or(ReferenceError::NoRepository)?;
        if !names_a_host(host) {
            return Err(ReferenceError::NoHost { found: excerpt(host) });
        }
        let registry: RegistryHost = host.parse()?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.parse()?)),
            None => (rest, None),
        };
        let repository: Repository = repository.parse()?;
        let name = registry.to_string().len() + 1 + repository.as_str().len();
        if name > NAME_BYTES_MAX {
            return Err(ReferenceError::NameTooLong { found: name });
        }
        let version = match (tag, digest) {
            (Some(tag), Some(digest)) => Version::Pinned { tag, digest },
            (Some(tag), None) => Version::Tag(tag),
            (None, Some(digest)) => Version::Digest(digest),
            (None, None) => return Err(ReferenceError::NoVersion),
        };
        Ok(Self { registry, repository, version })
    }
}

/// Where a pipeline comes from: what the setting `PIPELINE_URL` may say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// An artifact in a registry, written with or without `https://` or `oci://` before it.
    Registry(Reference),
    /// A tag in an OCI image layout on this machine, written `oci-layout:PATH:TAG`.
    Layout {
        /// The layout's directory or archive, as it was written.
        path: PathBuf,
        /// The tag, after the last colon.
        tag: Tag,
    },
}

impl Source {
    /// The digest, where it is pinned to one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Registry(reference) => reference.version.digest(),
            Self::Layout { .. } => None,
        }
    }

    /// The tag, where there is one.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Registry(reference) => reference.version.tag(),
            Self::Layout { tag, .. } => Some(tag),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout { path, tag } => write!(f, "{LAYOUT}{}:{tag}", path.display()),
        }
    }
}

impl FromStr for Source {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let Some(layout) = check_length(text)?.strip_prefix(LAYOUT) else {
            return text.parse().map(Self::Registry);
        };
        let (path, tag) = layout.rsplit_once(':').ok_or(ReferenceError::NoLayoutTag)?;
        if path.is_empty() {
            return Err(ReferenceError::NoLayoutPath);
        }
        Ok(Self::Layout { path: PathBuf::from(path), tag: tag.parse()? })
    }
}

/// What begins the text of a [`Source::Layout`].
const LAYOUT: &str = "oci-layout:";

fn check_length(text: &str) -> Result<&str, ReferenceError> {
    match text {
        "" => Err(ReferenceError::Empty),
        text if text.len() > REFERENCE_BYTES_MAX => {
            Err(ReferenceError::TooLong { found: text.len() })
        }
        text => Ok(text),
    }
}

fn without_scheme(text: &str) -> Result<&str, ReferenceError> {
    match text.split_once("://") {
        None => Ok(text),
        Some(("https" | "oci", rest)) => Ok(rest),
        Some(("http", _)) => Err(ReferenceError::PlainHttp),
        Some((scheme, _)) => Err(ReferenceError::Scheme { found: excerpt(scheme) }),
    }
}

/// Whether the first part can only be a host, by the rule every container tool has.
///
/// Without it `pipelines/edge:v1` would go looking for a machine called `pipelines`.
fn names_a_host(part: &str) -> bool {
    part.contains(['.', ':']) || part.eq_ignore_ascii_case("localhost")
}

/// Why a text is not a reference, naming the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No text at all.
    #[error("the reference is empty, expected `registry/repository:tag`")]
    Empty,
    /// More text than any reference has.
    #[error("the reference has {found} bytes, and at most {REFERENCE_BYTES_MAX} are accepted")]
    TooLong {
        /// The length in bytes.
        found: usize,
    },
    /// `http://` in front.
    #[error(
        "the reference begins with `http://`: write it without, and name the registry in \
         POTOROO_PLAIN_HTTP if it has no TLS"
    )]
    PlainHttp,
    /// Another scheme in front.
    #[error("the reference begins with `{found}://`, expected `https://`, `oci://` or nothing")]
    Scheme {
        /// The scheme, shortened.
        found: String,
    },
    /// A user name or password in front of the host. The text is not quoted.
    #[error("the reference holds credentials: give them as OCI_USERNAME and OCI_PASSWORD")]
    Credentials,
    /// The first part is no host.
    #[error(
        "`{found}` does not name a registry, expected `host.domain`, `host:port` or `localhost` \
         before the first `/`"
    )]
    NoHost {
        /// The first part, shortened.
        found: String,
    },
    /// A host that is neither a name nor an address.
    #[error("the registry host `{found}` is neither a name nor an address: {why}")]
    Host {
        /// The host, shortened.
        found: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A port that is none.
    #[error("the registry port `{found}` is not a number from 1 to 65535")]
    Port {
        /// The port, shortened.
        found: String,
    },
    /// Nothing follows the host.
    #[error("the reference names no repository, expected `registry/repository:tag`")]
    NoRepository,
    /// A repository outside the grammar.
    #[error("the repository `{found}` cannot be used: {why}")]
    Repository {
        /// The repository, shortened.
        found: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Host and repository are too long together.
    #[error(
        "registry and repository have {found} bytes, and at most {NAME_BYTES_MAX} are accepted"
    )]
    NameTooLong {
        /// Their length in bytes, with the `/` between.
        found: usize,
    },
    /// Neither tag nor digest.
    #[error("the reference has neither tag nor digest, expected `:tag` or `@sha256:…` at its end")]
    NoVersion,
    /// A tag outside the grammar.
    #[error("the tag `{found}` cannot be used: {why}")]
    Tag {
        /// The tag, shortened.
        found: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A digest that is none.
    #[error("the digest after `@` cannot be used")]
    Digest(#[from] DigestError),
    /// An image layout without tag.
    #[error("the image layout has no tag, expected `oci-layout:PATH:TAG`")]
    NoLayoutTag,
    /// An image layout without path.
    #[error("the image layout has no path, expected `oci-layout:PATH:TAG`")]
    NoLayoutPath,
}

#[cfg(test)]
mod tests;
