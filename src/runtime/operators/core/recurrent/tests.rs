//! Recurrent layers on kernels held against those of one value at a time, and against tract's.

use super::layer::Layer;
use super::{Kind, prepared};
use crate::runtime::operators;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::*;

/// How far a state may be off: both ways round differently at each of some tens of steps.
const DIFFERENCE_MAX: f32 = 1e-5;

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn tensor(&mut self, shape: &[usize], reach: f32) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| ((self.below(20_001) as f32) / 10_000.0 - 1.0) * reach).collect();
        Tensor::from_shape(shape, &values).unwrap()
    }
}

/// A layer with its inputs, of which an empty name is left out.
struct Try {
    node: NodeProto,
    kind: Kind,
    inputs: Vec<(String, Tensor)>,
}

fn integer(name: &str, value: i64) -> AttributeProto {
    let kind = AttributeType::Int as i32;
    AttributeProto { name: name.into(), r#type: kind, i: value, ..Default::default() }
}

/// `is_plain` keeps to what tract computes too.
fn random_try(random: &mut Random, is_plain: bool) -> Try {
    let (kind, op, gates) = [
        (Kind::Lstm, "LSTM", 4),
        (Kind::Rnn, "RNN", 1),
        (Kind::Gru { linear_before_reset: true }, "GRU", 3),
        (Kind::Gru { linear_before_reset: false }, "GRU", 3),
    ][random.below(4)];
    let hidden = [1, 3, 8, 15, 16, 17, 33, 64][random.below(8)];
    let input = 1 + random.below(40);
    let batch = [1, 1, 2, 3, 4, 5, 6, 7, 13, 32][random.below(10)];
    let steps = [1, 2, 7, 40][random.below(4)];
    let way = ["forward", "bidirectional", "reverse"][random.below(if is_plain { 2 } else { 3 })];
    let directions = if way == "bidirectional" { 2 } else { 1 };
    let is_batch_first = !is_plain && random.below(2) == 0;
    let mut attribute = vec![
        integer("hidden_size", hidden as i64),
        integer("layout", i64::from(is_batch_first)),
        integer("linear_before_reset", i64::from(kind == Kind::Gru { linear_before_reset: true })),
        AttributeProto {
            name: "direction".into(),
            r#type: AttributeType::String as i32,
            s: way.into(),
            ..Default::default()
        },
    ];
    if !is_plain && random.below(2) == 0 {
        let r#type = AttributeType::Float as i32;
        attribute.push(AttributeProto {
            name: "clip".into(),
            r#type,
            f: 0.7,
            ..Default::default()
        });
    }
    let (first, x) = match is_batch_first {
        true => ([batch, directions, hidden], [batch, steps, input]),
        false => ([directions, batch, hidden], [steps, batch, input]),
    };
    let reach = 1.5 / (hidden as f32).sqrt();
    let mut inputs = vec![
        ("x".to_owned(), random.tensor(&x, 2.0)),
        ("w".to_owned(), random.tensor(&[directions, gates * hidden, input], reach)),
        ("r".to_owned(), random.tensor(&[directions, gates * hidden, hidden], reach)),
    ];
    let mut names = vec!["x", "w", "r"];
    let mut maybe = |random: &mut Random, name: &'static str, tensor: Option<Tensor>| {
        let tensor = tensor.filter(|_| random.below(3) > 0);
        names.push(if tensor.is_some() { name } else { "" });
        inputs.extend(tensor.map(|tensor| (name.to_owned(), tensor)));
    };
    let bias = random.tensor(&[directions, 2 * gates * hidden], 1.0);
    maybe(random, "b", Some(bias));
    let lengths: Vec<i32> = (0..batch).map(|_| random.below(steps + 1) as i32).collect();
    maybe(random, "lengths", (!is_plain).then(|| tensor1(&lengths)));
    let state = random.tensor(&first, 1.0);
    maybe(random, "h", Some(state));
    if kind == Kind::Lstm {
        if !is_plain && random.below(2) == 0 {
            attribute.push(integer("input_forget", 1));
        }
        let state = random.tensor(&first, 1.0);
        maybe(random, "c", Some(state));
        let peepholes = random.tensor(&[directions, 3 * hidden], 1.0);
        maybe(random, "p", Some(peepholes));
    }
    let outputs = if kind == Kind::Lstm { &["y", "y_h", "y_c"][..] } else { &["y", "y_h"] };
    let node = NodeProto {
        op_type: op.into(),
        name: "layer".into(),
        input: names.into_iter().map(str::to_owned).collect(),
        output: outputs.iter().map(|name| (*name).to_owned()).collect(),
        attribute,
        ..Default::default()
    };
    Try { node, kind, inputs }
}

impl Try {
    /// What a reader of ONNX makes of it; weights are constants, the other inputs are given.
    fn answers(&self, onnx: &tract_onnx::Onnx, prepare: bool) -> Vec<Tensor> {
        let is_weight = |name: &str| ["w", "r", "b", "p"].contains(&name);
        let initializer = self.inputs.iter().filter(|(name, _)| is_weight(name)).map(stored);
        let given: Vec<&(String, Tensor)> =
            self.inputs.iter().filter(|(name, _)| !is_weight(name)).collect();
        let proto = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 14 }],
            graph: Some(GraphProto {
                name: "try".into(),
                node: vec![self.node.clone()],
                initializer: initializer.collect(),
                input: given.iter().map(|it| port(&it.0, &it.1)).collect(),
                output: self
                    .node
                    .output
                    .iter()
                    .map(|name| ValueInfoProto { name: name.clone(), ..Default::default() })
                    .collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut model = onnx.parse(&proto, None).unwrap().model.into_typed().unwrap();
        model.declutter().unwrap();
        if prepare {
            operators::prepare(&mut model).unwrap();
            let is_packed = |node: &TypedNode| node.op_is::<prepared::Prepared>();
            assert!(model.nodes().iter().any(is_packed), "no layer was packed");
        }
        let plan = TypedSimplePlan::new(model.into_optimized().unwrap()).unwrap();
        let inputs = given.iter().map(|it| it.1.clone().into_tvalue()).collect();
        plan.run(inputs).unwrap().into_iter().map(TValue::into_tensor).collect()
    }

    /// What the loops over one value at a time come to.
    fn plain(&self) -> Vec<Tensor> {
        let layer = Layer::read(&self.node, self.kind, false).unwrap();
        let inputs: Vec<TValue> =
            self.inputs.iter().map(|(_, tensor)| tensor.clone().into_tvalue()).collect();
        let sizes = layer.sizes(inputs[0].shape(), inputs[1].shape(), inputs[2].shape()).unwrap();
        let answers = layer.run_plain(&inputs, sizes).unwrap();
        answers.into_iter().map(TValue::into_tensor).collect()
    }
}

fn stored((name, tensor): &(String, Tensor)) -> TensorProto {
    TensorProto {
        name: name.clone(),
        dims: tensor.shape().iter().map(|extent| *extent as i64).collect(),
        data_type: tensor_proto::DataType::Float as i32,
        float_data: floats(tensor).to_vec(),
        ..Default::default()
    }
}

fn port(name: &str, tensor: &Tensor) -> ValueInfoProto {
    let elem_type = match tensor.datum_type() == i32::datum_type() {
        true => tensor_proto::DataType::Int32,
        false => tensor_proto::DataType::Float,
    };
    let dim = tensor.shape().iter().map(|extent| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(*extent as i64)),
        ..Default::default()
    });
    let shape = Some(tract_onnx::pb::TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type: elem_type as i32, shape };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(tract_onnx::pb::TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

fn floats(tensor: &Tensor) -> &[f32] {
    tensor.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap()
}

fn assert_near(found: &[Tensor], expected: &[Tensor], what: &NodeProto) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.shape(), expected.shape());
        for (found, expected) in floats(found).iter().zip(floats(expected)) {
            let allowed = DIFFERENCE_MAX * expected.abs().max(1.0);
            assert!((found - expected).abs() <= allowed, "{found} {expected} {what:?}");
        }
    }
}

#[test]
fn layers_on_kernels_answer_as_one_value_at_a_time_does() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let onnx = operators::onnx();
    for _ in 0..150 {
        let this = random_try(&mut random, false);
        let expected = this.plain();
        assert_near(&this.answers(&onnx, prepared::is_on()), &expected, &this.node);
        // Weights that a graph does not have are packed when they come.
        assert_near(&this.answers(&onnx, false), &expected, &this.node);
    }
}

#[test]
fn layers_on_kernels_answer_as_tract_does() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (ours, tracts) = (operators::onnx(), onnx());
    for _ in 0..100 {
        let this = random_try(&mut random, true);
        let expected = this.answers(&tracts, false);
        assert_near(&this.answers(&ours, prepared::is_on()), &expected, &this.node);
    }
}
