//! What is known of a model once it was tried, as records and answers carry it.

use crate::runtime::Unsupported;
use crate::tensor::{Dimension, Port};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Nodes that are named for one missing operator; the others are counted.
const NODES_MAX: usize = 100;

/// Everything that was found out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::ops) struct Facts {
    /// Why it cannot be served, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it takes.
    #[serde(default)]
    pub inputs: Vec<PortFact>,
    /// What it gives.
    #[serde(default)]
    pub outputs: Vec<PortFact>,
    /// Numbers that it has learnt; none where the file is no ONNX.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Nodes of each operator.
    #[serde(default)]
    pub operators: BTreeMap<String, u64>,
    /// Every operator that the runtime does not have, with the nodes that use it.
    #[serde(default)]
    pub unsupported: Vec<Missing>,
    /// The most memory that loading and running one row took, in bytes.
    #[serde(default)]
    pub peak_memory_bytes: Option<u64>,
    /// The median time of one row of zeros on one CPU of the ops center, in microseconds.
    #[serde(default)]
    pub latency_us: Option<f64>,
    /// What is odd and no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::ops) struct PortFact {
    /// Its name.
    pub name: String,
    /// Its element type, as ONNX calls it.
    #[serde(rename = "type")]
    pub element: String,
    /// Its dimensions; a name stands for one that is open.
    pub shape: Vec<Extent>,
}

/// A dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::ops) enum Extent {
    /// Always this.
    Fixed(usize),
    /// Any, under this name.
    Free(String),
}

/// An operator that the runtime does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ops) struct Missing {
    /// With its domain where it is not ONNX's own.
    pub operator: String,
    /// The names of the first nodes that use it.
    pub nodes: Vec<String>,
    /// Nodes that use it and are not named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl PortFact {
    pub(super) fn of(port: &Port) -> PortFact {
        let extent = |dimension: &Dimension| match dimension {
            Dimension::Fixed(extent) => Extent::Fixed(*extent),
            Dimension::Free(name) => Extent::Free(name.clone()),
        };
        PortFact {
            name: port.name.clone(),
            element: port.element.onnx_name().to_owned(),
            shape: port.dimensions.iter().map(extent).collect(),
        }
    }
}

impl Missing {
    pub(super) fn of(unsupported: &Unsupported) -> Missing {
        let Unsupported { operator, nodes } = unsupported;
        let named = nodes.len().min(NODES_MAX);
        Missing {
            operator: operator.clone(),
            nodes: nodes[..named].to_vec(),
            more: nodes.len() - named,
        }
    }
}
