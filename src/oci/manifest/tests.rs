//! What a manifest is, what is taken for one, and what is refused.

use serde_json::{Value, json};

use super::{LAYERS_MAX, MANIFEST_BYTES_MAX, Manifest, ManifestError, Part};
use crate::oci::{BLOB_BYTES_MAX, Descriptor, DescriptorError, Digest, media_type};

fn blob(bytes: &str) -> Value {
    json!({ "digest": Digest::of(bytes.as_bytes()), "size": bytes.len() })
}

fn plain() -> Value {
    json!({ "schemaVersion": 2, "config": blob("{}"), "layers": [blob("model")] })
}

fn parse(value: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(&serde_json::to_vec(value).unwrap())
}

fn with(key: &str, value: Value) -> Value {
    let mut manifest = plain();
    manifest[key] = value;
    manifest
}

#[test]
fn what_is_written_reads_back_equal() {
    let layer = Descriptor::of(media_type::MODEL_WEIGHT, b"model")
        .with_annotation("runtime", "onnx")
        .with_annotation("name", "add");
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: Descriptor { data: Some(b"{}".into()), ..Descriptor::of(media_type::EMPTY, b"{}") },
        layers: vec![layer],
        annotations: [("created".to_owned(), "today".to_owned())].into(),
    };
    let bytes = manifest.to_bytes();
    assert_eq!(Manifest::parse(&bytes), Ok(manifest));
}

#[test]
fn the_written_form_is_fixed_to_the_byte() {
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some("a/b".to_owned()),
        config: Descriptor::of(media_type::EMPTY, b"{}"),
        layers: vec![
            Descriptor::of("m/n", b"").with_annotation("z", "1").with_annotation("a", "2"),
        ],
        annotations: [].into(),
    };
    assert_eq!(
        String::from_utf8(manifest.to_bytes()).unwrap(),
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"artifactType\":\"a/b\",\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\
         \"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\
         \"size\":2},\"layers\":[{\"mediaType\":\"m/n\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8\
         996fb92427ae41e4649b934ca495991b7852b855\",\"size\":0,\"annotations\":{\"a\":\"2\",\
         \"z\":\"1\"}}]}"
    );
}

#[test]
fn missing_media_types_null_annotations_and_unknown_keys_are_taken() {
    let mut value = with("annotations", json!({ "kept": "yes", "dropped": null }));
    value["layers"][0]["annotations"] = json!({ "name": "m", "runtime": null });
    value["layers"][0]["urls"] = json!(["x"]);
    value["subject"] = json!({ "any": "thing" });
    let manifest = parse(&value).unwrap();
    assert_eq!(manifest.media_type, media_type::MANIFEST);
    assert_eq!(manifest.layers[0].media_type, media_type::OCTET_STREAM);
    assert_eq!(manifest.layers[0].annotations, [("name".to_owned(), "m".to_owned())].into());
    assert_eq!(manifest.annotations, [("kept".to_owned(), "yes".to_owned())].into());
}

#[test]
fn a_list_of_layers_that_is_null_is_an_empty_one() {
    assert_eq!(parse(&with("layers", Value::Null)).unwrap().layers, []);
}

#[test]
fn each_thing_that_is_no_manifest_is_refused_by_name() {
    let index = json!({ "schemaVersion": 2, "manifests": [] });
    let cases = [
        ("an index by shape", index, ManifestError::Index),
        ("an index by type", with("mediaType", json!(media_type::INDEX)), ManifestError::Index),
        ("a list", with("mediaType", json!(media_type::DOCKER_LIST)), ManifestError::Index),
        ("schema 1", with("schemaVersion", json!(1)), ManifestError::SchemaOne),
        ("signed", with("signatures", json!([{}])), ManifestError::SchemaOne),
        (
            "signed by type",
            with("mediaType", json!(media_type::DOCKER_SIGNED)),
            ManifestError::SchemaOne,
        ),
        (
            "version 3",
            with("schemaVersion", json!(3)),
            ManifestError::SchemaVersion { found: "3".into() },
        ),
        (
            "no version",
            with("schemaVersion", Value::Null),
            ManifestError::SchemaVersion { found: "absent".into() },
        ),
        ("no config", json!({ "schemaVersion": 2, "layers": [] }), ManifestError::NoConfig),
        (
            "many layers",
            with("layers", vec![blob("model"); LAYERS_MAX + 1].into()),
            ManifestError::TooManyLayers { found: LAYERS_MAX + 1 },
        ),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(name, value, expected)| {
            let found = parse(value);
            (found.as_ref() != Err(expected)).then_some((name, found))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_web_page_is_not_json_and_a_list_has_not_the_shape() {
    assert!(matches!(Manifest::parse(b"<html>"), Err(ManifestError::NotJson { line: 1, .. })));
    assert!(matches!(Manifest::parse(b"[1]"), Err(ManifestError::Shape { .. })));
    assert!(matches!(Manifest::parse(b""), Err(ManifestError::NotJson { .. })));
}

#[test]
fn a_long_wrong_value_does_not_flood_the_sentence() {
    let error = parse(&with("layers", json!("x".repeat(100_000)))).unwrap_err();
    assert!(error.to_string().chars().count() < 300, "{error}");
}

#[test]
fn each_broken_layer_is_refused_with_its_number() {
    let digest = Digest::of(b"model");
    let over = BLOB_BYTES_MAX + 1;
    let cases = [
        (json!({ "size": 1 }), DescriptorError::NoDigest),
        (json!({ "digest": digest }), DescriptorError::NoSize),
        (json!({ "digest": digest, "size": -1 }), DescriptorError::NotASize { found: "-1".into() }),
        (
            json!({ "digest": digest, "size": 1.5 }),
            DescriptorError::NotASize { found: "1.5".into() },
        ),
        (
            json!({ "digest": digest, "size": over }),
            DescriptorError::TooLarge { size: over, bytes_max: BLOB_BYTES_MAX },
        ),
        (
            json!({ "digest": digest, "size": 5, "annotations": { "n": 1 } }),
            DescriptorError::Annotation { key: "n".into() },
        ),
        (
            json!({ "digest": digest, "size": 5, "data": "bW9kZWs=" }),
            DescriptorError::DataOff { digest },
        ),
    ];
    for (layer, source) in cases {
        let found = parse(&with("layers", json!([blob("good"), layer])));
        assert_eq!(found, Err(ManifestError::Broken { part: Part::Layer(2), source }));
    }
}

#[test]
fn a_blob_that_is_named_twice_has_one_size() {
    let mut other = blob("model");
    let twice = parse(&with("layers", json!([blob("model"), other]))).unwrap();
    assert_eq!(twice.layers.len(), 2);
    other["size"] = json!(6);
    let digest = Digest::of(b"model");
    let expected = ManifestError::TwoSizes { digest, first: 5, second: 6 };
    assert_eq!(parse(&with("layers", json!([blob("model"), other]))), Err(expected));
}

#[test]
fn embedded_data_that_are_the_blob_are_kept() {
    let mut value = plain();
    value["config"]["data"] = json!("e30=");
    assert_eq!(parse(&value).unwrap().config.data.as_deref(), Some(b"{}".as_slice()));
}

#[test]
fn more_bytes_than_the_limit_are_not_even_looked_at() {
    let bytes = vec![b' '; usize::try_from(MANIFEST_BYTES_MAX).unwrap() + 1];
    assert_eq!(Manifest::parse(&bytes), Err(ManifestError::TooLarge { size: bytes.len() }));
}

#[test]
fn no_prefix_and_no_flipped_byte_makes_the_parser_panic() {
    let bytes = serde_json::to_vec(&plain()).unwrap();
    for at in 0..bytes.len() {
        assert!(Manifest::parse(&bytes[..at]).is_err());
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x21;
        // Some flips hit free text and are still a manifest; none may panic.
        let _ = Manifest::parse(&flipped);
    }
}
