//! Models with half a megabyte of weights, among the stored tensors, in a node and as integers, and what they answer to the bit.

use crate::runtime::{Deadline, Model, RunError};
use crate::tensor::{Data, Tensor};
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT64: i32 = 7;

/// What rows become.
const COLUMNS: i64 = 2048;
const COLUMNS_COUNTED: i64 = 8192;

fn port(name: &str, elem_type: i32, extents: &[Option<i64>]) -> ValueInfoProto {
    let dim = extents.iter().map(|extent| {
        let value = extent.map(dimension::Value::DimValue);
        let value = value.unwrap_or_else(|| dimension::Value::DimParam("batch".into()));
        Dimension { value: Some(value), ..Dimension::default() }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type, shape };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        ..NodeProto::default()
    }
}

fn stored(name: &str, data_type: i32, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    let (name, dims) = (name.to_owned(), dims.to_vec());
    TensorProto { name, data_type, dims, raw_data, ..TensorProto::default() }
}

fn weights() -> TensorProto {
    let weights = (0..64 * 2048).map(|it| (it % 1009) as f32 / 509.0 - 1.0);
    stored("w", FLOAT, &[64, COLUMNS], weights.flat_map(f32::to_le_bytes).collect())
}

/// The file of a graph that takes rows of 64 as `x` and gives rows of so many as `y`.
fn file(columns: i64, graph: GraphProto) -> Vec<u8> {
    let output = vec![port("y", FLOAT, &[None, Some(columns)])];
    let graph = GraphProto { name: "g".into(), output, ..graph };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
    let model =
        ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() };
    model.encode_to_vec()
}

/// A product of rows with weights among the stored tensors.
pub(in crate::runtime) fn product() -> Vec<u8> {
    let graph = GraphProto {
        node: vec![node("MatMul", &["x", "w"], "y")],
        initializer: vec![weights()],
        input: vec![port("x", FLOAT, &[None, Some(64)])],
        ..GraphProto::default()
    };
    file(COLUMNS, graph)
}

/// A product of codes with integers among the stored tensors, and what it comes to as floats.
pub(in crate::runtime) fn counted() -> Vec<u8> {
    let float = |name: &str, value: f32| stored(name, FLOAT, &[], value.to_le_bytes().to_vec());
    let integers = (0..64 * COLUMNS_COUNTED).map(|it| (it * it % 251) as u8).collect();
    let graph = GraphProto {
        node: vec![
            node("QuantizeLinear", &["x", "x_scale", "x_zero"], "q"),
            node(
                "QLinearMatMul",
                &["q", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "x_zero"],
                "r",
            ),
            node("DequantizeLinear", &["r", "y_scale", "x_zero"], "y"),
        ],
        initializer: vec![
            stored("w", INT8, &[64, COLUMNS_COUNTED], integers),
            float("x_scale", 0.01),
            stored("x_zero", UINT8, &[], vec![117]),
            float("w_scale", 0.02),
            stored("w_zero", INT8, &[], vec![3]),
            float("y_scale", 0.15),
        ],
        input: vec![port("x", FLOAT, &[None, Some(64)])],
        ..GraphProto::default()
    };
    file(COLUMNS_COUNTED, graph)
}

/// A product of rows in a shape that comes with them, with weights in a node.
pub(in crate::runtime) fn shaped() -> Vec<u8> {
    let stored = TensorProto { name: String::new(), ..weights() };
    let value = AttributeProto {
        name: "value".into(),
        r#type: 4,
        t: Some(stored),
        ..AttributeProto::default()
    };
    let constant = NodeProto { attribute: vec![value], ..node("Constant", &[], "w") };
    let graph = GraphProto {
        node: vec![
            constant,
            node("Reshape", &["x", "shape"], "r"),
            node("MatMul", &["r", "w"], "y"),
        ],
        input: vec![port("x", FLOAT, &[None, Some(64)]), port("shape", INT64, &[Some(2)])],
        ..GraphProto::default()
    };
    file(COLUMNS, graph)
}

/// The values of so many rows.
pub(in crate::runtime) fn values(rows: usize) -> Vec<f32> {
    (0..rows * 64).map(|it| (it % 23) as f32 / 11.0 - 1.0).collect()
}

/// The bits of what a model makes of so many rows, with their shape where it asks for that.
pub(in crate::runtime) fn answer(model: &Model, rows: usize) -> Result<Vec<u32>, RunError> {
    let x = Tensor::new(vec![rows, 64], Data::F32(values(rows).into())).unwrap();
    let shape = Tensor::new(vec![2], Data::I64(vec![rows as i64, 64].into())).unwrap();
    let inputs = &[x, shape][..model.inputs().len()];
    let output = model.compute(inputs, Deadline::NONE)?.remove(0);
    let Data::F32(values) = output.tensor.into_data() else { panic!("not floats") };
    Ok(values.iter().map(|value| value.to_bits()).collect())
}
