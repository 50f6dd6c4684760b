//! From an ONNX file to a typed graph whose inputs and outputs are known by name.

use super::error::{LoadError, Unsupported, contained};
use super::plan::Plans;
use super::{operators, values};
use crate::disk::Stretch;
use crate::tensor::{Dimension, Port};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, Symbol, TDim, ToDim};
use tract_onnx::tract_hir::infer::Factoid;

/// The largest graph that is tried: a net of 1,000 layers has some 10,000 nodes, and tract's time
/// to type a graph grows faster than its nodes.
pub const NODES_MAX: usize = 200_000;

/// A dimension of an input, as the binding of rows needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    Fixed(usize),
    Free(Symbol),
}

/// A model that was read and typed and can make plans.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    pub(super) extents: Vec<Vec<Extent>>,
    /// Each output's first dimension is the batch: rows may be run in parts.
    pub(super) divisible: bool,
    pub(super) plans: Plans,
}

impl Model {
    /// Reads and types the ONNX file at `path`.
    ///
    /// # Errors
    /// When the file is no ONNX model, or not one that this runtime can run.
    pub fn load(path: &Path) -> Result<Model, LoadError> {
        Model::load_stretch(&Stretch::whole(path.to_owned()))
    }

    /// Reads and types the ONNX file that this stretch of a file is.
    ///
    /// # Errors
    /// As those of [`load`](Self::load).
    pub fn load_stretch(file: &Stretch) -> Result<Model, LoadError> {
        // Opened by us first: a missing file is then an I/O error, and not tract's sentence.
        let mut bytes = file.open().map_err(LoadError::Unreadable)?;
        let onnx = operators::onnx()
            .with_ignore_output_shapes(true) // exporters and quantisers leave stale shapes there
            .with_ignore_value_info(true);
        // A whole file is mapped, and its pages can go again; a part of one has to be read.
        let mut proto = match contained(|| match file.is_whole() {
            true => onnx.proto_model_for_path(file.path()),
            false => onnx.proto_model_for_read(&mut bytes),
        }) {
            Ok(proto) => proto,
            Err(super::error::Trouble::Refused(source)) => return Err(LoadError::NotOnnx(source)),
            Err(trouble) => return Err(trouble.into()),
        };
        survey(&proto, &onnx)?;
        name_apart(&mut proto);
        let mut graph = contained(|| {
            let parsed = onnx.parse(&proto, None)?;
            Ok((parsed.model, parsed.unresolved_inputs))
        })?
        .0;
        drop(proto); // the weights are in the graph now; a small board cannot hold them twice
        let (inputs, extents) = contained(|| Ok(free_inputs(&mut graph)))??;
        let typed = contained(|| {
            let mut typed = graph.into_typed()?.into_decluttered()?;
            operators::correct(&mut typed)?;
            Ok(typed)
        })?;
        let outputs = outputs(&typed)?;
        let batches: Vec<&Extent> = extents.iter().filter_map(|extents| extents.first()).collect();
        let divisible = contained(|| divisible(&typed, &batches))?;
        let symbols = symbols(&extents);
        Ok(Model { inputs, outputs, extents, divisible, plans: Plans::new(typed, symbols) })
    }

    /// What the model takes, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the model gives, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

/// Refuses what tract would refuse later, one thing at a time or by a panic.
fn survey(proto: &pb::ModelProto, onnx: &tract_onnx::Onnx) -> Result<(), LoadError> {
    let Some(graph) = proto.graph.as_ref().filter(|graph| !graph.output.is_empty()) else {
        return Err(LoadError::NoGraph);
    };
    if graph.node.len() > NODES_MAX {
        return Err(LoadError::TooManyNodes { found: graph.node.len(), limit: NODES_MAX });
    }
    let external: Vec<&pb::TensorProto> = graph
        .initializer
        .iter()
        .filter(|tensor| {
            tensor.data_location == Some(pb::tensor_proto::DataLocation::External as i32)
        })
        .collect();
    if let Some(first) = external.first() {
        return Err(LoadError::ExternalData { count: external.len(), first: first.name.clone() });
    }
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &graph.node {
        if !onnx.op_register.0.contains_key(&node.op_type) {
            let operator = match node.domain.as_str() {
                "" | "ai.onnx" => node.op_type.clone(),
                domain => format!("{domain}.{}", node.op_type),
            };
            let name = if node.name.is_empty() { node.output.concat() } else { node.name.clone() };
            missing.entry(operator).or_default().push(name);
        }
    }
    if !missing.is_empty() {
        let operators =
            missing.into_iter().map(|(operator, nodes)| Unsupported { operator, nodes }).collect();
        return Err(LoadError::UnsupportedOperators { operators });
    }
    let made = |name: &str| {
        graph.node.iter().any(|node| node.output.iter().any(|output| output == name))
            || graph.initializer.iter().any(|tensor| tensor.name == name)
            || graph.input.iter().any(|input| input.name == name)
    };
    match graph.output.iter().find(|output| !made(&output.name)) {
        Some(output) => Err(LoadError::Refused(
            format!("no node makes the graph's output `{}`", output.name).into(),
        )),
        None => Ok(()),
    }
}

/// Gives a node another name where its name is taken: ONNX keeps nodes and tensors apart, and asks
/// for no unique names, but tract has one space for both and refuses what stands in it twice.
fn name_apart(proto: &mut pb::ModelProto) {
    let Some(graph) = proto.graph.as_mut() else { return };
    let inputs = graph.input.iter().map(|input| input.name.clone());
    let mut taken: HashSet<String> =
        inputs.chain(graph.initializer.iter().map(|tensor| tensor.name.clone())).collect();
    for (index, node) in graph.node.iter_mut().enumerate() {
        // tract calls a nameless node after its first output.
        let shown = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
        let shown = shown.cloned().unwrap_or_default();
        if !taken.insert(shown.clone()) {
            node.name = format!("{shown}#{index}");
            taken.insert(node.name.clone());
        }
    }
}

/// Gives each open dimension of the inputs a symbol of its own and tells the graph.
///
/// A dimension of 0, as old converters write for the batch, is open too: no row fits it.
fn free_inputs(graph: &mut InferenceModel) -> Result<(Vec<Port>, Vec<Vec<Extent>>), LoadError> {
    let mut ports = Vec::new();
    let mut all_extents = Vec::new();
    // Nameless first dimensions are one: each is the number of rows.
    let mut batch = None;
    for index in 0..graph.inputs.len() {
        let refused = |error: TractError| LoadError::Refused(error.into());
        let name = graph.node(graph.inputs[index].node).name.clone();
        let fact = graph.input_fact(index).map_err(refused)?.clone();
        let unsupported =
            |found: String| LoadError::UnsupportedType { port: format!("input `{name}`"), found };
        let datum = fact.datum_type.concretize();
        let Some((datum, element)) = datum.and_then(|d| Some((d, values::element(d)?))) else {
            return Err(unsupported(format!("of type {datum:?}")));
        };
        let Some(rank) = fact.shape.rank().concretize() else {
            return Err(unsupported("a tensor of unknown rank".into()));
        };
        let mut extents = Vec::new();
        let mut dimensions = Vec::new();
        for axis in 0..rank as usize {
            let told = fact.shape.dim(axis).and_then(|dim| dim.concretize());
            let fresh = |prefix: &str| graph.symbols.new_with_prefix(prefix);
            let mut nameless = || match axis {
                0 => batch.get_or_insert_with(|| fresh("batch")).clone(),
                _ => fresh("open"),
            };
            let extent = match told {
                Some(TDim::Sym(symbol)) => Extent::Free(symbol),
                Some(dim) => match dim.to_usize() {
                    Ok(extent) if extent > 0 => Extent::Fixed(extent),
                    Ok(_) | Err(_) => Extent::Free(nameless()),
                },
                None => Extent::Free(nameless()),
            };
            dimensions.push(match &extent {
                Extent::Fixed(extent) => Dimension::Fixed(*extent),
                Extent::Free(symbol) => Dimension::Free(symbol.to_string()),
            });
            extents.push(extent);
        }
        let shape: TVec<TDim> = extents
            .iter()
            .map(|extent| match extent {
                Extent::Fixed(extent) => extent.to_dim(),
                Extent::Free(symbol) => symbol.to_dim(),
            })
            .collect();
        graph.set_input_fact(index, InferenceFact::dt_shape(datum, shape)).map_err(refused)?;
        ports.push(Port { name, element, dimensions });
        all_extents.push(extents);
    }
    Ok((ports, all_extents))
}

fn outputs(typed: &TypedModel) -> Result<Vec<Port>, LoadError> {
    let mut ports = Vec::new();
    for (index, outlet) in typed.outputs.iter().enumerate() {
        let fallback = || format!("output_{index}");
        let name = typed.outlet_label(*outlet).map_or_else(fallback, str::to_owned);
        let fact = typed.outlet_fact(*outlet).map_err(|error| LoadError::Refused(error.into()))?;
        let Some(element) = values::element(fact.datum_type) else {
            let found = format!("of type {:?}", fact.datum_type);
            return Err(LoadError::UnsupportedType { port: format!("output `{name}`"), found });
        };
        let dimensions = fact
            .shape
            .iter()
            .map(|dim| match dim.to_usize() {
                Ok(extent) => Dimension::Fixed(extent),
                Err(_) => Dimension::Free(dim.to_string()),
            })
            .collect();
        ports.push(Port { name, element, dimensions });
    }
    Ok(ports)
}

/// Whether every input and every output has the batch, and nothing else, as its first dimension.
fn divisible(typed: &TypedModel, batches: &[&Extent]) -> TractResult<bool> {
    let is_batch = |dim: &TDim| {
        let TDim::Sym(symbol) = dim else { return false };
        batches.contains(&&Extent::Free(symbol.clone()))
    };
    if batches.iter().any(|extent| matches!(extent, Extent::Fixed(_))) || batches.is_empty() {
        return Ok(false);
    }
    for outlet in &typed.outputs {
        if !typed.outlet_fact(*outlet)?.shape.iter().next().is_some_and(is_batch) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn symbols(extents: &[Vec<Extent>]) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::new();
    for extent in extents.iter().flatten() {
        if let Extent::Free(symbol) = extent
            && !symbols.contains(symbol)
        {
            symbols.push(symbol.clone());
        }
    }
    symbols
}
