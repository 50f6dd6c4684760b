//! Brings what may be said in several ways into the one that tract understands.

use super::guard::guard;
use super::unfold::unfold;
use super::whole;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Settles every graph of the model, those inside of nodes too.
pub(super) fn settle(model: &mut ModelProto) {
    let own = model.opset_import.iter().find(|set| ["", "ai.onnx"].contains(&set.domain.as_str()));
    let operator_set = own.map_or(0, |set| set.version);
    if let Some(graph) = &mut model.graph {
        graph_settled(graph, operator_set, false);
    }
}

fn graph_settled(graph: &mut GraphProto, operator_set: i64, is_inside: bool) {
    graph.initializer.iter_mut().for_each(raw);
    for node in &mut graph.node {
        own_domain(node);
        for attribute in &mut node.attribute {
            attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(raw);
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                graph_settled(graph, operator_set, true);
            }
        }
    }
    whole::settle(graph, is_inside);
    unfold(graph, operator_set);
    guard(graph);
}

/// ONNX's own domain has two spellings.
fn own_domain(node: &mut NodeProto) {
    if node.domain == "ai.onnx" {
        node.domain.clear();
    }
}

/// Unsigned integers lie in `uint64_data`; tract looks for them elsewhere, and takes raw bytes.
fn raw(tensor: &mut TensorProto) {
    if !tensor.raw_data.is_empty() || tensor.uint64_data.is_empty() {
        return;
    }
    let values = std::mem::take(&mut tensor.uint64_data);
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Uint32) => {
            let bytes = values.iter().flat_map(|value| (*value as u32).to_le_bytes());
            tensor.raw_data = bytes.collect();
        }
        Ok(DataType::Uint64) => {
            tensor.raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        }
        // Of no use to another type; the data that it lacks is missed later.
        _ => tensor.uint64_data = values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_integers_become_raw_bytes() {
        let mut tensor = TensorProto {
            data_type: DataType::Uint32 as i32,
            uint64_data: vec![1, 1 << 31],
            ..TensorProto::default()
        };
        raw(&mut tensor);
        assert_eq!(tensor.raw_data, [1, 0, 0, 0, 0, 0, 0, 0x80]);
    }
}
