//! The media types of OCI artifacts: those we write, and those we tell apart when we read.

/// An OCI image manifest, the only kind we write.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index: a list of manifests, one a platform.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's manifest, schema 2, which has the shape of an OCI manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list, which has the shape of an OCI index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest, schema 1, without signature.
pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker's manifest, schema 1, signed.
pub const DOCKER_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// What a blob is when nothing is known of it.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// The empty config of an artifact that needs none (image specification 1.1).
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The config of a container image, which a signature's manifest has by custom.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What cosign's signatures under a tag sign: a small JSON text that names a manifest.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// A Sigstore bundle: a signature with all that it takes to check it.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The artifact type of a published pipeline.
pub const PIPELINE: &str = "application/vnd.potoroo.pipeline.v1+json";
/// The config of a published pipeline: its definition as JSON.
pub const PIPELINE_CONFIG: &str = "application/vnd.potoroo.pipeline.config.v1+json";
/// A model file as it is, neither packed nor compressed (CNCF ModelPack).
pub const MODEL_WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";

/// The config of a Helm chart: its `Chart.yaml` as JSON.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// A packed Helm chart.
pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// How a layer of this media type is packed, where it is: `gzip`, `zstd` or `tar`.
#[must_use]
pub fn packing(media_type: &str) -> Option<&'static str> {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let last = kind.rsplit(['+', '.', '/', '-']).next().unwrap_or_default();
    ["gzip", "zstd", "tar"].into_iter().find(|packing| *packing == last)
}

/// What we ask a registry for.
///
/// Lists and indexes are among them since one may hold a manifest for this device; a registry not
/// asked for them says "not found".
pub const ACCEPT: [&str; 4] = [MANIFEST, DOCKER_MANIFEST, INDEX, DOCKER_LIST];

#[cfg(test)]
mod tests {
    use super::{MODEL_WEIGHT, OCTET_STREAM, packing};

    #[test]
    fn a_packed_layer_is_told_by_its_media_type() {
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some("gzip")),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some("gzip")),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some("zstd")),
            ("application/vnd.cncf.model.weight.v1.tar", Some("tar")),
            ("Application/X-GZIP; x=1", Some("gzip")),
            (MODEL_WEIGHT, None),
            (OCTET_STREAM, None),
            ("", None),
        ] {
            assert_eq!(packing(media_type), expected, "{media_type}");
        }
    }
}
