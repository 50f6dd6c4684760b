//! An artifact that another tool pushed: one ONNX file and no pipeline definition.

use crate::oci::{Descriptor, Manifest, TITLE};
use crate::pipeline::{
    Definition, LogPolicy, ModelEntry, ModelKey, RUNTIME_ONNX, Step, derived_version,
};

/// A pipeline of one step for the one ONNX layer of `manifest`, called `name`.
///
/// A layer is ONNX by the end of its title, as ORAS and ModelPack write it, or by being the only
/// one. `None` when that does not settle on one layer.
pub(super) fn definition(name: &str, manifest: &Manifest) -> Option<Definition> {
    let titled = |layer: &&Descriptor| {
        layer.annotations.get(TITLE).is_some_and(|title| title.ends_with(".onnx"))
    };
    let mut onnx = manifest.layers.iter().filter(titled);
    let layer = match (onnx.next(), onnx.next(), manifest.layers.as_slice()) {
        (Some(layer), None, _) | (None, None, [layer]) => layer,
        (Some(_), Some(_), _) | (None, _, _) => return None,
    };
    let title = layer.annotations.get(TITLE).and_then(|title| title.rsplit('/').next());
    let model = title.map_or(name, |title| title.trim_end_matches(".onnx"));
    let key = ModelKey {
        name: if model.is_empty() { name } else { model }.to_owned(),
        version: derived_version(&layer.digest),
        sha: layer.digest,
    };
    Some(Definition {
        name: name.to_owned(),
        version: derived_version(&layer.digest),
        steps: vec![Step::ModelInference(vec![key.clone()])],
        models: vec![ModelEntry {
            key,
            runtime: RUNTIME_ONNX.to_owned(),
            tensor_fields: Vec::new(),
        }],
        inputs: Vec::new(),
        outputs: Vec::new(),
        known_answers: None,
        log: LogPolicy::default(),
        created: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type;

    fn manifest(titles: &[Option<&str>]) -> Manifest {
        let layer = |title: &Option<&str>| {
            let bytes = title.unwrap_or("untitled");
            let layer = Descriptor::of(media_type::OCTET_STREAM, bytes.as_bytes());
            title.map_or(layer.clone(), |title| layer.with_annotation(TITLE, title))
        };
        Manifest {
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: None,
            config: Descriptor::of(media_type::EMPTY, b"{}"),
            layers: titles.iter().map(layer).collect(),
            annotations: [].into(),
        }
    }

    #[test]
    fn the_one_onnx_layer_becomes_a_pipeline_of_one_step() {
        let cases: [(&[Option<&str>], Option<&str>); 6] = [
            (&[Some("fraud.onnx")], Some("fraud")),
            (&[Some("README.md"), Some("model/fraud.onnx")], Some("fraud")),
            (&[None], Some("repository")),
            (&[Some("a.onnx"), Some("b.onnx")], None),
            (&[None, None], None),
            (&[], None),
        ];
        for (titles, model) in cases {
            let found = definition("repository", &manifest(titles));
            let name = found.as_ref().map(|found| found.models[0].key.name.as_str());
            assert_eq!(name, model, "{titles:?}");
            assert!(found.is_none_or(|found| found.name == "repository"));
        }
    }
}
