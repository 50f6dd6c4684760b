//! Products of integers held against the operators that they come from: equal, not near.

mod crossed;

use super::*;
use crate::runtime::Model;
use crate::runtime::kernels;
use prost::Message;
use std::path::Path;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{self, AttributeProto, NodeProto, TensorProto, type_proto};
use tract_onnx::tract_core::ops::einsum::EinSum;

/// Nets of each test.
const TRIES: u64 = 40;

/// A net under construction, with numbers that are the same each time.
struct Net {
    graph: pb::GraphProto,
    state: u64,
}

impl Net {
    fn new(seed: u64) -> Net {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut net = Net { graph: pb::GraphProto::default(), state };
        (0..8).for_each(|_| {
            net.between(0, 1);
        });
        net
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        low + (self.state >> 20) as usize % (high - low + 1)
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.between(1, times) == 1
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

    fn floats(&mut self, count: Option<usize>) -> String {
        let dims: Vec<usize> = count.into_iter().collect();
        let bytes = (0..count.unwrap_or(1))
            .flat_map(|_| (self.between(50, 400) as f32 / 3e4).to_le_bytes())
            .collect();
        self.store(DataType::Float, &dims, bytes)
    }

    fn bytes(&mut self, element: DataType, dims: &[usize]) -> String {
        let bytes = (0..dims.iter().product()).map(|_| self.between(0, 255) as u8).collect();
        self.store(element, dims, bytes)
    }

    fn node(&mut self, (domain, op_type): (&str, &str), input: &[&str], outputs: usize) -> String {
        let name = format!("n{}", self.graph.node.len());
        let rest = (1..outputs).map(|at| format!("{name}.{at}"));
        let attribute = |name: &str, i: usize| AttributeProto {
            name: name.to_owned(),
            r#type: AttributeType::Int as i32,
            i: i as i64,
            ..AttributeProto::default()
        };
        self.graph.node.push(NodeProto {
            name: name.clone(),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            input: input.iter().map(|one| (*one).to_owned()).collect(),
            output: std::iter::once(name.clone()).chain(rest).collect(),
            attribute: match op_type {
                "QGemm" => vec![attribute("transB", 1)],
                "Cast" => vec![attribute("to", DataType::Float as usize)],
                _ => Vec::new(),
            },
            ..NodeProto::default()
        });
        name
    }

    fn port(name: &str, element: DataType, dims: &[usize]) -> pb::ValueInfoProto {
        let dim = dims.iter().map(|extent| Dimension {
            value: Some(dimension::Value::DimValue(*extent as i64)),
            ..Dimension::default()
        });
        let shape = (!dims.is_empty()).then(|| pb::TensorShapeProto { dim: dim.collect() });
        let value =
            type_proto::Value::TensorType(type_proto::Tensor { elem_type: element as i32, shape });
        pb::ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(pb::TypeProto { value: Some(value), ..pb::TypeProto::default() }),
            ..pb::ValueInfoProto::default()
        }
    }

    fn model(
        mut self,
        (given, dims): (DataType, &[usize]),
        (name, made): (&str, DataType),
    ) -> Model {
        self.graph.input = vec![Net::port("x", given, dims)];
        self.graph.output = vec![Net::port(name, made, &[])];
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

    /// Rows of so many values, now and then with an axis more.
    fn rows(&mut self, terms: usize) -> Vec<usize> {
        let rows = [1, 2, 3, 15, 30][self.between(0, 4)];
        match self.between(0, 2) {
            0 => vec![self.between(1, 3), rows, terms],
            _ => vec![rows, terms],
        }
    }
}

fn run(model: TypedModel, input: &Tensor) -> Vec<Tensor> {
    let mut state = TypedSimplePlan::new(model).unwrap().spawn().unwrap();
    let outputs = state.run(tvec!(input.clone().into_tvalue())).unwrap();
    outputs.into_iter().map(|output| output.into_tensor()).collect()
}

/// The graph with what is ours in it, and how many there are.
fn taken(kind: Kind, model: &TypedModel) -> (TypedModel, usize) {
    let mut model = model.clone();
    for id in 0..model.nodes().len() {
        replace((kind, &Packed::default()), &mut model, id).unwrap();
    }
    model.compact().unwrap();
    let ours = model.nodes().iter().filter(|node| node.op_is::<Ours>()).count();
    (model, ours)
}

#[test]
fn plans_for_other_rows_share_products_of_integers() {
    let packed = Packed::default();
    let models = [2, 30, 2].map(|rows| {
        let mut net = Net::new(3);
        let [scale, made] = [0; 2].map(|_| net.floats(None));
        let zero = net.store(DataType::Uint8, &[], vec![9]);
        let w = net.bytes(DataType::Int8, &[24, 40]);
        let w_zero = net.store(DataType::Int8, &[], vec![0]);
        let inputs = ["x", &scale, &zero, &w, &scale, &w_zero, &made, &zero];
        let name = net.node(("", "QLinearMatMul"), &inputs, 1);
        let model = net.model((DataType::Uint8, &[rows, 24]), (&name, DataType::Uint8));
        let mut typed = model.plans.typed();
        for id in 0..typed.nodes().len() {
            replace((Kind::best(), &packed), &mut typed, id).unwrap();
        }
        typed.compact().unwrap();
        typed
    });
    assert_eq!(packed.held(), 1, "all of them hold the same");
    let of_8_bits = |fact: &TypedFact| fact.konst.as_ref().is_some_and(|it| it.len() == 24 * 40);
    let raw = models.iter().flat_map(|model| model.nodes());
    assert!(!raw.into_iter().any(|node| of_8_bits(&node.outputs[0].fact)), "raw weights are gone");
    drop(models);
    assert_eq!(packed.held(), 0);
}

/// The graph with tables in it, and how many there are.
fn tabled(model: &TypedModel) -> (TypedModel, usize) {
    let mut model = model.clone();
    for id in (0..model.nodes().len()).rev() {
        table::replace(&mut model, id).unwrap();
    }
    model.compact().unwrap();
    let tables = model.nodes().iter().filter(|node| node.op_is::<table::Table>()).count();
    (model, tables)
}

/// Of each kind of vectors the same as of the operators; gives how many are ours.
fn assert_same(typed: &TypedModel, input: &Tensor, what: &str) -> usize {
    let theirs = run(typed.clone(), input);
    let mut counts = Vec::new();
    for kind in Kind::all() {
        let (ours, count) = taken(kind, typed);
        let ours = run(ours, input);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(ours == theirs, "{what}, {kind:?}:\n{ours:?}\n{theirs:?}");
        }
        counts.push(count);
    }
    counts[0]
}

/// Values all over their range, the same each time.
fn noise(seed: u64, element: DatumType, dims: &[usize]) -> Tensor {
    let mut net = Net::new(seed);
    let count = dims.iter().product();
    if element == DatumType::F32 {
        let lift = net.between(0, 20_000) as f32;
        let values: Vec<f32> =
            (0..count).map(|_| (net.between(0, 20_000) as f32 - lift) / 5_000.0).collect();
        return Tensor::from_shape(dims, &values).unwrap();
    }
    let mut input = Tensor::zero_dt(element, dims).unwrap();
    for byte in input.try_as_plain_ram_mut().unwrap().as_bytes_mut() {
        *byte = net.between(0, 255) as u8;
    }
    input
}

#[test]
fn products_of_integers_are_scaled_as_their_operators_do_it() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let (terms, columns) = (net.between(1, 70), net.between(1, 70));
        let dims = net.rows(terms);
        let is_dynamic = seed % 2 == 0;
        let signs = [DataType::Uint8, DataType::Int8];
        let given = if is_dynamic { DataType::Float } else { signs[net.between(0, 1)] };
        let element = signs[net.between(0, 1)];
        let (rows, scale, zero) = match is_dynamic {
            true => {
                let rows = net.node(("", "DynamicQuantizeLinear"), &["x"], 3);
                (rows.clone(), format!("{rows}.1"), format!("{rows}.2"))
            }
            false => ("x".to_owned(), net.floats(None), net.bytes(given, &[])),
        };
        let weights = net.bytes(element, &[terms, columns]);
        let each = net.one_in(2).then_some(columns);
        let zeros: Vec<usize> = each.into_iter().collect();
        let zeros = net.bytes(element, &zeros);
        let counts = net.node(("", "MatMulInteger"), &[&rows, &weights, &zero, &zeros], 1);
        if net.one_in(5) {
            let model = net.model((given, &dims), (&counts, DataType::Int32));
            let typed = model.plans.typed();
            let input = noise(seed, typed.input_fact(0).unwrap().datum_type, &dims);
            assert_eq!(assert_same(&typed, &input, &format!("net {seed}")), 1);
            continue;
        }
        let mut value = net.node(("", "Cast"), &[&counts], 1);
        if !net.one_in(5) {
            let factor = net.floats(each);
            let factor = net.node(("", "Mul"), &[&scale, &factor], 1);
            value = net.node(("", "Mul"), &[&value, &factor], 1);
        }
        if net.one_in(2) {
            let bias = net.floats(Some(columns));
            value = net.node(("", "Add"), &[&value, &bias], 1);
        }
        if net.one_in(2) {
            value = net.node(("", "Relu"), &[&value], 1);
        }
        let model = net.model((given, &dims), (&value, DataType::Float));
        let typed = model.plans.typed();
        let input = noise(seed, typed.input_fact(0).unwrap().datum_type, &dims);
        assert_eq!(assert_same(&typed, &input, &format!("net {seed}")), 1);
    }
}

#[test]
fn quantised_layers_are_rounded_as_their_operators_do_it() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let mut terms = net.between(1, 70);
        let is_product = net.one_in(2);
        let dims = if is_product { net.rows(terms) } else { vec![net.between(1, 31), terms] };
        let element = [DataType::Uint8, DataType::Int8][net.between(0, 1)];
        let mut value = "x".to_owned();
        let mut code = [net.floats(None), net.bytes(element, &[])];
        let layers = net.between(1, 3);
        for _ in 0..layers {
            let columns = net.between(1, 70);
            let each: Vec<usize> = net.one_in(2).then_some(columns).into_iter().collect();
            let scales = net.floats(each.first().copied());
            let made = [net.floats(None), net.bytes(element, &[])];
            let zeros =
                net.store(DataType::Int8, &each, vec![0; each.first().copied().unwrap_or(1)]);
            let [scale, zero] = &code;
            value = if is_product {
                let weights = net.bytes(DataType::Int8, &[terms, columns]);
                let inputs = [&*value, scale, zero, &weights, &scales, &zeros, &made[0], &made[1]];
                net.node(("", "QLinearMatMul"), &inputs, 1)
            } else {
                let weights = net.bytes(DataType::Int8, &[columns, terms]);
                let bytes = (0..columns)
                    .flat_map(|_| (net.between(0, 4_000) as i32 - 2_000).to_le_bytes())
                    .collect();
                let bias = net.store(DataType::Int32, &[columns], bytes);
                let inputs =
                    [&*value, scale, zero, &weights, &scales, &zeros, &bias, &made[0], &made[1]];
                net.node(("com.microsoft", "QGemm"), &inputs, 1)
            };
            (terms, code) = (columns, made);
            if net.one_in(2) {
                let dims: &[usize] = if net.one_in(4) { &[] } else { &[columns] };
                let (more, step) = (net.bytes(element, dims), net.floats(None));
                let zero = net.bytes(element, &[]);
                let [one, other] = [[&*value, &code[0], &code[1]], [&*more, &step, &zero]];
                let both = if net.one_in(2) { [one, other] } else { [other, one] };
                let made = [net.floats(None), net.bytes(element, &[])];
                let inputs = [&both.concat()[..], &[&made[0], &made[1]]].concat();
                value = net.node(("com.microsoft", "QLinearAdd"), &inputs, 1);
                code = made;
            }
        }
        let model = net.model((element, &dims), (&value, element));
        let typed = model.plans.typed();
        let input = noise(seed, typed.input_fact(0).unwrap().datum_type, &dims);
        let count = assert_same(&typed, &input, &format!("net {seed}"));
        assert_eq!(count, layers, "net {seed}");
        let (ours, _) = taken(Kind::best(), &typed);
        let is_sum = |node: &TypedNode| node.op.name() == "QuantizedSum";
        assert!(!ours.nodes().iter().any(is_sum), "net {seed}\n{ours}");
    }
}

#[test]
fn nets_of_onnxruntimes_quantiser_stay_the_same() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantised");
    let mut ours = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let model = Model::load(&path).unwrap();
        let typed = model.plans.typed();
        let symbols = typed.symbols.all_symbols();
        let two = symbols.into_iter().map(|symbol| (symbol, 2.into())).collect();
        let mut typed = typed.set_symbols(&two).unwrap();
        typed.declutter().unwrap();
        let fact = typed.input_fact(0).unwrap();
        let shape = fact.shape.as_concrete().unwrap().to_vec();
        let input = noise(3, fact.datum_type, &shape);
        ours += assert_same(&typed, &input, &path.display().to_string());
        let (ours, theirs) = (tabled(&typed).0, typed);
        assert!(run(ours, &input) == run(theirs, &input), "{}", path.display());
    }
    assert!(ours > 0);
}

#[test]
fn a_function_of_one_code_is_one_table() {
    let mut several = 0;
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let terms = net.between(1, 40);
        let dims = net.rows(terms);
        let signs = [DataType::Uint8, DataType::Int8];
        let (given, made) = (signs[net.between(0, 1)], signs[net.between(0, 1)]);
        let code = |net: &mut Net, element| [net.floats(None), net.bytes(element, &[])];
        let [scale, zero] = code(&mut net, given);
        let first = net.node(("", "DequantizeLinear"), &["x", &scale, &zero], 1);
        let mut value = first.clone();
        let (mut is_moved, steps) = (false, net.between(1, 7));
        for _ in 0..steps {
            let number = net.floats(None);
            value = match net.between(0, 7) {
                0 => net.node(("", "Erf"), &[&value], 1),
                1 => net.node(("", "Sigmoid"), &[&value], 1),
                2 => net.node(("", "Div"), &[&value, &number], 1),
                3 => net.node(("", "Add"), &[&number, &value], 1),
                4 if !is_moved => net.node(("", "Mul"), &[&value, &first], 1),
                5 => {
                    is_moved = true;
                    net.node(("", "Transpose"), &[&value], 1)
                }
                _ => {
                    let [scale, zero] = code(&mut net, given);
                    let codes = net.node(("", "QuantizeLinear"), &[&value, &scale, &zero], 1);
                    net.node(("", "DequantizeLinear"), &[&codes, &scale, &zero], 1)
                }
            };
        }
        let [scale, zero] = code(&mut net, made);
        let value = net.node(("", "QuantizeLinear"), &[&value, &scale, &zero], 1);
        let model = net.model((given, &dims), (&value, made));
        let typed = model.plans.typed();
        let input = noise(seed, typed.input_fact(0).unwrap().datum_type, &dims);
        let (ours, tables) = tabled(&typed);
        assert_eq!(tables, 1, "net {seed}");
        let floats = ours.nodes().iter().flat_map(|node| &node.outputs);
        assert!(floats.clone().all(|it| it.fact.datum_type != DatumType::F32), "net {seed}");
        several += usize::from(ours.nodes().len() + 2 < typed.nodes().len());
        assert!(run(ours, &input) == run(typed, &input), "net {seed}");
    }
    assert!(several > TRIES as usize / 2);
}

#[test]
fn a_function_of_two_codes_is_no_table() {
    let mut net = Net::new(1);
    let [scale, zero] = [net.floats(None), net.bytes(DataType::Uint8, &[])];
    let value = net.node(("", "DequantizeLinear"), &["x", &scale, &zero], 1);
    let turned = net.node(("", "Transpose"), &[&value], 1);
    let sum = net.node(("", "Mul"), &[&value, &turned], 1);
    let value = net.node(("", "QuantizeLinear"), &[&sum, &scale, &zero], 1);
    let model = net.model((DataType::Uint8, &[4, 4]), (&value, DataType::Uint8));
    let typed = model.plans.typed();
    let (ours, tables) = tabled(&typed);
    assert_eq!(tables, 0);
    let input = noise(1, DatumType::U8, &[4, 4]);
    assert!(run(ours, &input) == run(typed, &input));
}

#[test]
fn floats_become_the_same_integers_with_each_kind_of_vectors() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let count = net.between(0, 200);
        let special =
            [0.0, -0.0, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.5, 2.5];
        let values: Vec<f32> = (0..count)
            .map(|_| match net.between(0, 9) {
                0 => special[net.between(0, special.len() - 1)],
                _ => net.between(0, 20_000) as f32 / 1_000.0 - 10.0,
            })
            .collect();
        let (zero, moved) = (net.between(0, 255) as u8, [0, 128][net.between(0, 1)]);
        let code = (kernels::integers::Code::of(zero), moved);
        let all = Kind::all();
        let known: Vec<u8> = values
            .iter()
            .map(|value| {
                let steps = (value / 0.037).round_ties_even();
                let steps = if steps.is_nan() { f32::NEG_INFINITY } else { steps };
                (steps + f32::from(zero)).clamp(0.0, 255.0) as u8 ^ moved
            })
            .collect();
        let reach = values
            .iter()
            .fold((0.0_f32, 0.0_f32), |(least, most), value| (least.min(*value), most.max(*value)));
        for kind in all {
            let crew = &kernels::Alone;
            let found = kernels::integers::rounded(kind, &values, 0.037, code, crew);
            assert_eq!(found, known, "{kind:?}");
            assert_eq!(kernels::integers::reach(kind, &values), reach, "{kind:?}");
        }
    }
}
