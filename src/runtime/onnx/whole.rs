//! Lets quantised convolutions, products, sums and means count in whole numbers, as onnxruntime does.

use super::super::operators::{QUANTIZED_MEAN, QUANTIZED_SUM, REQUANTIZE, SPREAD};
use super::join::join;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Channels in and out from which on tract's kernels for integers are worth their preparations.
const CHANNELS_WIDE: i64 = 32;

/// Brings the graph's quantised operators into a form that counts.
///
/// Exporters write them in two ways: as operators on integers (`QLinearConv` and its kin), or as
/// operators on floats between `DequantizeLinear` and `QuantizeLinear`. onnxruntime makes the first
/// of the second and computes in integers, where a sum has no rounding. So the second becomes the
/// first here, too; and the first becomes an operator on whole numbers, which floats hold exactly
/// below 2^24, and one rounding at its end. What is not told by stored tensors stays as it is.
///
/// Stored weights stay integers until a plan is made, which looks for them in the outermost graph alone: those of
/// a graph that `is_inside` of a node are spread at once.
pub(super) fn settle(graph: &mut GraphProto, is_inside: bool) {
    let is_quantised = |node: &NodeProto| {
        node.op_type == "QuantizeLinear"
            || node.op_type.starts_with("QLinear")
            || node.op_type == "QGemm"
    };
    if !graph.node.iter().any(is_quantised) {
        return;
    }
    join(graph);
    let mut counted = Counted { is_inside, ..Counted::default() };
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
pub(super) struct Stored<'g>(pub(super) HashMap<&'g str, &'g TensorProto>);

impl<'g> Stored<'g> {
    pub(super) fn of(graph: &'g GraphProto) -> Stored<'g> {
        let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
        let tensors = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        Stored(tensors.filter(|(name, _)| !inputs.contains(name)).collect())
    }

    pub(super) fn floats(&self, name: &str) -> Option<Vec<f32>> {
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

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        match self.floats(name)?.as_slice() {
            [float] => Some(*float),
            _ => None,
        }
    }

    /// The type of a tensor of 8 bits, as zero points are; nothing of any other.
    pub(super) fn byte(&self, name: &str) -> Option<i32> {
        let element = self.0.get(name)?.data_type;
        [DataType::Uint8 as i32, DataType::Int8 as i32].contains(&element).then_some(element)
    }

    /// Whether these are zero points of one type and value.
    pub(super) fn same_byte(&self, one: &str, other: &str) -> bool {
        let value = |name: &str| {
            let tensor = self.0.get(name).filter(|it| it.dims.len() < 2)?; // who has more may not be read yet
            let values = tensor.int32_data.iter().copied();
            let bytes = tensor.raw_data.iter().map(|byte| i32::from(*byte));
            Some((self.byte(name)?, values.chain(bytes).collect::<Vec<i32>>()))
        };
        value(one).is_some() && value(one) == value(other)
    }

    /// Whether these are weights of a convolution that tract computes faster in integers: those of a
    /// ResNet-18 take half the time of floats so, those of a MobileNetV2 twice, since what is done
    /// for each pixel weighs more there.
    fn is_wide(&self, weights: &str) -> bool {
        let dims = self.0.get(weights).map_or(&[][..], |tensor| tensor.dims.as_slice());
        match dims {
            [made, inputs, window @ ..] => {
                let taps = window.iter().fold(1_i64, |taps, extent| taps.saturating_mul(*extent));
                *made >= CHANNELS_WIDE && *inputs >= CHANNELS_WIDE && taps > 1
            }
            _ => false,
        }
    }

    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|tensor| tensor.dims.len())
    }
}

pub(super) fn integer(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.i)
}

pub(super) fn float(node: &NodeProto, name: &str, otherwise: f32) -> f32 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.f)
}

fn number(name: &str, i: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), r#type, i, ..AttributeProto::default() }
}

pub(super) fn kept(node: &NodeProto, names: &[&str]) -> Vec<AttributeProto> {
    let all = node.attribute.iter();
    all.filter(|one| names.contains(&one.name.as_str())).cloned().collect()
}

/// The nodes that have come of the graph's so far, and what they want stored.
#[derive(Default)]
struct Counted {
    nodes: Vec<NodeProto>,
    stored: Vec<TensorProto>,
    is_inside: bool,
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
        if stored.is_wide(w) && bias.is_none_or(|bias| stored.0.contains_key(bias)) {
            let zero_of_weights = self.single_zero(node, w_zero, stored);
            let inputs = [x.clone(), w.clone(), x_zero.clone(), zero_of_weights];
            let counts = self.part(node, "ConvInteger", &inputs, node.attribute.clone());
            return self.requantised(node, &counts, steps, zero, bias, 1);
        }
        let mut inputs =
            vec![self.spread(node, x, x_zero, 1), self.weights(node, w, w_zero, 0, stored)];
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
        let inputs = [self.spread(node, a, a_zero, 1), self.weights(node, b, b_zero, 1, stored)];
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
        let mut inputs =
            vec![self.spread(node, a, a_zero, 1), self.weights(node, b, b_zero, along, stored)];
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
        self.spread_by(node, "DequantizeLinear", [value, zero_point], axis)
    }

    /// The same of what may be stored, which stays in integers then until a plan is made, where it has one
    /// zero point.
    fn weights(
        &mut self,
        node: &NodeProto,
        value: &str,
        zero_point: &str,
        axis: i64,
        stored: &Stored<'_>,
    ) -> String {
        if self.is_inside || stored.byte(value).is_none() {
            return self.spread(node, value, zero_point, axis);
        }
        let single = self.single_zero(node, zero_point, stored);
        let is_one = |tensor: &TensorProto| tensor.dims.iter().all(|extent| *extent == 1);
        let is_single =
            single != zero_point || stored.0.get(zero_point).is_some_and(|it| is_one(it));
        let operator = if is_single { SPREAD } else { "DequantizeLinear" };
        self.spread_by(node, operator, [value, &single], axis)
    }

    fn spread_by(
        &mut self,
        node: &NodeProto,
        operator: &str,
        [value, zero_point]: [&str; 2],
        axis: i64,
    ) -> String {
        let one = self.store(node, "one", vec![1.0]);
        let inputs = [value.to_owned(), one, zero_point.to_owned()];
        self.part(node, operator, &inputs, vec![number("axis", axis)])
    }

    /// The zero points of weights: zeros for all channels are one zero, which costs tract less.
    fn single_zero(&mut self, node: &NodeProto, name: &str, stored: &Stored<'_>) -> String {
        let Some(tensor) = stored.0.get(name) else { return name.to_owned() };
        let zeros = tensor.raw_data.iter().all(|byte| *byte == 0)
            && tensor.int32_data.iter().all(|value| *value == 0);
        if tensor.dims.len() != 1 || !zeros {
            return name.to_owned();
        }
        let single = format!("{}#zero{}", node.output.concat(), self.stored.len());
        self.stored.push(TensorProto {
            name: single.clone(),
            data_type: tensor.data_type,
            raw_data: vec![0],
            ..TensorProto::default()
        });
        single
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How a product of codes spreads its stored weights, whose zero points are these.
    fn spread(zeros: &[u8], is_inside: bool) -> String {
        let tensor = |name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>| {
            let (name, data_type, dims) = (name.to_owned(), data_type as i32, dims.to_vec());
            TensorProto { name, data_type, dims, raw_data, ..TensorProto::default() }
        };
        let dims: &[i64] = if zeros.len() == 1 { &[] } else { &[zeros.len() as i64] };
        let input = ["x", "scale", "zero", "w", "scale", "w_zero", "scale", "zero"];
        let mut graph = GraphProto {
            node: vec![NodeProto {
                op_type: "QLinearMatMul".into(),
                input: input.map(str::to_owned).to_vec(),
                output: vec!["y".into()],
                ..NodeProto::default()
            }],
            initializer: vec![
                tensor("scale", DataType::Float, &[], 0.5_f32.to_le_bytes().to_vec()),
                tensor("zero", DataType::Uint8, &[], vec![7]),
                tensor("w", DataType::Int8, &[2, 2], vec![1, 2, 3, 4]),
                tensor("w_zero", DataType::Int8, dims, zeros.to_vec()),
            ],
            ..GraphProto::default()
        };
        settle(&mut graph, is_inside);
        let made = graph.node.iter().find(|node| node.input.first().is_some_and(|it| it == "w"));
        made.map(|node| node.op_type.clone()).unwrap_or_default()
    }

    #[test]
    fn stored_weights_with_one_zero_point_are_left_to_plans_and_others_are_not() {
        for zeros in [&[0][..], &[3], &[0, 0]] {
            assert_eq!(spread(zeros, false), SPREAD, "{zeros:?}");
            assert_eq!(spread(zeros, true), "DequantizeLinear", "inside of a node");
        }
        assert_eq!(spread(&[0, 1], false), "DequantizeLinear");
    }
}
