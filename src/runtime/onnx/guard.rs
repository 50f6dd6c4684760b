//! Keeps convolutions apart from what subtracts them or is divided by them: tract folds these wrongly.

use std::collections::HashSet;
use tract_onnx::pb::{GraphProto, NodeProto};

/// What stands between a convolution and an arithmetic node without keeping tract from folding the
/// second into the first: what it folds itself, and what gives the same values in another form.
const PASSING: [&str; 11] = [
    "Add",
    "BatchNormalization",
    "Cast",
    "Div",
    "Dropout",
    "Identity",
    "Mul",
    "Reshape",
    "Squeeze",
    "Sub",
    "Unsqueeze",
];

/// Puts signs about what a convolution is the second operand of.
///
/// Where a value for each channel minus a convolution is asked for, tract 0.23.9 changes the bias, and
/// leaves the kernel as it is (`declutter_channel_arithmetic_succ`); where it is divided by one, it
/// divides by the kernel. It does neither with a change of sign between, which is exact: `a - b` is
/// `a + (-b)`, and `a / b` is `(-a) / (-b)`.
pub(super) fn guard(graph: &mut GraphProto) {
    let mut convolved = HashSet::new();
    for node in std::mem::take(&mut graph.node) {
        let comes_from_one = |name: &String| convolved.contains(name);
        let is_own = node.domain.is_empty();
        let is_second = node.input.get(1).is_some_and(comes_from_one);
        let goes_on = match node.op_type.as_str() {
            "Conv" => is_own,
            operator if PASSING.contains(&operator) => {
                is_own && node.input.iter().any(comes_from_one)
            }
            _ => false,
        };
        if goes_on {
            convolved.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
        match node.op_type.as_str() {
            "Sub" if is_own && is_second => turned(graph, node, &[1], "Add"),
            "Div" if is_own && is_second => turned(graph, node, &[0, 1], "Div"),
            _ => graph.node.push(node),
        }
    }
}

/// The node as another operator, with those of its operands negated.
fn turned(graph: &mut GraphProto, mut node: NodeProto, operands: &[usize], operator: &str) {
    for place in operands {
        let Some(operand) = node.input.get_mut(*place) else { continue };
        let name = format!("{}.minus_{place}", node.output.first().map_or("", String::as_str));
        graph.node.push(NodeProto {
            name: name.clone(),
            op_type: "Neg".to_owned(),
            input: vec![std::mem::replace(operand, name.clone())],
            output: vec![name],
            ..NodeProto::default()
        });
    }
    operator.clone_into(&mut node.op_type);
    graph.node.push(node);
}
