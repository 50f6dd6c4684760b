//! Joins quantised operators with the changes of type about them, as onnxruntime does.

use super::whole::{Stored, float, integer, kept};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

/// How far the scale of a bias may be from the product of the two that it should be.
const BIAS_SCALE_TOLERANCE: f32 = 1e-4;

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

/// Joins the graph's operators between `DequantizeLinear` and `QuantizeLinear` with these.
pub(super) fn join(graph: &mut GraphProto) {
    let joined = joined(graph);
    if joined.is_empty() {
        return;
    }
    // What nodes hold stays where it is in memory: weights may be told by that.
    let mut gone: HashSet<usize> = HashSet::new();
    for (at, inner, node) in joined {
        gone.insert(inner);
        graph.node[at] = node;
    }
    let mut at = 0..;
    graph.node.retain(|_| at.next().is_some_and(|at| !gone.contains(&at)));
    // What nobody asks for any more is not computed.
    let mut counts = HashMap::new();
    uses(graph, &mut counts);
    let is_used = |node: &NodeProto| {
        node.op_type != "DequantizeLinear"
            || node.output.iter().any(|name| counts.contains_key(name.as_str()))
    };
    let mut are_used = graph.node.iter().map(is_used).collect::<Vec<bool>>().into_iter();
    graph.node.retain(|_| are_used.next().unwrap_or(true));
}

/// Which nodes have another in their place now, and which one goes for that.
fn joined(graph: &GraphProto) -> Vec<(usize, usize, NodeProto)> {
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
    let nodes = graph.node.iter().enumerate();
    nodes.filter_map(|(at, node)| between.joined(node).map(|(inner, it)| (at, inner, it))).collect()
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
            // What moves values about, or takes the largest of them, does the same with the integers.
            "Flatten" | "MaxPool" | "Reshape" | "Squeeze" | "Transpose" | "Unsqueeze" => {
                let [_] = operator.output.as_slice() else { return None };
                let [value, by, from] = self.single(operator.input.first()?)? else {
                    return None;
                };
                let same = self.stored.float(by)?.to_bits() == self.stored.float(scale)?.to_bits()
                    && self.stored.float(by)?.is_normal()
                    && self.stored.same_byte(from, zero_point);
                if !same {
                    return None;
                }
                let rest = operator.input[1..].iter().map(String::as_str);
                let inputs = std::iter::once(value.as_str()).chain(rest).collect();
                ("", operator.op_type.as_str(), inputs, operator.attribute.clone())
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
