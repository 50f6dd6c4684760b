//! Walks every graph of a model, those inside of nodes too, and gathers what is wrong with it.

use super::super::error::{LoadError, Unsupported};
use super::constants::Constants;
use super::names::{self, Scope};
use super::{attributes, forms, tensors};
use std::collections::BTreeMap;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

/// The largest graph that is tried: a net of 1,000 layers has some 10,000 nodes, and tract's time
/// to type a graph grows faster than its nodes.
pub const NODES_MAX: usize = 200_000;

/// Stored tensors in a model; a net of 1,000 layers has some 5,000.
pub const INITIALISERS_MAX: usize = 200_000;

/// The longest name of a node or tensor, in bytes. Names of nested scopes reach some hundred.
pub const NAME_BYTES_MAX: usize = 4 << 10;

/// Graphs inside of graphs. tract types the inner ones by recursion; people nest two or three.
const GRAPHS_DEEP_MAX: usize = 16;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<String>,
    missing: BTreeMap<String, Vec<String>>,
    nodes: usize,
    initialisers: usize,
}

/// Refuses what tract would refuse later, one thing at a time, by a panic, or not at all.
pub(in super::super) fn survey(
    model: &ModelProto,
    known: &dyn Fn(&NodeProto) -> bool,
) -> Result<(), LoadError> {
    let Some(graph) = model.graph.as_ref().filter(|graph| !graph.output.is_empty()) else {
        return Err(LoadError::NoGraph);
    };
    let mut findings = Findings::default();
    findings.graph(graph, &Scope::top(), known, 0);
    if findings.nodes > NODES_MAX {
        return Err(LoadError::TooManyNodes { found: findings.nodes, limit: NODES_MAX });
    }
    if !findings.missing.is_empty() {
        let missing = findings.missing.into_iter();
        let operators = missing.map(|(operator, nodes)| Unsupported { operator, nodes }).collect();
        return Err(LoadError::UnsupportedOperators { operators });
    }
    match findings.faults.is_empty() {
        true => Ok(()),
        false => Err(LoadError::Unsound { faults: findings.faults }),
    }
}

impl Findings {
    fn graph(
        &mut self,
        graph: &GraphProto,
        outer: &Scope<'_>,
        known: &dyn Fn(&NodeProto) -> bool,
        depth: usize,
    ) {
        self.nodes += graph.node.len();
        self.initialisers += graph.initializer.len();
        if self.nodes > NODES_MAX {
            return; // told by the caller, and not worth the walk
        }
        if self.initialisers > INITIALISERS_MAX {
            return self.fault(format!(
                "it stores more than the {INITIALISERS_MAX} tensors that are allowed"
            ));
        }
        if depth > GRAPHS_DEEP_MAX {
            return self
                .fault(format!("its graphs are nested deeper than {GRAPHS_DEEP_MAX} times"));
        }
        if !graph.sparse_initializer.is_empty() {
            self.fault("it stores sparse tensors, which this runtime does not read".into());
        }
        for tensor in &graph.initializer {
            self.tensor(tensor);
        }
        let scope = names::check(graph, outer, self);
        let constants = Constants::of(graph);
        for node in &graph.node {
            if !known(node) {
                let name = shown(node).to_owned();
                self.missing.entry(operator(node)).or_default().push(name);
            }
            attributes::check(node, self);
            forms::check(node, self);
            constants.check(node, self);
            for attribute in &node.attribute {
                for tensor in attribute.t.iter().chain(&attribute.tensors) {
                    self.tensor(tensor);
                }
                for graph in attribute.g.iter().chain(&attribute.graphs) {
                    self.graph(graph, &scope, known, depth + 1);
                }
            }
        }
    }

    fn tensor(&mut self, tensor: &tract_onnx::pb::TensorProto) {
        if let Err(sentence) = tensors::check(tensor) {
            self.fault(sentence);
        }
    }

    pub(super) fn fault(&mut self, sentence: String) {
        if !self.faults.contains(&sentence) {
            self.faults.push(sentence);
        }
    }
}

/// The node's name, or what it makes when it has none.
pub(super) fn shown(node: &NodeProto) -> &str {
    match node.name.as_str() {
        "" => node.output.iter().find(|output| !output.is_empty()).map_or("", String::as_str),
        name => name,
    }
}

/// The operator with its domain, when it is not ONNX's own.
fn operator(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}
