//! A decluttered graph as bytes: its nodes and facts here, its weights where they are in the model's file.

use super::bytes::{Reader, Unkept, Writer};
use super::operators;
use super::weights::{At, Place, Source, Stored};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{InletId, Node, Outlet, OutletId, TypedOp};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;

/// Tensors from this many bytes on are looked for in the model's file. Shorter ones stand beside
/// their node: biases and shapes, some 100 KB in a net of 50 layers.
const LONG_BYTES_MIN: usize = 4 << 10;

/// Bytes of long tensors that the model's file does not have, at most, on the disk.
pub(super) const HERE_BYTES_MAX: usize = 48 << 20;

/// The long tensors of a graph, each once.
pub(super) struct Tensors<'s> {
    long: Vec<Arc<Tensor>>,
    /// Where in the model's file each of `long` is, or its bytes; for who writes.
    places: Writer,
    stored: Option<&'s Stored<'s>>,
    /// Bytes of long tensors that the file does not have, at most.
    here_bytes_max: usize,
}

impl Tensors<'_> {
    pub(super) fn write(&mut self, tensor: &Arc<Tensor>, to: &mut Writer) -> Result<(), Unkept> {
        let datum = tensor.datum_type();
        if datum == DatumType::String || !tensor.is_plain_ram() {
            return Err("a tensor of texts, or in another form than plain bytes".into());
        }
        if datum == DatumType::TDim {
            to.number(0);
            to.sizes(tensor.shape());
            let plain = tensor.try_as_plain_ram().map_err(|_| "a tensor".to_owned())?;
            return to.dimensions(plain.as_slice().map_err(|_| "a tensor".to_owned())?);
        }
        let bytes = tensor.as_bytes();
        if bytes.len() < LONG_BYTES_MIN {
            to.number(1);
            to.datum_type(datum)?;
            to.sizes(tensor.shape());
            to.bytes(bytes);
            return Ok(());
        }
        to.number(2);
        let known = self.long.iter().position(|known| Arc::ptr_eq(known, tensor));
        to.size(known.unwrap_or(self.long.len()));
        if known.is_none() {
            self.long.push(tensor.clone());
            self.places.datum_type(datum)?;
            self.places.sizes(tensor.shape());
            let place = self.stored.and_then(|stored| stored.find(tensor));
            if place.is_none() && self.here_bytes_max < self.places.0.len() + bytes.len() {
                return Err("more weights that are not as in its file than may be kept".into());
            }
            self.places.flag(place.is_some());
            match place {
                Some(offset) => self.places.number(offset),
                None => self.places.bytes(bytes),
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, from: &mut Reader<'_>) -> Option<Arc<Tensor>> {
        match from.number()? {
            0 => {
                let shape = from.sizes()?;
                from.symbolic(&shape)
            }
            1 => {
                let datum = from.datum_type().filter(is_plain)?;
                let shape = from.sizes()?;
                let bytes = from.bytes()?;
                let mut tensor = zeros(datum, &shape, bytes.len())?;
                tensor.as_bytes_mut().copy_from_slice(bytes);
                Some(Arc::new(tensor))
            }
            2 => self.long.get(from.size()?).cloned(),
            _ => None,
        }
    }
}

fn is_plain(datum: &DatumType) -> bool {
    ![DatumType::TDim, DatumType::String].contains(datum)
}

/// A tensor to be filled, if it takes so many bytes.
pub(super) fn zeros(datum: DatumType, shape: &[usize], bytes: usize) -> Option<Tensor> {
    let elements =
        shape.iter().try_fold(1_usize, |product, extent| product.checked_mul(*extent))?;
    let fits = elements.checked_mul(datum.size_of())? == bytes;
    fits.then(|| Tensor::zero_dt(datum, shape).ok())?
}

/// Writes `graph`, whose long tensors are looked for among the `stored` ones, and which has so many bytes of
/// others at most; gives them in the order of their places.
pub(super) fn write(
    graph: &TypedModel,
    (stored, here_bytes_max): (&Stored<'_>, usize),
    to: &mut Writer,
) -> Result<Vec<Arc<Tensor>>, Unkept> {
    if !graph.symbols.all_assertions().is_empty()
        || graph.symbols.all_scenarios().into_iter().next().is_some()
    {
        return Err("assertions about its symbols".into());
    }
    let (long, places, stored) = (Vec::new(), Writer::default(), Some(stored));
    let mut tensors = Tensors { long, places, stored, here_bytes_max };
    let mut nodes = Writer::default();
    nodes.size(graph.nodes.len());
    for node in &graph.nodes {
        nodes.text(&node.name);
        nodes.size(node.inputs.len());
        node.inputs.iter().for_each(|outlet| nodes.sizes(&[outlet.node, outlet.slot]));
        nodes.size(node.outputs.len());
        for output in &node.outputs {
            fact(&output.fact, &mut nodes, &mut tensors)?;
            nodes.size(output.successors.len());
            output.successors.iter().for_each(|inlet| nodes.sizes(&[inlet.node, inlet.slot]));
        }
        if node.op_is::<TypedSource>() {
            nodes.number(0);
        } else if let Some(constant) = node.op_as::<Const>() {
            if constant.exotic_fact().is_some() {
                return Err("a constant in another form than plain bytes".into());
            }
            nodes.number(1);
            tensors.write(constant.val(), &mut nodes)?;
        } else {
            nodes.number(2);
            operators::write(node.op.as_ref(), &mut nodes, &mut tensors)?;
        }
    }
    for outlets in [&graph.inputs, &graph.outputs] {
        nodes.size(outlets.len());
        outlets.iter().for_each(|outlet| nodes.sizes(&[outlet.node, outlet.slot]));
    }
    let mut labels: Vec<_> = graph.outlet_labels.iter().collect();
    labels.sort();
    nodes.size(labels.len());
    for (outlet, label) in labels {
        nodes.sizes(&[outlet.node, outlet.slot]);
        nodes.text(label);
    }
    let symbols = graph.symbols.all_symbols();
    to.size(symbols.len());
    symbols.iter().for_each(|symbol| to.text(&symbol.to_string()));
    to.size(tensors.long.len());
    to.0.append(&mut tensors.places.0);
    to.0.append(&mut nodes.0);
    Ok(tensors.long)
}

/// Reads what [`write()`] wrote; none when it is not that.
pub(super) fn read(from: &mut Reader<'_>, weights: &Source<'_>) -> Option<TypedModel> {
    let _symbols: Vec<_> = from.list(Reader::new_symbol)?;
    let places: Vec<Place<'_>> = from.list(|from| {
        let datum = from.datum_type().filter(is_plain)?;
        let shape = from.sizes()?;
        let at = match from.flag()? {
            true => At::File(from.number()?),
            false => At::Here(from.bytes()?),
        };
        Some(Place { datum, shape, at })
    })?;
    let (long, places) = (weights.read(&places)?, Writer::default());
    let mut tensors = Tensors { long, places, stored: None, here_bytes_max: 0 };
    let mut graph = TypedModel { symbols: from.symbols().clone(), ..TypedModel::default() };
    for id in 0..from.count()? {
        let name = from.text()?.to_owned();
        let inputs = from.list(outlet)?;
        let outputs: TVec<Outlet<TypedFact>> = from.list(|from| {
            let fact = read_fact(from, &mut tensors)?;
            Some(Outlet { fact, successors: from.list(inlet)? })
        })?;
        let op: Box<dyn TypedOp> = match from.number()? {
            0 => Box::new(TypedSource::new(outputs.first()?.fact.clone())),
            1 => Box::new(Const::new(tensors.read(from)?).ok()?),
            2 => operators::read(from, &mut tensors)?,
            _ => return None,
        };
        graph.nodes.push(Node { id, name, inputs, op, outputs });
    }
    graph.inputs = from.list(outlet)?;
    graph.outputs = from.list(outlet)?;
    for _ in 0..from.count()? {
        let outlet = outlet(from)?;
        graph.outlet_labels.insert(outlet, from.text()?.to_owned());
    }
    is_linked(&graph).then_some(graph)
}

/// Whether each end of an edge knows the other.
fn is_linked(graph: &TypedModel) -> bool {
    let output = |outlet: &OutletId| graph.nodes.get(outlet.node)?.outputs.get(outlet.slot);
    let input = |inlet: &InletId| graph.nodes.get(inlet.node)?.inputs.get(inlet.slot);
    let forth = graph.nodes.iter().flat_map(|node| {
        let inputs = node.inputs.iter().enumerate();
        inputs.map(|(slot, outlet)| (outlet, InletId::new(node.id, slot)))
    });
    let back = graph.nodes.iter().flat_map(|node| {
        let outputs = node.outputs.iter().enumerate();
        outputs.flat_map(move |(slot, output)| {
            output.successors.iter().map(move |inlet| (inlet, OutletId::new(node.id, slot)))
        })
    });
    forth.into_iter().all(|(outlet, inlet)| {
        output(outlet).is_some_and(|output| output.successors.contains(&inlet))
    }) && back.into_iter().all(|(inlet, outlet)| input(inlet) == Some(&outlet))
        && graph.inputs.iter().chain(&graph.outputs).all(|outlet| output(outlet).is_some())
}

fn inlet(from: &mut Reader<'_>) -> Option<InletId> {
    match *from.sizes()? {
        [node, slot] => Some(InletId::new(node, slot)),
        _ => None,
    }
}

fn outlet(from: &mut Reader<'_>) -> Option<OutletId> {
    match *from.sizes()? {
        [node, slot] => Some(OutletId::new(node, slot)),
        _ => None,
    }
}

fn fact(fact: &TypedFact, to: &mut Writer, tensors: &mut Tensors<'_>) -> Result<(), Unkept> {
    let TypedFact {
        datum_type,
        shape,
        konst,
        uniform,
        exotic_fact,
        uniform_tdim,
        region_of_interest,
    } = fact;
    if exotic_fact.is_some() {
        return Err("a value in another form than plain bytes".into());
    }
    to.datum_type(*datum_type)?;
    to.dimensions(shape.dims())?;
    to.maybe(konst.as_ref(), |to, tensor| tensors.write(tensor, to))?;
    to.maybe(uniform.as_ref(), |to, tensor| tensors.write(tensor, to))?;
    to.maybe(uniform_tdim.as_ref(), Writer::dimension)?;
    to.maybe(region_of_interest.as_ref(), Writer::dimension)
}

fn read_fact(from: &mut Reader<'_>, tensors: &mut Tensors<'_>) -> Option<TypedFact> {
    let datum_type = from.datum_type()?;
    let shape = from.shape()?;
    Some(TypedFact {
        konst: from.maybe(|from| tensors.read(from))?,
        uniform: from.maybe(|from| tensors.read(from))?,
        uniform_tdim: from.maybe(Reader::dimension)?,
        region_of_interest: from.maybe(Reader::dimension)?,
        ..TypedFact::dt_shape(datum_type, shape)
    })
}

/// Whether two graphs are the same to every pass of tract, weights included.
pub(super) fn same(one: &TypedModel, other: &TypedModel) -> bool {
    let nodes = one.nodes.iter().zip(&other.nodes).all(|(one, other)| {
        let outputs = one.outputs.iter().zip(&other.outputs);
        (one.id, &one.name, &one.inputs) == (other.id, &other.name, &other.inputs)
            && one.op == other.op
            && one.outputs.len() == other.outputs.len()
            && outputs
                .into_iter()
                .all(|(one, other)| one.fact == other.fact && one.successors == other.successors)
    });
    nodes
        && one.nodes.len() == other.nodes.len()
        && (&one.inputs, &one.outputs) == (&other.inputs, &other.outputs)
        && one.outlet_labels == other.outlet_labels
}
