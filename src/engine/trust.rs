//! Trust: whether a pipeline may run here, by the signatures of who published it.

use super::config::{Config, Policy, Trust};
use crate::exit::{self, Exit, Failure};
use crate::logging::AT_PULL;
use crate::oci::{Digest, Source};
use crate::registry::Layout;
use crate::registry::signature::{
    Attached, Kept, Keyring, Place, Unvouched, Vouched, attached, check,
};
use std::path::Path;

/// Where signatures are kept below the persistent directory.
const SIGNATURES: &str = "signatures";

/// Decides whether the pipeline with this digest may run here, as `POTOROO_SIGNATURES` has it.
///
/// Signatures that were fetched before are tried first, so that what was accepted once is accepted
/// again without a network; then those at `place`, which is `None` where there is none to ask.
/// Those of a registry are kept, beside those of the pipelines in the store.
///
/// # Errors
/// With the policy `require`, when no signature by a key of the ring is found.
pub(super) fn accept(
    config: &Config,
    source: &Source,
    store: &Layout,
    digest: &Digest,
    place: Option<&dyn Place>,
) -> Result<(), Failure> {
    let Trust::Keys { policy, keys } = &config.trust else { return Ok(()) };
    match vouched(config, source, store, keys, digest, place) {
        Ok(Vouched { key, form }) => {
            log::info!(target: AT_PULL, "digest={digest} signature={form} key={key}");
            Ok(())
        }
        Err(failure) => match policy {
            Policy::Require => Err(failure),
            Policy::Warn => {
                let why = exit::chain(&*failure.error);
                log::warn!(target: AT_PULL, "digest={digest} signature=none msg={why:?}");
                Ok(())
            }
        },
    }
}

fn vouched(
    config: &Config,
    source: &Source,
    store: &Layout,
    keys: &Keyring,
    digest: &Digest,
    place: Option<&dyn Place>,
) -> Result<Vouched, Failure> {
    let (vouched, found) = looked_for(source, &config.persist, keys, digest, place)?;
    let is_fetched = matches!(source, Source::Registry(_));
    if let (true, Some(found)) = (is_fetched, found) {
        let kept = Kept::below(config.persist.join(SIGNATURES));
        kept.keep(digest, &found)?;
        kept.forget(&|it| it == digest || store.blob_path(it).exists())?;
    }
    Ok(vouched)
}

/// Who vouches for the pipeline with this digest, and the signatures that say so where they are not
/// kept yet; nothing is changed on the device.
///
/// # Errors
/// When no signature by a key of the ring is found, or `place` cannot be asked.
pub(super) fn looked_for(
    source: &Source,
    persist: &Path,
    keys: &Keyring,
    digest: &Digest,
    place: Option<&dyn Place>,
) -> Result<(Vouched, Option<Vec<Attached>>), Failure> {
    // A layout is named by a path that says nothing of what the pipeline is called.
    let name = match source {
        Source::Registry(reference) => Some(&reference.repository),
        Source::Layout { .. } => None,
    };
    let kept = Kept::below(persist.join(SIGNATURES));
    let (found, flaws) = kept.of(digest);
    let refused = match check(keys, &found, flaws, digest, name) {
        Ok(vouched) => return Ok((vouched, None)),
        Err(refused) => refused,
    };
    let Some(place) = place else { return Err(unsigned(refused)) };
    let (found, flaws) = attached(place, digest)?;
    let vouched = check(keys, &found, flaws, digest, name).map_err(unsigned)?;
    Ok((vouched, Some(found)))
}

fn unsigned(refused: Unvouched) -> Failure {
    let hint = refused.hint();
    Failure::new(Exit::Unsigned, refused).hint(hint)
}
