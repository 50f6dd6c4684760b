//! From the path of a request to what is asked for, by the grammar of the specification.

use super::fault::Fault;
use crate::http::percent;
use crate::oci::{Digest, Repository, Version};

/// What a path below `/v2/` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whether this is a registry, and whether one is let in.
    Base,
    /// A token.
    Token,
    /// A manifest or an index.
    Manifest { repository: Repository, version: Version },
    /// A blob.
    Blob { repository: Repository, digest: Digest },
    /// The tags of a repository.
    Tags { repository: Repository },
    /// What says that it is about a manifest.
    Referrers { repository: Repository, subject: Digest },
}

impl Asked {
    /// Reads a path as it was sent.
    ///
    /// Only the last part may be percent-encoded, as some clients do with the colon of a digest: a
    /// name has nothing to encode, and what stands before us must see the same name as we do.
    pub(super) fn parse(path: &str) -> Result<Asked, Fault> {
        let rest = path.strip_prefix("/v2").ok_or(Fault::Path)?;
        match rest {
            "" | "/" => return Ok(Asked::Base),
            "/token" => return Ok(Asked::Token),
            _ => {}
        }
        let rest = rest.strip_prefix('/').ok_or(Fault::Path)?;
        let (before, last) = rest.rsplit_once('/').ok_or(Fault::Path)?;
        let (name, kind) = before.rsplit_once('/').ok_or(Fault::Path)?;
        let known = matches!(kind, "manifests" | "blobs" | "referrers")
            || (kind == "tags" && last == "list");
        if !known {
            return Err(Fault::Path);
        }
        let repository: Repository = name.parse().map_err(Fault::Name)?;
        let last = percent::decoded(last).and_then(|bytes| String::from_utf8(bytes).ok());
        let last = last.ok_or(Fault::Path)?;
        let digest = || last.parse::<Digest>().map_err(Fault::Digest);
        Ok(match kind {
            "manifests" if last.contains(':') => {
                Asked::Manifest { repository, version: Version::Digest(digest()?) }
            }
            "manifests" => {
                let tag = last.parse().map_err(Fault::Tag)?;
                Asked::Manifest { repository, version: Version::Tag(tag) }
            }
            "blobs" => Asked::Blob { repository, digest: digest()? },
            "referrers" => Asked::Referrers { repository, subject: digest()? },
            _ => Asked::Tags { repository },
        })
    }

    /// The repository that it is about, if it is about one.
    pub(super) fn repository(&self) -> Option<&Repository> {
        match self {
            Asked::Base | Asked::Token => None,
            Asked::Manifest { repository, .. }
            | Asked::Blob { repository, .. }
            | Asked::Tags { repository }
            | Asked::Referrers { repository, .. } => Some(repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;
    use crate::oci::{Digest, Version};

    #[test]
    fn each_path_of_the_specification_is_read() {
        let digest = Digest::of(b"");
        let repository = || "a/b".parse().unwrap();
        let encoded = digest.to_string().replace(':', "%3A");
        let manifest = |version| Asked::Manifest { repository: repository(), version };
        let cases = [
            ("/v2".to_owned(), Asked::Base),
            ("/v2/".to_owned(), Asked::Base),
            ("/v2/token".to_owned(), Asked::Token),
            ("/v2/a/b/manifests/v1".to_owned(), manifest(Version::Tag("v1".parse().unwrap()))),
            (format!("/v2/a/b/manifests/{digest}"), manifest(Version::Digest(digest))),
            (format!("/v2/a/b/blobs/{digest}"), Asked::Blob { repository: repository(), digest }),
            (format!("/v2/a/b/blobs/{encoded}"), Asked::Blob { repository: repository(), digest }),
            ("/v2/a/b/tags/list".to_owned(), Asked::Tags { repository: repository() }),
            (
                format!("/v2/a/b/referrers/{digest}"),
                Asked::Referrers { repository: repository(), subject: digest },
            ),
            (
                "/v2/a/manifests/manifests/v1".to_owned(),
                Asked::Manifest {
                    repository: "a/manifests".parse().unwrap(),
                    version: Version::Tag("v1".parse().unwrap()),
                },
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(Asked::parse(&path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_or_no_name_is_refused() {
        let digest = Digest::of(b"");
        let long = format!("/v2/{}/tags/list", "a".repeat(256));
        for path in [
            "/v2x",
            "/v3/",
            "/v2/a",
            "/v2/a/b",
            "/v2//tags/list",
            "/v2/tags/list",
            "/v2/a/tags/other",
            "/v2/a/../b/tags/list",
            "/v2/../tags/list",
            "/v2/%2e%2e/tags/list",
            "/v2/a%2fb/tags/list",
            "/v2/A/tags/list",
            "/v2/a//b/tags/list",
            &long,
            "/v2/a/manifests/",
            "/v2/a/manifests/..",
            "/v2/a/manifests/%2e%2e",
            "/v2/a/manifests/%zz",
            "/v2/a/manifests/%ff",
            "/v2/a/manifests/sha256:abc",
            "/v2/a/manifests/v1%2f..",
            "/v2/a/blobs/v1",
            "/v2/a/blobs/sha512:abc",
            "/v2/a/blobs/uploads/",
            "/v2/_catalog",
            &format!("/v2/a/blobs/{digest}/"),
            &format!("/v2/a/blobs/{}", digest.to_string().to_uppercase()),
        ] {
            assert!(Asked::parse(path).is_err(), "{path}");
        }
    }
}
