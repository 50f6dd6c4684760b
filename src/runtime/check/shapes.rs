//! Operands that must fit the shape of a tensor, where tract goes on without a fit.

use super::constants::Constants;
use super::survey::shown;
use std::collections::HashMap;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, OutletId, bail};
use tract_onnx::tract_hir::infer::Factoid;

/// What does not fit, a sentence for each; `graph` has been inferred from `proto`.
pub(in super::super) fn misfits(proto: &GraphProto, graph: &InferenceModel) -> Vec<String> {
    let shapes = shapes(graph);
    let constants = Constants::of(proto);
    let own = proto.node.iter().filter(|node| node.domain.is_empty());
    let found = own.filter_map(|node| {
        let shape = shapes.get(node.input.first()?.as_str())?;
        let what = axis(node, shape, &constants)
            .or_else(|| order(node, shape))
            .or_else(|| window(node, shape, &shapes))
            .or_else(|| aligned(node, shape, &shapes))
            .or_else(|| most(node, shape, &constants))?;
        Some(format!("node `{}` ({}) {what}", shown(node), node.op_type))
    });
    found.collect()
}

/// The nodes of a graph by name, to be asked for their axes one by one.
pub(in super::super) struct Axes<'g> {
    nodes: HashMap<&'g str, &'g NodeProto>,
    constants: Constants,
}

impl<'g> Axes<'g> {
    pub(in super::super) fn of(proto: &'g GraphProto) -> Axes<'g> {
        let own = proto.node.iter().filter(|node| node.domain.is_empty());
        let nodes = own.map(|node| (shown(node), node)).collect();
        Axes { nodes, constants: Constants::of(proto) }
    }

    /// Whether the node has no axis that its first input has not.
    pub(in super::super) fn fit(&self, graph: &InferenceModel, id: usize) -> TractResult<()> {
        let node = graph.node(id);
        let (Some(proto), Some(input)) = (self.nodes.get(node.name.as_str()), node.inputs.first())
        else {
            return Ok(());
        };
        let rank = graph.outlet_fact(*input)?.shape.rank().concretize();
        let Some(rank) = rank else { return Ok(()) };
        match axis(proto, &vec![None; rank as usize], &self.constants) {
            Some(what) => bail!("node `{}` ({}) {what}", shown(proto), proto.op_type),
            None => Ok(()),
        }
    }
}

/// Extents of a tensor, none for those that are open.
type Shape = Vec<Option<usize>>;

fn shapes(graph: &InferenceModel) -> HashMap<&str, Shape> {
    let mut shapes = HashMap::new();
    for node in graph.nodes() {
        for (slot, output) in node.outputs.iter().enumerate() {
            let Some(rank) = output.fact.shape.rank().concretize() else { continue };
            let extent = |axis: usize| output.fact.shape.dim(axis)?.concretize()?.to_usize().ok();
            let shape: Shape = (0..rank as usize).map(extent).collect();
            let label = graph.outlet_label(OutletId::new(node.id, slot));
            shapes.insert(label.unwrap_or(&node.name), shape);
        }
    }
    shapes
}

fn integer(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

fn integers<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
    Some(&attribute.ints)
}

/// An axis that the tensor does not have.
fn axis(node: &NodeProto, shape: &Shape, constants: &Constants) -> Option<String> {
    let rank = shape.len() as i64;
    let written = |place: usize| constants.input(node, place).map(<[f64]>::to_vec);
    let axes: Vec<f64> = match node.op_type.as_str() {
        "ArgMax" | "ArgMin" | "Concat" | "Gather" | "GatherElements" | "Hardmax"
        | "LayerNormalization" | "LogSoftmax" | "ScatterElements" | "Softmax" | "Split"
        | "TopK" => {
            vec![integer(node, "axis")? as f64]
        }
        "Squeeze" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax"
        | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => {
            match integers(node, "axes") {
                Some(axes) => axes.iter().map(|axis| *axis as f64).collect(),
                None => written(1)?,
            }
        }
        "CumSum" => written(1)?,
        _ => return None,
    };
    let outside = |axis: &&f64| **axis < -(rank as f64) || **axis >= rank as f64;
    let axis = axes.iter().find(outside)?;
    Some(format!("has the axis {axis}, and its input {rank} dimensions"))
}

/// An order of axes that does not have each of them once.
fn order(node: &NodeProto, shape: &Shape) -> Option<String> {
    let order = integers(node, "perm").filter(|_| node.op_type == "Transpose")?;
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    let sound = sorted.iter().copied().eq(0..shape.len() as i64);
    (!sound && !order.is_empty())
        .then(|| format!("has the order {order:?} for an input of {} dimensions", shape.len()))
}

/// A window that is larger than what it moves over.
fn window(node: &NodeProto, shape: &Shape, shapes: &HashMap<&str, Shape>) -> Option<String> {
    let pools = ["AveragePool", "LpPool", "MaxPool"].contains(&node.op_type.as_str());
    if !pools && node.op_type != "Conv" {
        return None;
    }
    let automatic = node.attribute.iter().find(|attribute| attribute.name == "auto_pad");
    if automatic.is_some_and(|attribute| attribute.s.starts_with(b"SAME")) {
        return None;
    }
    let kernel: Vec<usize> = match integers(node, "kernel_shape") {
        Some(kernel) => {
            kernel.iter().map(|one| usize::try_from(*one).ok()).collect::<Option<_>>()?
        }
        None => shapes
            .get(node.input.get(1)?.as_str())?
            .get(2..)?
            .iter()
            .copied()
            .collect::<Option<_>>()?,
    };
    let at = |list: Option<&[i64]>, index: usize, otherwise: i64| {
        list.and_then(|list| list.get(index)).copied().unwrap_or(otherwise)
    };
    let (pads, dilations) = (integers(node, "pads"), integers(node, "dilations"));
    for (index, kernel) in kernel.iter().enumerate() {
        let Some(Some(extent)) = shape.get(index + 2) else { continue };
        let (extent, kernel) = (*extent as i64, *kernel as i64);
        let padded = extent + at(pads, index, 0) + at(pads, index + shape.len() - 2, 0);
        let reach = (kernel - 1).saturating_mul(at(dilations, index, 1)) + 1;
        if reach > padded {
            return Some(format!("moves a window of {reach} over {padded} values"));
        }
    }
    None
}

/// A second operand that begins at an axis of the first: operator sets before 7 had this form, and
/// it is today's only where both end together.
fn aligned(node: &NodeProto, shape: &Shape, shapes: &HashMap<&str, Shape>) -> Option<String> {
    let axis = integer(node, "axis").filter(|_| integer(node, "broadcast") == Some(1))?;
    let other = shapes.get(node.input.get(1)?.as_str())?.len() as i64;
    let rank = shape.len() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    (axis + other != rank).then(|| {
        format!("puts {other} dimensions at the axis {axis} of {rank}, a form that this runtime does not have")
    })
}

/// More of the largest than there are values.
fn most(node: &NodeProto, shape: &Shape, constants: &Constants) -> Option<String> {
    if node.op_type != "TopK" {
        return None;
    }
    let [k] = constants.input(node, 1)? else { return None };
    let axis = integer(node, "axis").unwrap_or(-1);
    let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
    let extent = (*shape.get(usize::try_from(axis).ok()?)?)?;
    (*k < 0.0 || *k > extent as f64).then(|| format!("takes {k} of {extent} values"))
}
