//! The verdict: which key vouches for an artifact, or what is wrong with each signature there is.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::attached::{Attached, SIGNATURES_MAX};
use super::bundle;
use super::keyring::Keyring;
use super::simple::{self, SIGNATURE, SIGNATURE_TYPE};
use crate::oci::{Descriptor, Digest, Repository, excerpt};

/// How many flaws a refusal tells: the first few say what is going on.
const FLAWS_TOLD_MAX: usize = 4;

/// How a signature travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In a manifest under the tag `sha256-HEX.sig`.
    Tag,
    /// In a Sigstore bundle that refers to the artifact.
    Bundle,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Bundle => "bundle",
        })
    }
}

impl Form {
    /// As the subject of a sentence.
    const fn said(self) -> &'static str {
        match self {
            Self::Tag => "the signature under the tag",
            Self::Bundle => "the Sigstore bundle",
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The beginning of the [`id`](super::PublicKey::id) of the key that made it.
    pub key: String,
    /// How it travelled.
    pub form: Form,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// More than are looked at.
    #[error("there are {found} in one place, and at most {SIGNATURES_MAX} are looked at")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// It is named and cannot be fetched whole.
    #[error("{} cannot be read: {why}", form.said())]
    Unreadable {
        /// How it travels.
        form: Form,
        /// Why.
        why: String,
    },
    /// It does not have the shape of its form.
    #[error("{} {why}", form.said())]
    Malformed {
        /// How it travels.
        form: Form,
        /// What is wrong, as `has no signature`.
        why: String,
    },
    /// A key that is not trusted, or a message that was changed.
    #[error("{} was made by another key, or was changed afterwards", form.said())]
    OtherKey {
        /// How it travels.
        form: Form,
    },
    /// It is of another artifact.
    #[error("{} is for another artifact, {found}", form.said())]
    OtherDigest {
        /// How it travels.
        form: Form,
        /// What it signs.
        found: String,
    },
    /// It is of an artifact of this digest in a repository of another name.
    #[error(
        "{} is for the repository `{found}`, and this one is called `{expected}`", form.said()
    )]
    OtherName {
        /// How it travels.
        form: Form,
        /// The name in the signature.
        found: String,
        /// The last part of the repository's name.
        expected: String,
    },
    /// It says something else than that the artifact is signed.
    #[error("{} states `{found}`, which is no signature", form.said())]
    OtherKind {
        /// How it travels.
        form: Form,
        /// What it states.
        found: String,
    },
}

/// Nobody who is trusted vouches for the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unvouched {
    /// The artifact.
    pub digest: Digest,
    /// Where the keys are from.
    pub keys: PathBuf,
    /// What is wrong with each signature; empty where there is none.
    pub flaws: Vec<Flaw>,
}

impl fmt::Display for Unvouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, keys, flaws } = self;
        if flaws.is_empty() {
            return write!(
                f,
                "{digest} is not signed: there is neither a tag sha256-….sig nor a Sigstore \
                 bundle for it"
            );
        }
        write!(f, "no signature of {digest} holds by the keys of {}: ", keys.display())?;
        let mut told: Vec<&Flaw> = Vec::new();
        for flaw in flaws {
            if !told.contains(&flaw) && told.len() < FLAWS_TOLD_MAX {
                let joint = if told.is_empty() { "" } else { "; " };
                write!(f, "{joint}{flaw}")?;
                told.push(flaw);
            }
        }
        Ok(())
    }
}

impl std::error::Error for Unvouched {}

impl Unvouched {
    /// What a person does next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        if self.flaws.is_empty() {
            return "sign it where it was published: `potoroo-ops publish --sign KEY`, or `cosign \
                    sign --key KEY`";
        }
        let has = |wanted: fn(&Flaw) -> bool| self.flaws.iter().any(wanted);
        if has(|flaw| matches!(flaw, Flaw::OtherKey { .. })) {
            "check that POTOROO_SIGNATURE_KEY has the key of who published it"
        } else if has(|flaw| matches!(flaw, Flaw::OtherName { .. })) {
            "keep the last part of the repository's name where it is copied to, or sign it there"
        } else {
            "sign it again where it was published, and look who can write to that place"
        }
    }
}

/// Looks for one signature of the manifest by a key of the ring.
///
/// Where a signature names a repository and `name` is given, their last parts must agree: a
/// mirror may have another host and another path, but it does not call one pipeline another.
///
/// # Errors
/// [`Unvouched`] with all that is wrong; `flaws` are those found while fetching.
pub fn check(
    keys: &Keyring,
    found: &[Attached],
    mut flaws: Vec<Flaw>,
    digest: &Digest,
    name: Option<&Repository>,
) -> Result<Vouched, Unvouched> {
    for one in found {
        if one.layers.is_empty() {
            flaws.push(malformed(one.form, "has no layer"));
        }
        for (layer, bytes) in &one.layers {
            let verdict = match one.form {
                Form::Tag => simple(keys, layer, bytes, digest, name),
                Form::Bundle => bundle(keys, bytes, digest, name),
            };
            match verdict {
                Ok(key) => return Ok(Vouched { key, form: one.form }),
                Err(flaw) => flaws.push(flaw),
            }
        }
    }
    Err(Unvouched { digest: *digest, keys: keys.path().to_owned(), flaws })
}

fn malformed(form: Form, why: impl Into<String>) -> Flaw {
    Flaw::Malformed { form, why: why.into() }
}

/// One layer under a tag: the payload as blob, its signature as annotation.
fn simple(
    keys: &Keyring,
    layer: &Descriptor,
    payload: &[u8],
    digest: &Digest,
    name: Option<&Repository>,
) -> Result<String, Flaw> {
    let form = Form::Tag;
    let signature = layer.annotations.get(SIGNATURE).ok_or_else(|| {
        malformed(form, format!("has a layer without the annotation {SIGNATURE}"))
    })?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| malformed(form, "has a signature that is not base64"))?;
    // What a payload says counts only once a key has vouched for its bytes.
    let key = keys.signer(payload, &signature).ok_or(Flaw::OtherKey { form })?;
    let payload = simple::read(payload)
        .ok_or_else(|| malformed(form, "has a payload that is not JSON of its shape"))?;
    let critical = payload.critical;
    if critical.kind != SIGNATURE_TYPE {
        return Err(Flaw::OtherKind { form, found: excerpt(&critical.kind) });
    }
    if critical.image.docker_manifest_digest != digest.to_string() {
        let found = excerpt(&critical.image.docker_manifest_digest);
        return Err(Flaw::OtherDigest { form, found });
    }
    check_name(form, &critical.identity.docker_reference, name)?;
    Ok(key.short())
}

fn bundle(
    keys: &Keyring,
    bytes: &[u8],
    digest: &Digest,
    name: Option<&Repository>,
) -> Result<String, Flaw> {
    let form = Form::Bundle;
    let bundle = bundle::read(bytes).map_err(|why| malformed(form, why))?;
    let key = keys.signer(&bundle.message, &bundle.signature).ok_or(Flaw::OtherKey { form })?;
    let statement = bundle.statement;
    if statement.predicate_type != bundle::SIGNED {
        return Err(Flaw::OtherKind { form, found: excerpt(&statement.predicate_type) });
    }
    let subject = statement.subject.iter().find(|it| it.digest().as_ref() == Some(digest));
    let Some(subject) = subject else {
        let first = statement.subject.first().and_then(bundle::Subject::digest);
        let found = first.map_or_else(|| "without a sha256".to_owned(), |it| it.to_string());
        return Err(Flaw::OtherDigest { form, found });
    };
    check_name(form, &subject.name, name)?;
    Ok(key.short())
}

/// Holds the last part of the name that was signed against the repository's.
fn check_name(form: Form, found: &str, name: Option<&Repository>) -> Result<(), Flaw> {
    let Some(expected) = name.map(Repository::last_part) else { return Ok(()) };
    let bare = found.split('@').next().unwrap_or_default();
    let last = bare.rsplit('/').next().unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    // A statement need not name what it is about.
    if last.is_empty() || last == expected {
        return Ok(());
    }
    Err(Flaw::OtherName { form, found: excerpt(found), expected: expected.to_owned() })
}
