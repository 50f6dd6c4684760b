//! Signing: one who publishes vouches for the artifact, in the forms that cosign reads.

mod key;
mod sealed;
mod secretbox;

pub use key::{PrivateKey, PrivateKeyError};

use crate::exit::{Exit, Failure};
use crate::oci::Descriptor;
use crate::registry::Error;
use crate::registry::signature::{
    Attached, Flaw, Form, Keyring, Place, attached, bundle_manifest, check, envelope_bytes,
    statement, tag_manifest, write_bundle, write_payload,
};

/// With which key to sign, and how.
#[derive(Debug)]
pub struct Signing {
    /// The key.
    pub key: PrivateKey,
    /// Under a tag, as a bundle, or both.
    pub forms: Vec<Form>,
}

/// What was done about one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// A signature was made.
    Made,
    /// One by this key was there.
    AlreadyThere,
}

/// Signs a manifest that is at `place`, where `put` puts the signatures.
///
/// A form in which a signature by this key is there stays as it is, so that publishing the same
/// again changes nothing; the signatures of other keys stay in any case.
///
/// # Errors
/// Those of the place, and when signatures that are there would be lost.
pub(super) fn sign(
    signing: &Signing,
    repository: &str,
    manifest: &Descriptor,
    place: &dyn Place,
    put: &mut dyn FnMut(&Attached) -> Result<(), Error>,
) -> Result<Vec<(Form, Signed)>, Failure> {
    let failed = |error: PrivateKeyError| Failure::new(Exit::Failed, error);
    let digest = &manifest.digest;
    let public = signing.key.public().map_err(failed)?;
    let keys = Keyring::from(public.clone());
    let (there, flaws) = attached(place, digest)?;
    let mut done = Vec::new();
    for &form in &signing.forms {
        let of_form: Vec<Attached> = there.iter().filter(|it| it.form == form).cloned().collect();
        if check(&keys, &of_form, Vec::new(), digest, None).is_ok() {
            done.push((form, Signed::AlreadyThere));
            continue;
        }
        let made = match form {
            Form::Tag => {
                keep_what_is_there(&flaws)?;
                let payload = write_payload(repository, digest);
                let signature = signing.key.sign(&payload).map_err(failed)?;
                tag_manifest(of_form.first(), payload, &signature)
            }
            Form::Bundle => {
                let statement = statement(repository, digest);
                let signature = signing.key.sign(&envelope_bytes(&statement)).map_err(failed)?;
                bundle_manifest(manifest, write_bundle(&statement, &signature, public.id()))
            }
        };
        put(&made)?;
        done.push((form, Signed::Made));
    }
    Ok(done)
}

/// All signatures under the tag are in one manifest: who cannot read it must not write it anew.
fn keep_what_is_there(flaws: &[Flaw]) -> Result<(), Failure> {
    let lost = flaws.iter().find(|flaw| match flaw {
        Flaw::TooMany { .. } => true,
        Flaw::Unreadable { form, .. } => *form == Form::Tag,
        Flaw::Malformed { .. }
        | Flaw::OtherKey { .. }
        | Flaw::OtherDigest { .. }
        | Flaw::OtherName { .. }
        | Flaw::OtherKind { .. } => false,
    });
    match lost {
        None => Ok(()),
        Some(flaw) => Err(Failure::new(
            Exit::Corrupt,
            format!("the signatures that are there would be lost: {flaw}"),
        )
        .hint("take the tag sha256-….sig away, or sign with --sign-form bundle")),
    }
}
