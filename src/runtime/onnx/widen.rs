//! Nets in half precision, computed in single precision: 16 bits go in and out, and lie in between nowhere.

// A sum in 16 bits loses a thousandth with each dozen of values, and few processors add them up any
// faster. onnxruntime computes such nets in 32 bits on a CPU, so what people measured is that.

use half::f16;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto,
    type_proto,
};

/// The attributes that tell the type of what a node makes.
const TYPES_MADE: [&str; 3] = ["dtype", "output_dtype", "to"];

/// Makes every 16-bit float of the model one of 32 bits, but for those of its inputs and outputs.
pub(in super::super) fn widen(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let stored: HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let given = graph.input.iter().filter(|input| !stored.contains(input.name.as_str()));
    let given: Vec<String> = given.filter(|one| is_half(one)).map(|one| one.name.clone()).collect();
    let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let made = graph.output.iter().filter(|output| {
        // What goes in and out again, or is stored, is no node's.
        is_half(output)
            && (stored.contains(output.name.as_str()) || !inputs.contains(output.name.as_str()))
    });
    let made: HashSet<String> = made.map(|output| output.name.clone()).collect();
    let wide = |name: &String| (name.clone(), format!("{name}#wide"));
    let names: HashMap<String, String> = given.iter().chain(&made).map(wide).collect();
    let ports = (graph.input.clone(), graph.output.clone());
    walk(graph, &names);
    (graph.input, graph.output) = ports;
    for input in graph.input.iter_mut().filter(|input| !given.contains(&input.name)) {
        widened(input);
    }
    let cast = |from: &str, to: &str, element: DataType| NodeProto {
        name: format!("{to}#cast"),
        op_type: "Cast".into(),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        attribute: vec![AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int as i32,
            i: element as i64,
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    };
    let first = given.iter().map(|name| cast(name, &names[name], DataType::Float));
    graph.node.splice(0..0, first);
    graph.node.extend(made.iter().map(|name| cast(&names[name], name, DataType::Float16)));
}

fn is_half(value: &ValueInfoProto) -> bool {
    let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &value.r#type
    else {
        return false;
    };
    tensor.elem_type == DataType::Float16 as i32
}

fn widened(value: &mut ValueInfoProto) {
    if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) =
        &mut value.r#type
        && tensor.elem_type == DataType::Float16 as i32
    {
        tensor.elem_type = DataType::Float as i32;
    }
}

/// Widens what a graph holds, and gives the values in `names` their other name.
fn walk(graph: &mut GraphProto, names: &HashMap<String, String>) {
    let renamed = |name: &mut String| {
        if let Some(other) = names.get(name) {
            name.clone_from(other);
        }
    };
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    for value in values {
        widened(value);
        renamed(&mut value.name);
    }
    for tensor in &mut graph.initializer {
        widened_tensor(tensor);
        renamed(&mut tensor.name);
    }
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(renamed);
        for attribute in &mut node.attribute {
            let half = attribute.i == DataType::Float16 as i64;
            if half && TYPES_MADE.contains(&attribute.name.as_str()) {
                attribute.i = DataType::Float as i64;
            }
            attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(widened_tensor);
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                walk(graph, names);
            }
        }
    }
}

/// The tensor in 32 bits. One that has not the data that it should stays as it is, to be told.
fn widened_tensor(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Float16 as i32 {
        return;
    }
    let wide = |bits: u16| f16::from_bits(bits).to_f32().to_le_bytes();
    let bytes: Vec<u8> = if !tensor.raw_data.is_empty() {
        if !tensor.raw_data.len().is_multiple_of(2) {
            return;
        }
        let pairs = tensor.raw_data.as_chunks::<2>().0;
        pairs.iter().flat_map(|pair| wide(u16::from_le_bytes(*pair))).collect()
    } else {
        // Each stands in the lower half of an integer.
        tensor.int32_data.iter().flat_map(|bits| wide(*bits as u16)).collect()
    };
    tensor.int32_data = Vec::new();
    tensor.raw_data = bytes;
    tensor.data_type = DataType::Float as i32;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, element: DataType) -> ValueInfoProto {
        let tensor = type_proto::Tensor { elem_type: element as i32, ..Default::default() };
        let value = Some(type_proto::Value::TensorType(tensor));
        let r#type = Some(TypeProto { denotation: String::new(), value });
        ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
    }

    #[test]
    fn the_ports_stay_as_they_are_and_all_between_them_is_wide() {
        let add = NodeProto {
            op_type: "Add".into(),
            input: vec!["x".into(), "w".into()],
            output: vec!["y".into()],
            ..NodeProto::default()
        };
        let stored = TensorProto {
            name: "w".into(),
            dims: vec![2],
            data_type: DataType::Float16 as i32,
            raw_data: [0x3c00_u16, 0xc000].iter().flat_map(|bits| bits.to_le_bytes()).collect(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: vec![add],
            input: vec![value("x", DataType::Float16), value("w", DataType::Float16)],
            output: vec![value("y", DataType::Float16)],
            initializer: vec![stored],
            ..GraphProto::default()
        };
        let mut model = ModelProto { graph: Some(graph), ..ModelProto::default() };
        widen(&mut model);
        let graph = model.graph.unwrap();
        let shown = |node: &NodeProto| {
            format!("{} {} {}", node.op_type, node.input.join(" "), node.output.join(" "))
        };
        let shown: Vec<String> = graph.node.iter().map(shown).collect();
        assert_eq!(shown, ["Cast x x#wide", "Add x#wide w y#wide", "Cast y#wide y"]);
        let bytes: Vec<u8> = [1.0_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(graph.initializer[0].raw_data, bytes);
        assert_eq!([is_half(&graph.input[0]), is_half(&graph.input[1])], [true, false]);
        assert!(is_half(&graph.output[0]));
    }
}
