//! The bundle that an edge is handed: where it belongs, what it runs, and the token it joins by.

use crate::fleet::Bundle;
use crate::ops::address::Address;
use crate::ops::api::Problem;
use crate::ops::store::PublishPlace;
use crate::registry::Secret;

/// How long a join token holds, as the contract says: 24 hours.
pub(in crate::ops) const JOIN_TOKEN_LIFE_MS: i64 = 24 * 3600 * 1000;

/// The bundle of this edge, base64.
///
/// # Errors
/// When a value cannot stand in a bundle, which names and references of ours always can.
pub(in crate::ops) fn bundle(
    center: &Address,
    edge: &str,
    token: &str,
    place: &PublishPlace,
    workspace: i64,
) -> Result<Secret, Problem> {
    let bundle = Bundle::new(&[
        ("BUNDLE_VERSION", "1"),
        ("EDGE_NAME", edge),
        ("JOIN_TOKEN", token),
        ("OPSCENTER_HOST", &center.host.to_string()),
        ("PIPELINE_URL", &place.pipeline_url),
        ("WORKSPACE_ID", &workspace.to_string()),
    ]);
    let bundle = bundle.map_err(|error| Problem::new(500, "bundle", error.to_string()))?;
    Ok(Secret::new(bundle.encoded()))
}
