//! Lets quantised convolutions, products, sums and means count in whole numbers, as onnxruntime does.

use super::super::operators::{QUANTIZED_MEAN, QUANTIZED_SUM, REQUANTIZE};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// How far the scale of a bias may be from the product of the two that it should be.
const BIAS_SCALE_TOLERANCE: f32 = 1e-4;

/// Brings the graph's quantised operators into a form that counts.
///
/// Exporters write them in two ways: as operators on integers (`QLinearConv` and its kin), or as
/// operators on floats between `DequantizeLinear` and `QuantizeLinear`. onnxruntime makes the first
/// of the second and computes in integers, where a sum has no rounding. So the second becomes the
/// first here, too; and the first becomes an operator on whole numbers, which floats hold exactly
/// below 2^24, and one rounding at its end. What is not told by stored tensors stays as it is.
pub(super) fn settle(graph: &mut GraphProto) {
    let is_quantised = |node: &NodeProto| {
        node.op_type == "QuantizeLinear"
            || node.op_type.starts_with("QLinear")
            || node.op_type == "QGemm"
    };
    if !graph.node.iter().any(is_quantised) {
        return;
    }
    let joined = join(graph);
    graph.node = joined;
    let mut counted = Counted::default();
    let nodes = std::mem::take(&mut graph.node);
    let stored = Stored::of(graph);
    for node in nodes {
        if counted.node(&node, &stored).is_none() {
            counted.nodes.push(node);
        }
    }
    graph.node = counted.nodes;
    graph.initializer.extend(counted.stored);
}

/// The stored tensors of a graph that no input can take the place of.
struct Stored<'g>(HashMap<&'g str, &'g TensorProto>);

impl<'g> Stored<'g> {
    fn of(graph: &'g GraphProto) -> Stored<'g> {
        let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
        let tensors = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        Stored(tensors.filter(|(name, _)| !inputs.contains(name)).collect())
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.0.get(name)?;
        if tensor.data_type != DataType::Float as i32 || tensor.dims.len() > 1 {
            return None;
        }
        let floats = match tensor.raw_data.is_empty() {
            true => tensor.float_data.clone(),
            false => {
                let (bytes, _) = tensor.raw_data.as_chunks::<4>();
                bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
        };
        (!floats.is_empty()).then_some(floats)
    }

    fn float(&self, name: &str) -> Option<f32> {
        match self.floats(name)?.as_slice() {
            [float] => Some(*float),
            _ => None,
        }
    }

    /// The type of a zero point: one of 8 bits, or nothing.
    fn byte(&self, name: &str) -> Option<i32> {
        let element = self.0.get(name)?.data_type;
        [DataType::Uint8 as i32, DataType::Int8 as i32].contains(&element).then_some(element)
    }

    fn rank(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|tensor| tensor.dims.len())
    }
}

fn integer(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.i)
}

fn float(node: &NodeProto, name: &str, otherwise: f32) -> f32 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.f)
}

fn number(name: &str, i: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), r#type, i, ..AttributeProto::default() }
}

fn kept(node: &NodeProto, names: &[&str]) -> Vec<AttributeProto> {
    let all = node.attribute.iter();
    all.filter(|one| names.contains(&one.name.as_str())).cloned().collect()
}

/// How often each name is used, inside of nodes too.
fn uses<'g>(graph: &'g GraphProto, counts: &mut HashMap<&'g str, usize>) {
    let used = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
    for name in used.chain(graph.output.iter().map(|output| output.name.as_str())) {
        *counts.entry(name).or_default() += 1;
    }
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    for inner in attributes.flat_map(|one| one.g.iter().chain(&one.graphs)) {
        uses(inner, counts);
    }
}

/// The nodes of the graph, where operators between `DequantizeLinear` and `QuantizeLinear` are
/// joined with these.
fn join(graph: &GraphProto) -> Vec<NodeProto> {
    let mut counts = HashMap::new();
    uses(graph, &mut counts);
    let makers = graph.node.iter().enumerate();
    let makers = makers.flat_map(|(at, node)| node.output.iter().map(move |name| (&**name, at)));
    let between = Between {
        makers: makers.collect(),
        nodes: &graph.node,
        stored: Stored::of(graph),
        counts: &counts,
    };
    let mut gone: HashSet<usize> = HashSet::new();
    let mut nodes: Vec<NodeProto> = graph.node.clone();
    for (at, node) in graph.node.iter().enumerate() {
        if let Some((inner, joined)) = between.joined(node) {
            gone.insert(inner);
            nodes[at] = joined;
        }
    }
    if gone.is_empty() {
        return nodes;
    }
    let mut at = 0..;
    nodes.retain(|_| at.next().is_some_and(|at| !gone.contains(&at)));
    // What nobody asks for any more is not computed.
    let rest =
        GraphProto { node: nodes.clone(), output: graph.output.clone(), ..GraphProto::default() };
    let mut counts = HashMap::new();
    uses(&rest, &mut counts);
    nodes.retain(|node| {
        node.op_type != "DequantizeLinear"
            || node.output.iter().any(|name| counts.contains_key(name.as_str()))
    });
    nodes
}

/// A graph as it is looked over for operators between two changes of type.
struct Between<'g> {
    makers: HashMap<&'g str, usize>,
    nodes: &'g [NodeProto],
    stored: Stored<'g>,
    counts: &'g HashMap<&'g str, usize>,
}

impl<'g> Between<'g> {
    fn maker(&self, name: &str, operator: &str) -> Option<&'g NodeProto> {
        let node = &self.nodes[*self.makers.get(name)?];
        (node.op_type == operator && node.input.iter().all(|name| !name.is_empty())).then_some(node)
    }

    /// The `DequantizeLinear` of 8 bits that makes this value, and what its scales are.
    fn spread(&self, name: &str) -> Option<(&'g NodeProto, Vec<f32>)> {
        let node = self.maker(name, "DequantizeLinear").filter(|node| node.input.len() == 3)?;
        self.stored.byte(&node.input[2])?;
        Some((node, self.stored.floats(&node.input[1])?))
    }

    /// The same where one scale is for all values.
    fn single(&self, name: &str) -> Option<&'g [String]> {
        let (node, scales) = self.spread(name)?;
        (scales.len() == 1).then_some(&node.input)
    }

    /// The same for weights, whose scales may lie along one of these axes.
    fn weights(&self, name: &str, axes: &[i64]) -> Option<(&'g [String], Vec<f32>)> {
        let (node, scales) = self.spread(name)?;
        let along = axes.contains(&integer(node, "axis", 1));
        (scales.len() == 1 || along).then_some((&node.input, scales))
    }

    /// The integers of a bias, which counts in products of the two scales.
    fn bias(&self, name: &str, by: f32, scales: &[f32]) -> Option<&'g str> {
        let node = self.maker(name, "DequantizeLinear")?;
        let found = self.stored.floats(&node.input[1])?;
        let near = |place: usize, found: &f32| {
            let wanted = by * scales[place % scales.len()];
            (found - wanted).abs() <= wanted.abs() * BIAS_SCALE_TOLERANCE
        };
        let integers = self.stored.0.get(node.input[0].as_str())?;
        let whole = integers.data_type == DataType::Int32 as i32
            && (found.len() == scales.len() || found.len() == 1)
            && found.iter().enumerate().all(|(place, found)| near(place, found));
        whole.then_some(&node.input[0])
    }

    /// The operator whose output this node quantises, and one node for both.
    fn joined(&self, node: &NodeProto) -> Option<(usize, NodeProto)> {
        let [value, scale, zero_point] = node.input.as_slice() else { return None };
        let made = self.stored.byte(zero_point)?;
        self.stored.float(scale)?;
        if node.op_type != "QuantizeLinear" || self.counts.get(value.as_str()) != Some(&1) {
            return None;
        }
        let inner = *self.makers.get(value.as_str())?;
        let operator = &self.nodes[inner];
        if !operator.domain.is_empty() {
            return None;
        }
        let ends = [scale.as_str(), zero_point.as_str()];
        let (domain, op_type, inputs, attribute) = match operator.op_type.as_str() {
            "Conv" => self.convolution(operator, ends)?,
            "MatMul" => self.product(operator, ends)?,
            "Gemm" => self.matrices(operator, ends)?,
            "Add" => {
                let [one, other] = operator.input.as_slice() else { return None };
                let (one, other) = (self.single(one)?, self.single(other)?);
                let same = [&one[2], &other[2]].map(|zero| self.stored.byte(zero));
                if same != [Some(made); 2] {
                    return None;
                }
                let inputs = one.iter().chain(other).map(String::as_str).chain(ends);
                ("com.microsoft", "QLinearAdd", inputs.collect(), Vec::new())
            }
            "GlobalAveragePool" => {
                let value = self.single(operator.input.first()?)?;
                if self.stored.byte(&value[2]) != Some(made) {
                    return None;
                }
                let inputs = value.iter().map(String::as_str).chain(ends);
                ("com.microsoft", "QLinearGlobalAveragePool", inputs.collect(), Vec::new())
            }
            _ => return None,
        };
        let joined = NodeProto {
            name: operator.name.clone(),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            input: inputs.into_iter().map(str::to_owned).collect(),
            output: node.output.clone(),
            attribute,
            ..NodeProto::default()
        };
        Some((inner, joined))
    }

    fn convolution<'a>(&'a self, node: &NodeProto, ends: [&'a str; 2]) -> Option<Joined<'a>> {
        let value = self.single(node.input.first()?)?;
        let (weights, scales) = self.weights(node.input.get(1)?, &[0])?;
        let inputs = value.iter().chain(weights).map(String::as_str).chain(ends);
        let mut inputs: Vec<&str> = inputs.collect();
        if let Some(bias) = node.input.get(2).filter(|bias| !bias.is_empty()) {
            inputs.push(self.bias(bias, self.stored.float(&value[1])?, &scales)?);
        }
        Some(("", "QLinearConv", inputs, node.attribute.clone()))
    }

    fn product<'a>(&'a self, node: &NodeProto, ends: [&'a str; 2]) -> Option<Joined<'a>> {
        let [one, other] = node.input.as_slice() else { return None };
        let value = self.single(one)?;
        let (weights, scales) = self.weights(other, &[1, -1])?;
        if scales.len() > 1 && self.stored.rank(&weights[0]) != Some(2) {
            return None;
        }
        let inputs = value.iter().chain(weights).map(String::as_str).chain(ends);
        Some(("", "QLinearMatMul", inputs.collect(), Vec::new()))
    }

    fn matrices<'a>(&'a self, node: &NodeProto, ends: [&'a str; 2]) -> Option<Joined<'a>> {
        let value = self.single(node.input.first()?)?;
        let axes: &[i64] = if integer(node, "transB", 0) != 0 { &[0] } else { &[1, -1] };
        let (weights, scales) = self.weights(node.input.get(1)?, axes)?;
        if float(node, "alpha", 1.0) != 1.0 || float(node, "beta", 1.0) != 1.0 {
            return None;
        }
        let bias = match node.input.get(2).filter(|bias| !bias.is_empty()) {
            Some(bias) => self.bias(bias, self.stored.float(&value[1])?, &scales)?,
            None => "",
        };
        let inputs = value.iter().chain(weights).map(String::as_str).chain([bias]).chain(ends);
        Some(("com.microsoft", "QGemm", inputs.collect(), kept(node, &["transA", "transB"])))
    }
}

/// Domain, operator, inputs and attributes of a node.
type Joined<'a> = (&'static str, &'static str, Vec<&'a str>, Vec<AttributeProto>);

/// The nodes that have come of the graph's so far, and what they want stored.
#[derive(Default)]
struct Counted {
    nodes: Vec<NodeProto>,
    stored: Vec<TensorProto>,
}

impl Counted {
    /// Takes a node apart into whole numbers, where it is one that can be.
    fn node(&mut self, node: &NodeProto, stored: &Stored<'_>) -> Option<()> {
        let (begun, kept) = (self.nodes.len(), self.stored.len());
        let done = match (node.domain.as_str(), node.op_type.as_str()) {
            ("", "QLinearConv") => self.convolution(node, stored),
            ("", "QLinearMatMul") => self.product(node, stored),
            ("com.microsoft", "QGemm") => self.matrices(node, stored),
            ("com.microsoft", "QLinearAdd") => self.whole(node, stored, QUANTIZED_SUM, 8),
            ("com.microsoft", "QLinearGlobalAveragePool")
                if integer(node, "channels_last", 0) == 0 =>
            {
                self.whole(node, stored, QUANTIZED_MEAN, 5)
            }
            _ => None,
        };
        if done.is_none() {
            self.nodes.truncate(begun);
            self.stored.truncate(kept);
        }
        done
    }

    /// An operator of ours that takes the same inputs: values with scale and zero point.
    fn whole(
        &mut self,
        node: &NodeProto,
        stored: &Stored<'_>,
        operator: &str,
        inputs: usize,
    ) -> Option<()> {
        let names: Vec<&str> = node.input.iter().map(String::as_str).collect();
        // The scales of an operand follow it; those of the result come last.
        let places: &[usize] = if inputs == 8 { &[1, 4, 6] } else { &[1, 3] };
        if names.len() != inputs {
            return None;
        }
        let zeros: Vec<i32> =
            places.iter().map(|at| stored.byte(names[at + 1])).collect::<Option<_>>()?;
        places.iter().map(|at| stored.float(names[*at])).collect::<Option<Vec<_>>>()?;
        if zeros.iter().any(|element| *element != zeros[0]) {
            return None;
        }
        let [output] = node.output.as_slice() else { return None };
        self.add(node, operator, &names, Vec::new(), output);
        Some(())
    }

    fn convolution(&mut self, node: &NodeProto, stored: &Stored<'_>) -> Option<()> {
        let [x, x_scale, x_zero, w, w_scale, w_zero, scale, zero, rest @ ..] =
            node.input.as_slice()
        else {
            return None;
        };
        let by = stored.float(x_scale)?;
        let to = stored.float(scale)?;
        let steps: Vec<f32> = stored.floats(w_scale)?.iter().map(|scale| by * scale / to).collect();
        stored.byte(zero)?;
        let bias = match rest {
            [] => None,
            [bias] if bias.is_empty() => None,
            [bias] => Some(bias.as_str()),
            [_, ..] => return None,
        };
        let dense = integer(node, "group", 1) == 1 && std::env::var_os("BQ_INT").is_some();
        if dense && bias.is_none_or(|bias| stored.0.contains_key(bias)) {
            let inputs = [x, w, x_zero, w_zero].map(String::clone);
            let counts = self.part(node, "ConvInteger", &inputs, node.attribute.clone());
            return self.requantised(node, &counts, steps, zero, bias, 1);
        }
        let mut inputs = vec![self.spread(node, x, x_zero, 1), self.spread(node, w, w_zero, 0)];
        inputs.extend(bias.and_then(|bias| self.counts(node, bias)));
        let counts = self.part(node, "Conv", &inputs, node.attribute.clone());
        self.requantised(node, &counts, steps, zero, None, 1)
    }

    fn product(&mut self, node: &NodeProto, stored: &Stored<'_>) -> Option<()> {
        let [a, a_scale, a_zero, b, b_scale, b_zero, scale, zero] = node.input.as_slice() else {
            return None;
        };
        let scales = stored.floats(b_scale)?;
        if scales.len() > 1 && stored.rank(b) != Some(2) {
            return None;
        }
        let (by, to) = (stored.float(a_scale)?, stored.float(scale)?);
        let steps: Vec<f32> = scales.iter().map(|scale| by * scale / to).collect();
        stored.byte(zero)?;
        if std::env::var_os("BQ_INTM").is_some() {
            let inputs = [a, b, a_zero, b_zero].map(String::clone);
            let counts = self.part(node, "MatMulInteger", &inputs, Vec::new());
            return self.requantised(node, &counts, steps, zero, None, -1);
        }
        let inputs = [self.spread(node, a, a_zero, 1), self.spread(node, b, b_zero, 1)];
        let counts = self.part(node, "MatMul", &inputs, Vec::new());
        self.requantised(node, &counts, steps, zero, None, -1)
    }

    fn matrices(&mut self, node: &NodeProto, stored: &Stored<'_>) -> Option<()> {
        let [a, a_scale, a_zero, b, b_scale, b_zero, rest @ ..] = node.input.as_slice() else {
            return None;
        };
        let by = float(node, "alpha", 1.0) * stored.float(a_scale)?;
        let mut steps: Vec<f32> = stored.floats(b_scale)?.iter().map(|scale| by * scale).collect();
        let along = if integer(node, "transB", 0) != 0 { 0 } else { 1 };
        let mut inputs = vec![self.spread(node, a, a_zero, 1), self.spread(node, b, b_zero, along)];
        if let Some(bias) = rest.first() {
            inputs.extend(self.counts(node, bias));
        }
        let counts = self.part(node, "Gemm", &inputs, kept(node, &["transA", "transB"]));
        match rest {
            [_, scale, zero] if !scale.is_empty() => {
                let to = stored.float(scale)?;
                stored.byte(zero)?;
                steps.iter_mut().for_each(|step| *step /= to);
                self.requantised(node, &counts, steps, zero, None, 1)
            }
            [] | [_] => {
                let steps = self.store(node, "steps", steps);
                let [output] = node.output.as_slice() else { return None };
                self.add(node, "Mul", &[&counts, &steps], Vec::new(), output);
                Some(())
            }
            [..] => None,
        }
    }

    /// Whole numbers from the zero point on.
    fn spread(&mut self, node: &NodeProto, value: &str, zero_point: &str, axis: i64) -> String {
        let one = self.store(node, "one", vec![1.0]);
        let inputs = [value.to_owned(), one, zero_point.to_owned()];
        self.part(node, "DequantizeLinear", &inputs, vec![number("axis", axis)])
    }

    /// The integers of a bias as floats, if there is one.
    fn counts(&mut self, node: &NodeProto, bias: &str) -> Option<String> {
        if bias.is_empty() {
            return None;
        }
        let to = number("to", DataType::Float as i64);
        Some(self.part(node, "Cast", &[bias.to_owned()], vec![to]))
    }

    fn requantised(
        &mut self,
        node: &NodeProto,
        counts: &str,
        steps: Vec<f32>,
        zero_point: &str,
        bias: Option<&str>,
        axis: i64,
    ) -> Option<()> {
        let steps = self.store(node, "steps", steps);
        let [output] = node.output.as_slice() else { return None };
        let inputs: Vec<&str> = [counts, &steps, zero_point].into_iter().chain(bias).collect();
        self.add(node, REQUANTIZE, &inputs, vec![number("axis", axis)], output);
        Some(())
    }

    /// Stores floats: one as a scalar, several as a list.
    fn store(&mut self, node: &NodeProto, what: &str, floats: Vec<f32>) -> String {
        let name = format!("{}#{what}{}", node.output.concat(), self.stored.len());
        let dims = if floats.len() == 1 { Vec::new() } else { vec![floats.len() as i64] };
        self.stored.push(TensorProto {
            name: name.clone(),
            dims,
            data_type: DataType::Float as i32,
            float_data: floats,
            ..TensorProto::default()
        });
        name
    }

    fn part(
        &mut self,
        node: &NodeProto,
        operator: &str,
        inputs: &[String],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{}#{}", node.output.concat(), self.nodes.len());
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.add(node, operator, &inputs, attribute, &output);
        output
    }

    fn add(
        &mut self,
        node: &NodeProto,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: &str,
    ) {
        let shown = if node.name.is_empty() { output } else { &node.name };
        self.nodes.push(NodeProto {
            name: format!("{shown}#{}{operator}", self.nodes.len()),
            op_type: operator.to_owned(),
            input: inputs.iter().map(|one| (*one).to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        });
    }
}
