//! From an ONNX file to a typed graph whose inputs and outputs are known by name.

use super::Deadline;
use super::cache::{Cache, Written};
use super::error::{LoadError, contained};
use super::late::Late;
use super::onnx::{self as onnx_file, Beside, Places};
use super::plan::Plans;
use super::{apart, blocked, check, operators, values};
use crate::allocator;
use crate::disk::Stretch;
use crate::oci::Digest;
use crate::tensor::{Dimension, Port};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, Symbol, TDim, ToDim};
use tract_onnx::tract_hir::infer::Factoid;

/// How long loading may take before it is given up: a large net on a small board takes a minute.
const LOAD_SECONDS_MAX: u64 = 600;

/// The stack of the thread that loads, in bytes. tract walks some graphs by recursion; what is
/// not used of it costs nothing.
const LOAD_STACK_BYTES: usize = 256 << 20;

/// The operators of `com.microsoft` that we have. tract looks at names alone, and would take any
/// other of that domain for ONNX's own of the same name: `Attention` has other inputs there.
const CONTRIBUTED: [&str; 15] = [
    "BiasGelu",
    "DequantizeLinear",
    "DynamicQuantizeLSTM",
    "FastGelu",
    "GatherBlockQuantized",
    "Gelu",
    "GroupQueryAttention",
    "MatMulNBits",
    "MultiHeadAttention",
    "QuantizeLinear",
    "QuickGelu",
    "RotaryEmbedding",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
];

/// A dimension of an input, as the binding of rows needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    Fixed(usize),
    Free(Symbol),
}

impl Extent {
    /// The symbols of open dimensions, each once, in the order in which plans are known by them.
    pub(super) fn symbols(extents: &[Vec<Extent>]) -> Vec<Symbol> {
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
    /// There when the graph is typed for each request's sizes: the plans are its own then.
    pub(super) late: Option<Late>,
    /// The files beside its own that its weights came from, by the locations that it names.
    side_files: BTreeMap<String, Stretch>,
}

impl Model {
    /// Reads, checks and types the ONNX file at `path`, with the files beside it that it names.
    ///
    /// # Errors
    /// When the file is no ONNX model, or not one that this runtime can run.
    pub fn load(path: &Path) -> Result<Model, LoadError> {
        Model::load_stretch(&Stretch::whole(path.to_owned()), Beside::of(path))
    }

    /// Reads, checks and types the ONNX file that this stretch of a file is; weights that it keeps
    /// in other files are looked for `beside` it.
    ///
    /// # Errors
    /// As those of [`load`](Self::load).
    pub fn load_stretch(file: &Stretch, beside: Beside) -> Result<Model, LoadError> {
        let file = file.clone();
        in_time(move || {
            let (mut model, places) = Model::build(onnx_file::read(&file)?, &beside, framework())?;
            model.leave_weights(&places);
            allocator::give_back();
            Ok(model)
        })
    }

    /// The model that the file of this digest came to at an earlier start, from the graph that
    /// `cache` has of it, whose weights so many threads read; none when it has none of use.
    ///
    /// That the file has this digest is the caller's to see to.
    pub fn kept(
        file: &Stretch,
        digest: &Digest,
        cache: &Arc<Cache>,
        threads: usize,
    ) -> Option<Model> {
        let (stretch, kept, sha) = (file.clone(), cache.clone(), *digest);
        in_time(move || Ok(kept.find(&sha, &stretch, threads))).ok().flatten()
    }

    /// Lets plans read weights from the file, where its graph can be written down with most of them there.
    fn leave_weights(&mut self, places: &Places) {
        if let Some(late) = &mut self.late {
            if let Err(trouble) = contained(|| late.leave(places)) {
                log::debug!("its weights stay: {}", crate::exit::chain(&LoadError::from(trouble)));
            }
            return;
        }
        // Or else all of it stays in memory.
        if let Ok(Some(written)) = contained(|| Ok(Written::of(self, places))) {
            self.plans.leave(written);
        }
    }

    /// Keeps what loading the file of this digest came to in `cache`, for the next start.
    pub fn keep(&self, file: &Stretch, digest: &Digest, cache: &Cache) {
        cache.keep(digest, file, self);
    }

    pub(super) fn of_parts(
        inputs: Vec<Port>,
        outputs: Vec<Port>,
        extents: Vec<Vec<Extent>>,
        divisible: bool,
        typed: TypedModel,
    ) -> Model {
        let plans = Plans::new(typed, Extent::symbols(&extents));
        let side_files = BTreeMap::new();
        Model { inputs, outputs, extents, divisible, plans, late: None, side_files }
    }

    /// As [`load`](Self::load), from the bytes of such a file.
    ///
    /// # Errors
    /// The same.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Model, LoadError> {
        in_time(move || {
            let messages = onnx_file::decode(bytes)?;
            Model::build(messages, &Beside::Nowhere, framework()).map(|(model, _)| model)
        })
    }

    /// The model, and where in its file the weights of it are.
    fn build(
        mut messages: onnx_file::Messages,
        beside: &Beside,
        onnx: tract_onnx::Onnx,
    ) -> Result<(Model, Places), LoadError> {
        let proto = &mut messages.proto;
        let side_files = onnx_file::bring_in(proto, beside)?;
        onnx_file::widen(proto);
        check::survey(proto, &|node| {
            let ours = match node.domain.as_str() {
                "" | "ai.onnx.ml" => true,
                "com.microsoft" => CONTRIBUTED.contains(&node.op_type.as_str()),
                _ => false,
            };
            // What ours stand before is kept under names that no file may use to get behind them.
            let aside = node.op_type.ends_with(operators::ASIDE);
            ours && !aside && onnx.op_register.0.contains_key(&node.op_type)
        })?;
        if let Some(graph) = proto.graph.as_mut() {
            name_apart(graph);
        }
        let (mut graph, places) = contained(|| messages.parsed(onnx))?;
        allocator::give_back();
        let proto = messages.proto;
        let (inputs, extents) = contained(|| Ok(free_inputs(&mut graph)))??;
        let unsized_graph = graph.clone();
        let axes = proto.graph.as_ref().map(check::Axes::of);
        let inferred = contained(|| {
            check::sized_if(&mut graph, &|graph, id| match &axes {
                Some(axes) => axes.fit(graph, id),
                None => Ok(()),
            })
        });
        // tract panics at some of what is told here by name, so this comes before its own words.
        let faults = proto.graph.as_ref().map(|proto| check::misfits(proto, &graph));
        match faults {
            Some(faults) if !faults.is_empty() => return Err(LoadError::Unsound { faults }),
            Some(_) | None => {}
        }
        drop(axes);
        drop(proto);
        allocator::give_back();
        let batches: Vec<&Extent> = extents.iter().filter_map(|extents| extents.first()).collect();
        let typed = inferred.and_then(|()| contained(|| typed(graph, &batches)));
        let symbols = Extent::symbols(&extents);
        let Typed { graph: typed, outputs, divisible } = match typed {
            Ok(typed) => typed,
            Err(trouble) => {
                let (late, sample) = Late::probe(&unsized_graph, &extents).ok_or(trouble)?;
                let outlets = unsized_graph.outputs.iter();
                let labels = outlets.map(|it| unsized_graph.outlet_label(*it).map(str::to_owned));
                let mut outputs = ports(labels.zip(sample))?;
                outputs.iter_mut().flat_map(|port| &mut port.dimensions).for_each(|dimension| {
                    *dimension = Dimension::Free("open".into()); // the sample's are one case
                });
                let plans = Plans::new(TypedModel::default(), symbols);
                let (late, divisible) = (Some(late), false);
                let model = Model { inputs, outputs, extents, divisible, plans, late, side_files };
                return Ok((model, places));
            }
        };
        drop(unsized_graph);
        allocator::give_back();
        let plans = Plans::new(typed, symbols);
        let outputs = ports(outputs.into_iter())?;
        let model = Model { inputs, outputs, extents, divisible, plans, late: None, side_files };
        Ok((model, places))
    }

    /// What the model takes, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The files beside the model's own that hold weights of it, by the locations that it names.
    pub fn side_files(&self) -> &BTreeMap<String, Stretch> {
        &self.side_files
    }

    /// What the model gives, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

/// tract's reader of ONNX, with our operators in it.
fn framework() -> tract_onnx::Onnx {
    operators::onnx()
        .with_ignore_output_shapes(true) // exporters and quantisers leave stale shapes there
        .with_ignore_value_info(true)
}

/// Runs `load` on a thread of its own, with a stack for deep graphs, and waits so long for it.
///
/// A thread cannot be ended from outside: one that is late goes on until it is done, or the
/// process is. What it holds is lost, and nothing waits for it.
fn in_time<T: Send + 'static>(
    load: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("load".into()).stack_size(LOAD_STACK_BYTES);
    let spawned = thread.spawn(move || {
        let limit = Instant::now() + Duration::from_secs(LOAD_SECONDS_MAX);
        let _ = sender.send(Deadline::at(limit).during(load)); // nobody listens any more when it was late
    });
    let thread =
        spawned.map_err(|error| LoadError::Broke(format!("no thread to load it on: {error}")))?;
    match receiver.recv_timeout(Duration::from_secs(LOAD_SECONDS_MAX)) {
        Ok(loaded) => {
            let _ = thread.join(); // it has nothing left to do, and its stack goes with it
            loaded
        }
        Err(RecvTimeoutError::Timeout) => Err(LoadError::Late { seconds: LOAD_SECONDS_MAX }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(LoadError::Broke("the thread that loads it panicked".into()))
        }
    }
}

/// Gives a node another name where its name is taken: ONNX keeps nodes and tensors apart, and asks
/// for no unique names, but tract has one space for both and refuses what stands in it twice.
fn name_apart(graph: &mut pb::GraphProto) {
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
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(name_apart);
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

/// The graph that plans are made of, and what it tells of all of them.
struct Typed {
    graph: TypedModel,
    /// Labels and facts.
    outputs: Vec<(Option<String>, TypedFact)>,
    divisible: bool,
}

/// Types a graph, and declutters it where its plans do not do that themselves.
fn typed(graph: InferenceModel, batches: &[&Extent]) -> TractResult<Typed> {
    let mut raw = graph.into_typed()?;
    raw.compact()?; // scales that are a part of operators now
    let is_of_images = blocked::is_of_images(&raw);
    // Decluttering copies each weight whose axes it changes: what can be told without is.
    if is_of_images && (has_fixed_rows(batches) || divisible(&raw, batches)?) {
        let (outputs, divisible) = (outputs(&raw)?, !has_fixed_rows(batches));
        return Ok(Typed { graph: raw, outputs, divisible });
    }
    let kept = is_of_images.then(|| raw.clone());
    let mut typed = raw.into_decluttered()?;
    operators::correct(&mut typed)?;
    let (outputs, divisible) = (outputs(&typed)?, divisible(&typed, batches)?);
    Ok(Typed { graph: kept.unwrap_or(typed), outputs, divisible })
}

fn outputs(typed: &TypedModel) -> TractResult<Vec<(Option<String>, TypedFact)>> {
    let label = |outlet: &OutletId| typed.outlet_label(*outlet).map(str::to_owned);
    let outlets = typed.outputs.iter();
    outlets.map(|outlet| Ok((label(outlet), typed.outlet_fact(*outlet)?.clone()))).collect()
}

fn ports(
    outputs: impl Iterator<Item = (Option<String>, TypedFact)>,
) -> Result<Vec<Port>, LoadError> {
    let mut ports = Vec::new();
    for (index, (label, fact)) in outputs.enumerate() {
        let name = label.unwrap_or_else(|| format!("output_{index}"));
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

/// Whether some input says how many rows there are.
fn has_fixed_rows(batches: &[&Extent]) -> bool {
    batches.iter().any(|extent| matches!(extent, Extent::Fixed(_))) || batches.is_empty()
}

/// Whether every input and every output has the batch, and nothing else, as its first dimension, and no row
/// is computed with another.
fn divisible(typed: &TypedModel, batches: &[&Extent]) -> TractResult<bool> {
    let is_batch = |dim: &TDim| {
        let TDim::Sym(symbol) = dim else { return false };
        batches.contains(&&Extent::Free(symbol.clone()))
    };
    if has_fixed_rows(batches) {
        return Ok(false);
    }
    if operators::mixes_rows(typed) {
        return Ok(false);
    }
    for outlet in &typed.outputs {
        if !typed.outlet_fact(*outlet)?.shape.iter().next().is_some_and(is_batch) {
            return Ok(false);
        }
    }
    let symbols = batches.iter().filter_map(|extent| match extent {
        Extent::Free(symbol) => Some(symbol.clone()),
        Extent::Fixed(_) => None,
    });
    apart::are_rows_apart(typed, &symbols.collect())
}
