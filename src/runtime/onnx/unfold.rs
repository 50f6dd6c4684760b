//! Takes compound operators apart, into the ones that they are defined by.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Takes the graph's compound operators apart; what is not one, or has a form that is not known
/// here, stays and is judged as it is.
///
/// Most are of `com.microsoft`, where the tools that quantise and fuse models write them. What each
/// computes is in <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>.
pub(super) fn unfold(graph: &mut GraphProto, operator_set: i64) {
    for mut node in std::mem::take(&mut graph.node) {
        if node.domain.is_empty() && node.op_type == "ConstantOfShape" && node.attribute.is_empty()
        {
            // tract's zeros are doubles where nothing is said.
            let zero = TensorProto {
                dims: vec![1],
                data_type: DataType::Float as i32,
                float_data: vec![0.0],
                ..TensorProto::default()
            };
            let value = AttributeProto { t: Some(zero), ..AttributeProto::default() };
            node.attribute.push(attribute("value", AttributeType::Tensor, value));
        }
        if node.domain.is_empty() && node.op_type == "Resize" {
            resize(&mut node, &mut graph.initializer, operator_set);
        }
        let mut parts = Parts { node: &node, nodes: Vec::new(), stored: Vec::new() };
        match apart(&mut parts) {
            Some(()) => {
                let (nodes, stored) = (parts.nodes, parts.stored);
                graph.node.extend(nodes);
                graph.initializer.extend(stored);
            }
            None => graph.node.push(node),
        }
    }
}

fn apart(parts: &mut Parts<'_>) -> Option<()> {
    match (parts.node.domain.as_str(), parts.node.op_type.as_str()) {
        ("", "LpPool") => lp_pool(parts),
        ("", "Upsample") => upsample(parts),
        ("com.microsoft", "QLinearAdd") => binary(parts, "Add"),
        ("com.microsoft", "QLinearMul") => binary(parts, "Mul"),
        ("com.microsoft", "QLinearLeakyRelu") => unary(parts, "LeakyRelu"),
        ("com.microsoft", "QLinearSigmoid") => unary(parts, "Sigmoid"),
        ("com.microsoft", "QLinearAveragePool") => unary(parts, "AveragePool"),
        ("com.microsoft", "QLinearGlobalAveragePool") => unary(parts, "GlobalAveragePool"),
        ("com.microsoft", "QLinearSoftmax") => unary(parts, "Softmax"),
        ("com.microsoft", "QLinearConcat") => concat(parts),
        ("com.microsoft", "QGemm") => gemm(parts),
        ("com.microsoft", "DynamicQuantizeMatMul") => dynamic_product(parts),
        ("com.microsoft", "MatMulIntegerToFloat") => integer_product(parts),
        ("com.microsoft", "FusedMatMul") => fused_product(parts),
        ("com.microsoft", "FusedConv") => fused(parts, "Conv", 3),
        ("com.microsoft", "FusedGemm") => fused(parts, "Gemm", 3),
        _ => None,
    }
}

/// A node and what has come of it.
struct Parts<'n> {
    node: &'n NodeProto,
    nodes: Vec<NodeProto>,
    stored: Vec<TensorProto>,
}

impl Parts<'_> {
    /// The input at this place, empty where it is left out.
    fn input(&self, place: usize) -> &str {
        self.node.input.get(place).map_or("", String::as_str)
    }

    fn integer(&self, name: &str) -> i64 {
        self.node.attribute.iter().find(|one| one.name == name).map_or(0, |one| one.i)
    }

    /// Attributes of the node under these names, for the part that takes them over.
    fn kept(&self, names: &[&str]) -> Vec<AttributeProto> {
        let all = self.node.attribute.iter();
        all.filter(|one| names.contains(&one.name.as_str())).cloned().collect()
    }

    /// One more part, whose output has a name that nothing else has.
    fn part(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = format!("{}#{}", self.node.output.concat(), self.nodes.len());
        self.part_as(operator, inputs, attribute, &output);
        output
    }

    /// The last part, which makes what the node made.
    fn last(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Option<()> {
        let [output] = self.node.output.as_slice() else { return None };
        self.part_as(operator, inputs, attribute, output);
        Some(())
    }

    fn part_as(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: &str,
    ) {
        let shown = if self.node.name.is_empty() { output } else { &self.node.name };
        // Inputs that are left out at the end have no place to hold.
        let length = inputs.iter().rposition(|one| !one.is_empty()).map_or(0, |last| last + 1);
        let node = NodeProto {
            name: format!("{shown}#{}{operator}", self.nodes.len()),
            op_type: operator.to_owned(),
            input: inputs[..length].iter().map(|one| (*one).to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        };
        self.nodes.push(node);
    }

    fn dequantized(&mut self, value: usize) -> String {
        let inputs = [value, value + 1, value + 2].map(|place| self.input(place).to_owned());
        self.part("DequantizeLinear", &[&inputs[0], &inputs[1], &inputs[2]], Vec::new())
    }

    /// The last part: to integers, with the scale and the zero point at these places.
    fn quantized(&mut self, value: &str, scale: usize) -> Option<()> {
        let [scale, zero_point] = [scale, scale + 1].map(|place| self.input(place).to_owned());
        self.last("QuantizeLinear", &[value, &scale, &zero_point], Vec::new())
    }
}

fn attribute(name: &str, kind: AttributeType, value: AttributeProto) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..value }
}

fn number(name: &str, i: i64) -> AttributeProto {
    attribute(name, AttributeType::Int, AttributeProto { i, ..AttributeProto::default() })
}

fn text(name: &str, text: &str) -> AttributeProto {
    let s = text.as_bytes().to_vec();
    attribute(name, AttributeType::String, AttributeProto { s, ..AttributeProto::default() })
}

/// Says what old operator sets leave unsaid: the nearest pixel is the one before, and a region or
/// scales that are left out still have their place.
fn resize(node: &mut NodeProto, stored: &mut Vec<TensorProto>, operator_set: i64) {
    if operator_set == 10 && !node.attribute.iter().any(|one| one.name == "nearest_mode") {
        node.attribute.push(text("nearest_mode", "floor"));
    }
    if !(11..13).contains(&operator_set) {
        return;
    }
    let name = format!("{}#none", node.output.concat());
    let mut left_out = false;
    for input in node.input.iter_mut().skip(1).filter(|input| input.is_empty()) {
        input.clone_from(&name);
        left_out = true;
    }
    if left_out {
        let data_type = DataType::Float as i32;
        stored.push(TensorProto { name, dims: vec![0], data_type, ..TensorProto::default() });
    }
}

/// The scales of `Upsample` become an input, as they are from operator set 9 on.
fn upsample(parts: &mut Parts<'_>) -> Option<()> {
    let scales = parts.node.attribute.iter().find(|one| one.name == "scales")?;
    let name = format!("{}#scales", parts.node.output.concat());
    parts.stored.push(TensorProto {
        name: name.clone(),
        dims: vec![scales.floats.len() as i64],
        data_type: DataType::Float as i32,
        float_data: scales.floats.clone(),
        ..TensorProto::default()
    });
    let value = parts.input(0).to_owned();
    parts.last("Upsample", &[&value, &name], parts.kept(&["mode"]))
}

/// The norm of the values below a window: their mean power, times as many as there are, and its root.
fn lp_pool(parts: &mut Parts<'_>) -> Option<()> {
    let list = |name: &str| {
        let attribute = parts.node.attribute.iter().find(|one| one.name == name);
        attribute.map(|one| one.ints.clone()).unwrap_or_default()
    };
    let values =
        list("kernel_shape").iter().try_fold(1_i64, |values, one| values.checked_mul(*one))?;
    if parts.integer("ceil_mode") != 0 {
        return None; // how many values are below the last windows differs then
    }
    let power = parts.node.attribute.iter().find(|one| one.name == "p").map_or(2, |one| one.i);
    let names =
        ["power", "values", "root"].map(|one| format!("{}#{one}", parts.node.output.concat()));
    let [power, values, root] = [power as f32, values as f32, 1.0 / power as f32];
    for (name, value) in names.iter().zip([power, values, root]) {
        parts.stored.push(TensorProto {
            name: name.clone(),
            data_type: DataType::Float as i32,
            float_data: vec![value],
            ..TensorProto::default()
        });
    }
    let mut pooled = parts.kept(&["kernel_shape", "strides", "pads", "auto_pad", "dilations"]);
    pooled.push(number("count_include_pad", 1));
    let value = parts.input(0).to_owned();
    let size = parts.part("Abs", &[&value], Vec::new());
    let raised = parts.part("Pow", &[&size, &names[0]], Vec::new());
    let mean = parts.part("AveragePool", &[&raised], pooled);
    let sum = parts.part("Mul", &[&mean, &names[1]], Vec::new());
    parts.last("Pow", &[&sum, &names[2]], Vec::new())
}

fn binary(parts: &mut Parts<'_>, operator: &str) -> Option<()> {
    let [one, other] = [0, 3].map(|place| parts.dequantized(place));
    let value = parts.part(operator, &[&one, &other], Vec::new());
    parts.quantized(&value, 6)
}

fn unary(parts: &mut Parts<'_>, operator: &str) -> Option<()> {
    if parts.integer("channels_last") != 0 {
        return None;
    }
    let value = parts.dequantized(0);
    let attributes = parts.node.attribute.iter();
    let attributes =
        attributes.filter(|one| one.name != "channels_last" && one.name != "opset").cloned();
    let value = parts.part(operator, &[&value], attributes.collect());
    parts.quantized(&value, 3)
}

/// Scale and zero point of the output come first, then three inputs for each value.
fn concat(parts: &mut Parts<'_>) -> Option<()> {
    let values: Vec<String> =
        (2..parts.node.input.len()).step_by(3).map(|place| parts.dequantized(place)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let value = parts.part("Concat", &values, parts.kept(&["axis"]));
    parts.quantized(&value, 0)
}

/// The bias is counted in products of the two scales.
fn gemm(parts: &mut Parts<'_>) -> Option<()> {
    let [a, a_scale, b_scale, bias] = [0, 1, 4, 6].map(|place| parts.input(place).to_owned());
    let one = parts.dequantized(0);
    let transposed = parts.integer("transB") != 0;
    let axis = vec![number("axis", if transposed { 0 } else { 1 })];
    let b = [3, 4, 5].map(|place| parts.input(place).to_owned());
    let other = parts.part("DequantizeLinear", &[&b[0], &b[1], &b[2]], axis);
    let mut inputs = vec![one, other];
    if !bias.is_empty() {
        let scale = parts.part("Mul", &[&a_scale, &b_scale], Vec::new());
        let counts = parts.part("Cast", &[&bias], vec![number("to", DataType::Float as i64)]);
        inputs.push(parts.part("Mul", &[&counts, &scale], Vec::new()));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attributes = parts.kept(&["alpha", "transA", "transB"]);
    if a.is_empty() {
        return None;
    }
    if parts.input(7).is_empty() {
        return parts.last("Gemm", &inputs, attributes);
    }
    let value = parts.part("Gemm", &inputs, attributes);
    parts.quantized(&value, 7)
}

/// `A` in floats, quantised as it comes; `B`, its scale, its zero point, and a bias.
fn dynamic_product(parts: &mut Parts<'_>) -> Option<()> {
    let [a, b, b_scale, b_zero, bias] = [0, 1, 2, 3, 4].map(|place| parts.input(place).to_owned());
    let made =
        ["value", "scale", "zero"].map(|part| format!("{}#{part}", parts.node.output.concat()));
    parts.nodes.push(NodeProto {
        name: format!("{}#DynamicQuantizeLinear", parts.node.output.concat()),
        op_type: "DynamicQuantizeLinear".into(),
        input: vec![a],
        output: made.to_vec(),
        ..NodeProto::default()
    });
    let [value, scale, zero] = made.each_ref().map(String::as_str);
    product(parts, [value, &b, zero, &b_zero], [scale, &b_scale], &bias)
}

/// `A`, `B`, their scales, their zero points, and a bias.
fn integer_product(parts: &mut Parts<'_>) -> Option<()> {
    let inputs: Vec<String> = (0..7).map(|place| parts.input(place).to_owned()).collect();
    let [a, b, a_scale, b_scale, a_zero, b_zero, bias] =
        [0, 1, 2, 3, 4, 5, 6].map(|place| inputs[place].as_str());
    product(parts, [a, b, a_zero, b_zero], [a_scale, b_scale], bias)
}

fn product(
    parts: &mut Parts<'_>,
    integers: [&str; 4],
    scales: [&str; 2],
    bias: &str,
) -> Option<()> {
    let counts = parts.part("MatMulInteger", &integers, Vec::new());
    let counts = parts.part("Cast", &[&counts], vec![number("to", DataType::Float as i64)]);
    let scale = parts.part("Mul", &scales, Vec::new());
    match bias.is_empty() {
        true => parts.last("Mul", &[&counts, &scale], Vec::new()),
        false => {
            let value = parts.part("Mul", &[&counts, &scale], Vec::new());
            parts.last("Add", &[&value, bias], Vec::new())
        }
    }
}

/// A product of matrices, of which the last two axes may be turned, and which may be scaled.
fn fused_product(parts: &mut Parts<'_>) -> Option<()> {
    let turned = ["transA", "transB", "transBatchA", "transBatchB"];
    // How many axes there are is not known here, so an order of them cannot be written down.
    if turned.into_iter().any(|name| parts.integer(name) != 0) {
        return None;
    }
    let [a, b] = [0, 1].map(|place| parts.input(place).to_owned());
    let alpha =
        parts.node.attribute.iter().find(|one| one.name == "alpha").map_or(1.0, |one| one.f);
    if alpha == 1.0 {
        return parts.last("MatMul", &[&a, &b], Vec::new());
    }
    let name = format!("{}#alpha", parts.node.output.concat());
    parts.stored.push(TensorProto {
        name: name.clone(),
        data_type: DataType::Float as i32,
        float_data: vec![alpha],
        ..TensorProto::default()
    });
    let value = parts.part("MatMul", &[&a, &b], Vec::new());
    parts.last("Mul", &[&value, &name], Vec::new())
}

/// An operator with a function of one value behind it.
fn fused(parts: &mut Parts<'_>, operator: &str, inputs: usize) -> Option<()> {
    let node = parts.node;
    let function = node.attribute.iter().find(|one| one.name == "activation")?;
    let function = String::from_utf8(function.s.clone()).ok()?;
    let known = ["Relu", "Sigmoid", "Tanh", "LeakyRelu"].contains(&function.as_str());
    if !known || node.input.len() > inputs {
        return None;
    }
    let names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    let own = node.attribute.iter().filter(|one| !one.name.starts_with("activation"));
    let value = parts.part(operator, &names, own.cloned().collect());
    let slope = node.attribute.iter().find(|one| one.name == "activation_alpha");
    let slope = slope.filter(|_| function == "LeakyRelu");
    let attributes = slope.map(|one| AttributeProto { name: "alpha".into(), ..one.clone() });
    parts.last(&function, &[&value], attributes.into_iter().collect())
}
