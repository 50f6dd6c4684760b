//! Forms of operators that tract reads past: it would compute another form, without a word.

use super::survey::{Findings, shown};
use tract_onnx::pb::NodeProto;

/// Notes what of `node` would be ignored.
pub(super) fn check(node: &NodeProto, findings: &mut Findings) {
    if !node.domain.is_empty() {
        return;
    }
    let attribute = |name: &str| node.attribute.iter().find(|one| one.name == name);
    let integer = |name: &str| attribute(name).map_or(0, |one| one.i);
    let what = match node.op_type.as_str() {
        "Attention" => ["left_window_size", "right_window_size"]
            .into_iter()
            .find(|name| attribute(name).is_some_and(|one| one.i != -1))
            .map(|name| format!("with `{name}`")),
        "BatchNormalization" if integer("training_mode") != 0 => Some("in training mode".into()),
        "Constant" if attribute("sparse_value").is_some() => Some("of a sparse value".into()),
        _ => None,
    };
    if let Some(what) = what {
        findings.fault(format!(
            "node `{}` is {} {what}, a form that this runtime does not have",
            shown(node),
            node.op_type
        ));
    }
}
