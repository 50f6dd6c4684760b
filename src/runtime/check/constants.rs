//! Operands that a model's author wrote down, where some values make no sense or fill the memory.

use super::analysis::TENSOR_BYTES_MAX;
use super::survey::{Findings, shown};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Values of a constant that are looked at: shapes and axes have a dozen at most.
const VALUES_MAX: usize = 64;

/// Values that may be added along an axis; tract fills them in before their number can be asked.
const PAD_MAX: f64 = 16_777_216.0;

/// The short constants of a graph by name, and the names of those that are integers.
#[derive(Debug)]
pub(super) struct Constants(HashMap<String, Vec<f64>>, HashSet<String>);

impl Constants {
    /// The stored tensors and `Constant` nodes of `graph` that hold few numbers.
    pub(super) fn of(graph: &GraphProto) -> Constants {
        let stored = graph.initializer.iter().map(|tensor| (&tensor.name, values(tensor)));
        let made = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
            let output = node.output.first()?;
            let attribute = node.attribute.first()?;
            Some((
                output,
                match attribute.name.as_str() {
                    "value" => values(attribute.t.as_ref()?),
                    "value_int" => Some(vec![attribute.i as f64]),
                    "value_ints" => Some(attribute.ints.iter().map(|one| *one as f64).collect()),
                    "value_float" => Some(vec![f64::from(attribute.f)]),
                    _ => None,
                },
            ))
        });
        let known = stored.chain(made);
        let known = known.filter_map(|(name, known)| Some((name.clone(), known?))).collect();
        let stored = graph.initializer.iter().map(|tensor| (&tensor.name, tensor.data_type));
        let made = graph.node.iter().filter_map(|node| {
            let attribute = node.attribute.first().filter(|_| node.op_type == "Constant")?;
            let element = attribute.t.as_ref().map_or(0, |tensor| tensor.data_type);
            Some((node.output.first()?, element))
        });
        let float = |element: i32| {
            matches!(
                DataType::try_from(element),
                Ok(DataType::Float | DataType::Double | DataType::Float16)
            )
        };
        let integers = stored.chain(made).filter(|(_, element)| !float(*element));
        Constants(known, integers.map(|(name, _)| name.clone()).collect())
    }

    /// The values of the node's input at this place, when they are written down.
    pub(super) fn input(&self, node: &NodeProto, place: usize) -> Option<&[f64]> {
        self.0.get(node.input.get(place)?).map(Vec::as_slice)
    }

    /// Notes what is wrong with the operands of `node`.
    pub(super) fn check(&self, node: &NodeProto, findings: &mut Findings) {
        if !node.domain.is_empty() {
            return;
        }
        let mut told = |what: String| {
            findings.fault(format!("node `{}` ({}) {what}", shown(node), node.op_type));
        };
        match node.op_type.as_str() {
            "ConstantOfShape" => {
                if let Some(shape) = self.input(node, 0) {
                    told_size(shape, &mut told);
                }
            }
            "Expand" => {
                if let Some(shape) = self.input(node, 1) {
                    told_size(shape, &mut told);
                }
            }
            "Tile" => {
                if let Some(repeats) = self.input(node, 1) {
                    told_size(repeats, &mut told);
                }
            }
            "OneHot" => {
                if let Some([depth]) = self.input(node, 1) {
                    told_size(&[*depth], &mut told);
                }
            }
            "Div" | "Mod"
                if self.1.contains(node.input.get(1).map_or("", String::as_str))
                    && self.input(node, 1).is_some_and(|divisors| divisors.contains(&0.0)) =>
            {
                told("divides integers by 0".into());
            }
            "Pad" => {
                let pads = self.input(node, 1).unwrap_or_default();
                if let Some(pad) = pads.iter().find(|pad| pad.abs() > PAD_MAX) {
                    told(format!("pads by {pad} values, more than the {PAD_MAX} that are allowed"));
                }
            }
            "Slice" if self.input(node, 4).is_some_and(|steps| steps.contains(&0.0)) => {
                told("steps by 0".into());
            }
            "Range" => {
                let operand = |place| match self.input(node, place) {
                    Some([value]) => Some(*value),
                    _ => None,
                };
                match (operand(0), operand(1), operand(2)) {
                    (_, _, Some(0.0)) => told("steps by 0".into()),
                    (Some(start), Some(limit), Some(step)) => {
                        told_size(&[((limit - start) / step).ceil().max(0.0)], &mut told);
                    }
                    _ => {}
                }
            }
            "Resize" => {
                let scales = self.input(node, if node.input.len() == 2 { 1 } else { 2 });
                let bad = |scale: &&f64| !(**scale > 0.0 && **scale <= 1e6);
                if let Some(scale) = scales.and_then(|scales| scales.iter().find(bad)) {
                    told(format!("scales by {scale}: between 0 and a million is possible"));
                }
            }
            _ => {}
        }
    }
}

/// Tells of a shape that has a negative extent, or more values than a tensor may have, at a byte
/// for each.
fn told_size(shape: &[f64], told: &mut dyn FnMut(String)) {
    if let Some(extent) = shape.iter().find(|extent| **extent < 0.0) {
        return told(format!("makes a tensor with an extent of {extent}"));
    }
    let bytes = shape.iter().product::<f64>();
    if bytes > TENSOR_BYTES_MAX as f64 {
        let limit = TENSOR_BYTES_MAX >> 20;
        told(format!(
            "makes a tensor of at least {:.0} MiB, more than the {limit} that are allowed",
            bytes / f64::from(1 << 20)
        ));
    }
}

fn values(tensor: &TensorProto) -> Option<Vec<f64>> {
    fn raw<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> f64) -> Option<Vec<f64>> {
        let chunks = bytes.chunks_exact(N);
        (bytes.len() / N <= VALUES_MAX)
            .then(|| chunks.map(|chunk| read(chunk.try_into().unwrap_or([0; N]))).collect())
    }
    let raw_data = tensor.raw_data.as_slice();
    let few = VALUES_MAX + 1; // one more than is looked at tells that there are too many
    let element = DataType::try_from(tensor.data_type).ok()?;
    let values: Vec<f64> = if element == DataType::Int64 {
        match raw_data.is_empty() {
            true => tensor.int64_data.iter().take(few).map(|one| *one as f64).collect(),
            false => raw(raw_data, |bytes| i64::from_le_bytes(bytes) as f64)?,
        }
    } else if element == DataType::Int32 {
        match raw_data.is_empty() {
            true => tensor.int32_data.iter().take(few).map(|one| f64::from(*one)).collect(),
            false => raw(raw_data, |bytes| f64::from(i32::from_le_bytes(bytes)))?,
        }
    } else if element == DataType::Float {
        match raw_data.is_empty() {
            true => tensor.float_data.iter().take(few).map(|one| f64::from(*one)).collect(),
            false => raw(raw_data, |bytes| f64::from(f32::from_le_bytes(bytes)))?,
        }
    } else {
        return None;
    };
    (values.len() <= VALUES_MAX).then_some(values)
}
