//! A census of a model's file: how many numbers it has learnt, its operators, and the files beside it that it names.

use super::error::LoadError;
use super::onnx as onnx_file;
use crate::disk::Stretch;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, TensorProto};

/// Graphs inside of graphs that are counted: a model with more does not load.
const GRAPHS_DEEP_MAX: usize = 16;

/// What was counted, in a file that need not load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Elements of stored tensors and of the lists of floats in attributes, as trees have them.
    pub parameters: u64,
    /// Nodes of each operator, with its domain where it is not ONNX's own.
    pub operators: BTreeMap<String, u64>,
    /// The locations of the files beside it that hold weights of it, as it writes them.
    pub beside: BTreeSet<String>,
}

/// Counts what is in an ONNX file, whether or not this runtime has its operators.
///
/// # Errors
/// When the file cannot be read or is no ONNX file.
pub fn census(file: &Stretch) -> Result<Census, LoadError> {
    let proto = onnx_file::read(file)?.proto;
    let mut census = Census::default();
    if let Some(graph) = &proto.graph {
        census.graph(graph, 0);
    }
    Ok(census)
}

impl Census {
    fn graph(&mut self, graph: &GraphProto, depth: usize) {
        if depth > GRAPHS_DEEP_MAX {
            return;
        }
        for tensor in &graph.initializer {
            self.tensor(tensor);
        }
        for node in &graph.node {
            let operator = match node.domain.as_str() {
                "" => node.op_type.clone(),
                domain => format!("{domain}.{}", node.op_type),
            };
            *self.operators.entry(operator).or_default() += 1;
            for attribute in &node.attribute {
                for tensor in attribute.t.iter().chain(&attribute.tensors) {
                    self.tensor(tensor);
                }
                self.count(attribute.floats.len() as u64);
                for graph in attribute.g.iter().chain(&attribute.graphs) {
                    self.graph(graph, depth + 1);
                }
            }
        }
    }

    fn tensor(&mut self, tensor: &TensorProto) {
        self.count(elements(tensor));
        self.beside.extend(onnx_file::location(tensor).map(str::to_owned));
    }

    fn count(&mut self, elements: u64) {
        self.parameters = self.parameters.saturating_add(elements);
    }
}

/// As many as its dimensions say; a stranger's may be negative or enormous.
fn elements(tensor: &TensorProto) -> u64 {
    let extents = tensor.dims.iter().map(|extent| u64::try_from(*extent).unwrap_or(0));
    extents.fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn fixture(name: &str) -> Stretch {
        let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        Stretch::whole(models.join(name))
    }

    #[test]
    fn every_weight_and_node_of_a_net_is_counted() {
        let census = census(&fixture("fraud.onnx")).unwrap();
        assert!(census.operators["Gemm"] >= 1, "{census:?}");
        assert!(census.parameters > 29, "{census:?}");
    }

    #[test]
    fn a_file_that_is_no_model_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"no model").unwrap();
        let found = census(&Stretch::whole(file.path().to_owned()));
        assert!(matches!(found, Err(LoadError::NotOnnx(_))), "{found:?}");
    }
}
