//! Forms of operators that tract reads past: it would compute another form, without a word.

use super::survey::{Findings, shown};
use tract_onnx::pb::{AttributeProto, NodeProto};

/// Notes what of `node` would be ignored.
pub(super) fn check(node: &NodeProto, findings: &mut Findings) {
    if !node.domain.is_empty() {
        return;
    }
    let attribute = |name: &str| node.attribute.iter().find(|one| one.name == name);
    let integer = |name: &str| attribute(name).map_or(0, |one| one.i);
    let what = match node.op_type.as_str() {
        "GRU" => recurrent(node, &["sigmoid", "tanh"]),
        "LSTM" => recurrent(node, &["sigmoid", "tanh", "tanh"]),
        "RNN" => recurrent(node, &["tanh"]),
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

/// A recurrent layer with other functions than the usual, or a bound on what goes into them.
fn recurrent(node: &NodeProto, usual: &[&str]) -> Option<String> {
    let attribute = |name: &str| node.attribute.iter().find(|one| one.name == name);
    let unusual = |activations: &&AttributeProto| {
        let names = activations.strings.iter();
        let same = |(name, usual): (&Vec<u8>, &&str)| name.eq_ignore_ascii_case(usual.as_bytes());
        !names.zip(usual.iter().cycle()).all(same)
    };
    if attribute("activations").filter(unusual).is_some() {
        return Some(format!("with other functions than {}", usual.join(", ")));
    }
    if attribute("clip").is_some_and(|one| one.f != 0.0) {
        return Some("with `clip`".into());
    }
    attribute("input_forget").filter(|one| one.i != 0).map(|_| "with `input_forget`".into())
}
