//! Attributes of single nodes that tract divides by, or trusts otherwise.

use super::survey::{Findings, shown};
use tract_onnx::pb::NodeProto;

/// Attributes that count something there must be one of.
const AT_LEAST_ONE: [&str; 5] = ["strides", "dilations", "kernel_shape", "group", "blocksize"];

/// The largest extent of a window, a step or a padding. It keeps sums of them far from any
/// overflow; a feature map has some thousand values along an axis.
const EXTENT_MAX: i64 = 1 << 31;

/// Notes what is wrong with the attributes of `node`.
pub(super) fn check(node: &NodeProto, findings: &mut Findings) {
    for attribute in &node.attribute {
        let name = attribute.name.as_str();
        let single = [attribute.i];
        let values = if attribute.ints.is_empty() { &single[..] } else { &attribute.ints };
        let lists = AT_LEAST_ONE.contains(&name) || name == "pads" || name == "output_padding";
        if !lists || (name != "group" && name != "blocksize" && attribute.ints.is_empty()) {
            continue;
        }
        let least = if AT_LEAST_ONE.contains(&name) { 1 } else { -EXTENT_MAX };
        if let Some(value) = values.iter().find(|value| !(least..=EXTENT_MAX).contains(*value)) {
            findings.fault(format!(
                "node `{}` ({}) has {value} in `{name}`, which must be at least {least}",
                shown(node),
                node.op_type
            ));
        }
    }
}
