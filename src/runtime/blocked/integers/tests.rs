//! Stretches of integers held against the operators that they come from: equal, not near.

use super::super::operator::Blocked;
use super::steps::Work;
use super::*;
use crate::random::Random;
use crate::runtime::Model;
use prost::Message;
use std::path::Path;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{self, AttributeProto, NodeProto, TensorProto, type_proto};

/// A quantised net under construction, with numbers that are the same each time.
struct Net {
    graph: pb::GraphProto,
    random: Random,
    /// The type of all values but weights.
    element: DataType,
}

/// A value: its name, its channels and extents, and its scale and zero point by name.
#[derive(Clone)]
struct Wire {
    name: String,
    shape: [usize; 3],
    by: [String; 2],
}

impl Net {
    fn between(&mut self, low: usize, high: usize) -> usize {
        self.random.between(low, high)
    }

    fn store(&mut self, data_type: DataType, dims: &[usize], raw_data: Vec<u8>) -> String {
        let name = format!("s{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|extent| *extent as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    fn floats(&mut self, values: &[f32]) -> String {
        let dims = if values.len() == 1 { vec![] } else { vec![values.len()] };
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.store(DataType::Float, &dims, bytes)
    }

    /// A scale and a zero point.
    fn code(&mut self) -> [String; 2] {
        let scale = self.between(50, 400) as f32 / 1e4;
        let zero = [0, 117, 128, 255][self.between(0, 3)] as u8;
        let element = self.element;
        [self.floats(&[scale]), self.store(element, &[], vec![zero])]
    }

    fn node(
        &mut self,
        (domain, op_type): (&str, &str),
        input: Vec<String>,
        attributes: &[(&str, &[usize])],
    ) -> String {
        let name = format!("n{}", self.graph.node.len());
        let attribute = |(name, values): &(&str, &[usize])| AttributeProto {
            name: (*name).to_owned(),
            r#type: match *name {
                "group" | "transB" => AttributeType::Int as i32,
                _ => AttributeType::Ints as i32,
            },
            i: values[0] as i64,
            ints: values.iter().map(|value| *value as i64).collect(),
            ..AttributeProto::default()
        };
        self.graph.node.push(NodeProto {
            name: name.clone(),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            input,
            output: vec![name.clone()],
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
        name
    }

    /// Weights, and what goes with them: their scales, zeros, and a bias.
    fn weights(&mut self, dims: &[usize]) -> [String; 4] {
        let count: usize = dims.iter().product();
        let bytes = (0..count).map(|_| self.between(0, 255) as u8).collect();
        let weights = self.store(DataType::Int8, dims, bytes);
        let made = dims[0];
        let each = if self.between(0, 1) == 0 { 1 } else { made };
        let inner = (count / made) as f32;
        let scales: Vec<f32> =
            (0..each).map(|_| self.between(50, 150) as f32 / 1e4 / inner.sqrt()).collect();
        let zeros = if each == 1 { vec![] } else { vec![each] };
        let bias: Vec<u8> =
            (0..made).flat_map(|_| (self.between(0, 4_000) as i32 - 2_000).to_le_bytes()).collect();
        [
            weights,
            self.floats(&scales),
            self.store(DataType::Int8, &zeros, vec![0; each]),
            self.store(DataType::Int32, &[made], bias),
        ]
    }

    fn conv(&mut self, x: &Wire, made: usize, size: usize, stride: usize, group: usize) -> Wire {
        let [weights, scales, zeros, bias] = self.weights(&[made, x.shape[0] / group, size, size]);
        let by = self.code();
        let [x_scale, x_zero] = x.by.clone();
        let [scale, zero] = by.clone();
        let inputs =
            vec![x.name.clone(), x_scale, x_zero, weights, scales, zeros, scale, zero, bias];
        let pads = [size / 2; 4];
        let name = self.node(
            ("", "QLinearConv"),
            inputs,
            &[
                ("kernel_shape", &[size, size]),
                ("strides", &[stride, stride]),
                ("pads", &pads),
                ("group", &[group]),
            ],
        );
        let after = |extent: usize| (extent + size / 2 * 2 - size) / stride + 1;
        Wire { name, shape: [made, after(x.shape[1]), after(x.shape[2])], by }
    }

    fn sum(&mut self, one: &Wire, other: &Wire) -> Wire {
        let by = self.code();
        let terms = [one, other].into_iter().flat_map(|it| {
            let [scale, zero] = it.by.clone();
            [it.name.clone(), scale, zero]
        });
        let inputs = terms.chain(by.clone()).collect();
        let name = self.node(("com.microsoft", "QLinearAdd"), inputs, &[]);
        Wire { name, shape: one.shape, by }
    }

    fn largest(&mut self, x: &Wire) -> Wire {
        let attributes: [(&str, &[usize]); 3] =
            [("kernel_shape", &[3, 3]), ("strides", &[2, 2]), ("pads", &[1; 4])];
        let name = self.node(("", "MaxPool"), vec![x.name.clone()], &attributes);
        let [channels, height, width] = x.shape;
        let after = |extent: usize| (extent - 1) / 2 + 1;
        Wire { name, shape: [channels, after(height), after(width)], by: x.by.clone() }
    }

    /// A mean, a layer, and what comes of it.
    fn head(&mut self, x: &Wire, made: usize) -> String {
        let by = self.code();
        let mut inputs = vec![x.name.clone()];
        inputs.extend(x.by.clone().into_iter().chain(by.clone()));
        let mean = self.node(("com.microsoft", "QLinearGlobalAveragePool"), inputs, &[]);
        let flat = self.node(("", "Flatten"), vec![mean], &[]);
        let [weights, scales, zeros, bias] = self.weights(&[made, x.shape[0]]);
        let [x_scale, x_zero] = by;
        let [scale, zero] = self.code();
        let inputs = vec![flat, x_scale, x_zero, weights, scales, zeros, bias, scale, zero];
        self.node(("com.microsoft", "QGemm"), inputs, &[("transB", &[1])])
    }

    fn port(&self, name: &str, rank: usize, dims: &[usize]) -> pb::ValueInfoProto {
        let dim = (0..rank).map(|at| Dimension {
            value: dims.get(at).map(|extent| dimension::Value::DimValue(*extent as i64)),
            ..Dimension::default()
        });
        let shape = (!dims.is_empty()).then(|| pb::TensorShapeProto { dim: dim.collect() });
        let elem_type = self.element as i32;
        let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape });
        pb::ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(pb::TypeProto { value: Some(value), ..pb::TypeProto::default() }),
            ..pb::ValueInfoProto::default()
        }
    }

    /// A net of so many blocks, whose values go out on the way now and then.
    fn grown(seed: u64, blocks: usize) -> (Model, Vec<usize>) {
        let element = if seed.is_multiple_of(2) { DataType::Uint8 } else { DataType::Int8 };
        let random = Random::of(seed);
        let mut net = Net { graph: pb::GraphProto::default(), random, element };
        let shape = [[1, 3, 7, 40][net.between(0, 3)], net.between(6, 17), net.between(6, 17)];
        let by = net.code();
        let mut x = Wire { name: "x".into(), shape, by };
        let mut outputs = Vec::new();
        for block in 0..blocks {
            let channels = x.shape[0];
            let made = [8, 16, 24, 33, 48][net.between(0, 4)];
            let (size, stride) = ([1, 3, 5][net.between(0, 2)], net.between(1, 2));
            let before = x.clone();
            x = match if block == 0 { 0 } else { net.between(0, 5) } {
                0 => net.conv(&x, made, size, stride, 1),
                1 if channels > 1 => net.conv(&x, channels, size, stride, channels),
                2 | 3 => {
                    let y = net.conv(&x, channels, size, 1, 1);
                    let z = if made > 16 { net.conv(&x, channels, 1, 1, 1) } else { x };
                    if made > 24 { net.sum(&z, &y) } else { net.sum(&y, &z) }
                }
                4 => net.largest(&x),
                _ => {
                    let y = net.conv(&x, channels * 2, 1, 1, 1);
                    let y = net.conv(&y, channels * 2, 3, stride, channels * 2);
                    net.conv(&y, made, 1, 1, 1)
                }
            };
            if net.between(0, 4) == 0 && before.name != "x" {
                outputs.push((before.name, 4));
            }
        }
        outputs.push((net.head(&x, 11), 2));
        let rows = net.between(1, 3);
        let dims: Vec<usize> = std::iter::once(rows).chain(shape).collect();
        (net.model(&dims, &outputs), dims)
    }

    /// A model of rows of these extents, which gives these values, each of so many axes.
    fn model(mut self, dims: &[usize], outputs: &[(String, usize)]) -> Model {
        let net = &mut self;
        net.graph.input = vec![net.port("x", 4, dims)];
        net.graph.output = outputs.iter().map(|(name, rank)| net.port(name, *rank, &[])).collect();
        let opset = |domain: &str, version: i64| pb::OperatorSetIdProto {
            domain: domain.to_owned(),
            version,
        };
        let proto = pb::ModelProto {
            ir_version: 8,
            opset_import: vec![opset("", 17), opset("com.microsoft", 1)],
            graph: Some(self.graph),
            ..pb::ModelProto::default()
        };
        Model::from_bytes(proto.encode_to_vec()).unwrap()
    }
}

fn run(model: TypedModel, input: &Tensor) -> Vec<Tensor> {
    let mut state = TypedSimplePlan::new(model).unwrap().spawn().unwrap();
    let outputs = state.run(tvec!(input.clone().into_tvalue())).unwrap();
    outputs.into_iter().map(|output| output.into_tensor()).collect()
}

fn operators(model: &TypedModel) -> usize {
    model.nodes().iter().filter(|node| node.op_is::<Blocked<Work>>()).count()
}

/// Values all over their range, the same each time.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::of(seed);
    (0..count).map(|_| (random.next() >> 20) as u8).collect()
}

#[test]
fn a_quantised_net_gives_what_its_operators_give_to_the_last_bit() {
    for seed in 0..24 {
        let (model, dims) = Net::grown(seed, 1 + seed as usize % 6);
        let typed = model.plans.typed();
        let bytes = noise(dims.iter().product(), seed);
        let mut input = Tensor::zero_dt(typed.input_fact(0).unwrap().datum_type, &dims).unwrap();
        input.try_as_plain_ram_mut().unwrap().as_bytes_mut().copy_from_slice(&bytes);
        let theirs = run(typed.clone(), &input);
        for kind in Kind::all() {
            let mut ours = typed.clone();
            assert!(rewrite_for(kind, &mut ours, &Known::default()).unwrap() > 0, "net {seed}");
            assert!(operators(&ours) > 0, "net {seed}");
            assert!(run(ours, &input) == theirs, "net {seed}, {kind:?}");
        }
    }
}

#[test]
fn an_image_that_is_stored_is_there_when_a_stretch_runs() {
    let (random, element) = (Random::of(5), DataType::Uint8);
    let mut net = Net { graph: pb::GraphProto::default(), random, element };
    let (shape, by) = ([24, 6, 6], net.code());
    let stored = net.store(element, &[1, 24, 6, 6], noise(24 * 6 * 6, 7));
    let x = Wire { name: "x".into(), shape, by: by.clone() };
    let y = net.conv(&x, 24, 3, 1, 1);
    let sum = net.sum(&y, &Wire { name: stored, shape, by });
    let dims = [1, 24, 6, 6];
    let typed = net.model(&dims, &[(sum.name, 4)]).plans.typed();
    let input = Tensor::from_shape(&dims, &noise(24 * 6 * 6, 9)).unwrap();
    let theirs = run(typed.clone(), &input);
    let mut ours = typed;
    assert!(rewrite_for(Kind::best(), &mut ours, &Known::default()).unwrap() > 0);
    assert!(run(ours, &input) == theirs);
}

#[test]
fn nets_of_onnxruntimes_quantiser_become_one_operator_and_stay_the_same() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantised");
    for form in ["qdq_u8s8_channel", "qoperator_s8s8_tensor"] {
        for net in ["resnet", "mobilenet"] {
            let model = Model::load(&fixtures.join(format!("{net}_{form}.onnx"))).unwrap();
            let typed = model.plans.typed();
            let symbols = typed.symbols.all_symbols();
            let two = symbols.into_iter().map(|symbol| (symbol, 2.into())).collect();
            let typed = typed.set_symbols(&two).unwrap();
            let shape = typed.input_fact(0).unwrap().shape.as_concrete().unwrap().to_vec();
            let bytes = noise(shape.iter().product(), 3);
            let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 50.0 - 2.5).collect();
            let input = Tensor::from_shape(&shape, &values).unwrap();
            let theirs = run(typed.clone(), &input);
            for kind in Kind::all() {
                let mut ours = typed.clone();
                assert_eq!(
                    rewrite_for(kind, &mut ours, &Known::default()).unwrap(),
                    1,
                    "{net} {form}"
                );
                assert!(run(ours, &input) == theirs, "{net} {form} {kind:?}");
            }
        }
    }
}
