//! Where in a graph a stored tensor stands: among the stored ones, or in a node `Constant` of its own.

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// The place of a tensor whose values the author of a model wrote down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// The stored tensor of this number.
    Stored(usize),
    /// In the node of this number.
    Node(usize),
}

/// What a tensor is called.
#[derive(Debug)]
pub(super) struct Names {
    /// As nodes ask for it: this stays.
    pub(super) value: String,
    /// As the node of tract's graph that has it.
    pub(super) node: String,
}

impl Seat {
    /// All of a graph, but for those of graphs inside of nodes.
    pub(super) fn all(graph: &GraphProto) -> Vec<Seat> {
        let stored = (0..graph.initializer.len()).map(Seat::Stored);
        let nodes = graph.node.iter().enumerate().filter(|(_, node)| is_constant(node));
        stored.chain(nodes.map(|(at, _)| Seat::Node(at))).collect()
    }

    /// The tensor, if there is one.
    pub(super) fn tensor(self, graph: &mut GraphProto) -> Option<&mut TensorProto> {
        match self {
            Seat::Stored(at) => graph.initializer.get_mut(at),
            Seat::Node(at) => {
                let node = graph.node.get_mut(at).filter(|node| is_constant(node))?;
                node.attribute.first_mut()?.t.as_mut()
            }
        }
    }

    /// What the tensor is called, if there is one.
    pub(super) fn names(self, graph: &GraphProto) -> Option<Names> {
        match self {
            Seat::Stored(at) => {
                let name = &graph.initializer.get(at)?.name;
                Some(Names { value: name.clone(), node: name.clone() })
            }
            Seat::Node(at) => {
                let NodeProto { name, output, .. } = graph.node.get(at)?;
                let value = output.first()?;
                let node = if name.is_empty() { value } else { name };
                Some(Names { value: value.clone(), node: node.clone() })
            }
        }
    }
}

/// Whether a node is a tensor that is written down, and nothing else.
fn is_constant(node: &NodeProto) -> bool {
    let [attribute] = node.attribute.as_slice() else { return false };
    node.op_type == "Constant" && attribute.name == "value" && attribute.t.is_some()
}
