//! Weights on their way into tract's graph: handed over one by one, so that no two copies of all are there at once.

use super::seat::{Names, Seat};
use crate::disk::Picking;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext, bail, ensure};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode};

/// Bytes of a tensor from which on it is handed over. Of shorter ones, which may be shapes and axes, the
/// messages are asked later, too.
const HANDED_BYTES_MIN: usize = (4 << 10) + 1;

/// Bytes of weights from which on they are left in the file until tract's graph has a place for them: they are never
/// there twice, and no allocator keeps the room of the second copies.
const LEFT_BYTES_MIN: u64 = 32 << 10;

/// What stands in a graph for weights that are read when it is there.
const MARK: i64 = 0x706f_746f_726f_6f21;

/// Whether a tensor's bytes need not be known before tract's graph is there: weights of floats or of integers of
/// 8 bits, of which nobody before it looks at more than their shape and how many there are.
pub(super) fn is_left(tensor: &TensorProto, bytes: u64) -> bool {
    let Some(element) = element(tensor) else { return false };
    let mut extents = tensor.dims.iter();
    let wanted = extents.try_fold(element.size_of() as u64, |all, extent| {
        all.checked_mul(u64::try_from(*extent).ok()?)
    });
    let is_inside = tensor.data_location.is_none_or(|it| it == DataLocation::Default as i32);
    wanted == Some(bytes)
        && tensor.dims.len() >= 2
        && tensor.float_data.is_empty()
        && tensor.int32_data.is_empty()
        && is_inside
        && LEFT_BYTES_MIN <= bytes
}

/// What weights may be of that are left.
fn element(tensor: &TensorProto) -> Option<DatumType> {
    let known = [
        (DataType::Float, DatumType::F32),
        (DataType::Int8, DatumType::I8),
        (DataType::Uint8, DatumType::U8),
    ];
    let is_it = |(data_type, _): &&(DataType, DatumType)| *data_type as i32 == tensor.data_type;
    known.iter().find(is_it).map(|(_, element)| *element)
}

/// A stored tensor whose bytes stand in the model's file just as they are.
#[derive(Debug)]
pub(super) struct Long {
    /// As nodes ask for it.
    pub(super) name: String,
    /// Where in memory its bytes were read to; who changes them makes them anew.
    pub(super) address: usize,
    pub(super) bytes: usize,
    /// Where in the file they are.
    pub(super) offset: u64,
    /// Whether they were not read, and there are zeros in memory that nobody has touched.
    pub(super) is_left: bool,
}

/// Where in a model's file the tensors of its graph are, by what they are in memory.
#[derive(Debug, Default)]
pub(in super::super) struct Places {
    file: Option<Arc<Picking>>,
    known: HashMap<usize, (Weak<Tensor>, u64)>,
}

impl Places {
    /// From which byte of the file on it has this tensor; none when that is not known.
    pub(in super::super) fn of(&self, tensor: &Arc<Tensor>) -> Option<u64> {
        // What is weakly known keeps its address: no other can have come to it.
        self.known.get(&Arc::as_ptr(tensor).addr()).map(|(_, offset)| *offset)
    }

    fn add(&mut self, tensor: &Arc<Tensor>, offset: u64) {
        let place = (Arc::downgrade(tensor), offset);
        self.known.insert(Arc::as_ptr(tensor).addr(), place);
    }

    /// The weights of a stored tensor, which are in the file from this byte on.
    fn read(&self, stored: &TensorProto, offset: u64) -> TractResult<Arc<Tensor>> {
        let file = self.file.as_ref().context("a file that is not open")?;
        let shape: Vec<usize> = stored.dims.iter().map(|it| *it as usize).collect();
        let element = element(stored).context("weights of another type")?;
        let mut tensor = Tensor::zero_dt(element, &shape)?;
        file.read_exact_at(tensor.as_bytes_mut(), offset)?;
        Ok(Arc::new(tensor))
    }

    /// The file that they are in, as it was opened to be read.
    pub(in super::super) fn file(&self) -> Option<&Arc<Picking>> {
        self.file.as_ref()
    }
}

/// The bytes of tensors, each until it is asked for.
struct Handed(Mutex<Vec<Vec<u8>>>);

impl ModelDataResolver for Handed {
    fn read_bytes_from_path(
        &self,
        to: &mut Vec<u8>,
        _path: &Path,
        number: usize,
        _length: Option<usize>,
    ) -> TractResult<()> {
        let mut handed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = handed.get_mut(number) else { bail!("a tensor that is not there") };
        *to = std::mem::take(bytes);
        Ok(())
    }
}

/// tract's graph of a model, whose long tensors are no part of `proto` any more.
pub(super) fn parse(
    mut onnx: tract_onnx::Onnx,
    proto: &mut ModelProto,
    (file, long): (Option<Arc<Picking>>, &[Long]),
) -> TractResult<(InferenceModel, Places)> {
    let known: HashMap<&str, &Long> = long.iter().map(|long| (long.name.as_str(), long)).collect();
    let (mut handed, mut offsets, mut left) = (Vec::new(), HashMap::new(), Vec::new());
    let seats = proto.graph.as_ref().map(Seat::all).unwrap_or_default();
    for seat in seats {
        let Some(graph) = &mut proto.graph else { break };
        let names = seat.names(graph);
        let (Some(Names { value, node }), Some(tensor)) = (names, seat.tensor(graph)) else {
            continue;
        };
        if tensor.raw_data.len() < HANDED_BYTES_MIN {
            continue;
        }
        let has_it = |long: &&&Long| {
            (long.address, long.bytes) == (tensor.raw_data.as_ptr().addr(), tensor.raw_data.len())
        };
        match known.get(value.as_str()).filter(has_it) {
            Some(Long { is_left: true, offset, .. }) => {
                let standing_in = stand_in(tensor, left.len());
                left.push((seat, node, *offset, std::mem::replace(tensor, standing_in)));
                continue;
            }
            // Truths are brought to zero and one.
            Some(long) if tensor.data_type != DataType::Bool as i32 => {
                offsets.insert(node, long.offset);
            }
            Some(_) | None => {}
        }
        hand_over(tensor, &mut handed);
    }
    // Zeros must not be taken for weights.
    ensure!(left.len() == long.iter().filter(|it| it.is_left).count(), "its weights were moved");
    onnx.provider = Arc::new(Handed(Mutex::new(handed)));
    // The root is there for sure, and nobody looks into it.
    let mut graph = onnx.parse(proto, Some("/"))?.model;
    let mut places = Places { file, known: HashMap::new() };
    for node in graph.nodes() {
        if let (Some(constant), Some(offset)) = (node.op_as::<Const>(), offsets.get(&node.name)) {
            places.add(constant.val(), *offset);
        }
    }
    let mut spent = Vec::new();
    for (number, (seat, node, offset, mut tensor)) in left.into_iter().enumerate() {
        let weights = places.read(&tensor, offset)?;
        put_in(&mut graph, &node, number, &weights)?;
        places.add(&weights, offset);
        // All at the end: where glibc takes a large piece back, it keeps the next ones that are as large.
        spent.push(std::mem::take(&mut tensor.raw_data));
        if let Some(place) = proto.graph.as_mut().and_then(|graph| seat.tensor(graph)) {
            *place = tensor;
        }
    }
    Ok((graph, places))
}

/// A tensor that is like no other, under the name of this one.
fn stand_in(tensor: &TensorProto, number: usize) -> TensorProto {
    TensorProto {
        name: tensor.name.clone(),
        dims: vec![3],
        data_type: DataType::Int64 as i32,
        int64_data: vec![MARK, number as i64, MARK],
        ..TensorProto::default()
    }
}

/// Puts weights in the place of what stands in for them.
fn put_in(
    graph: &mut InferenceModel,
    name: &str,
    number: usize,
    weights: &Arc<Tensor>,
) -> TractResult<()> {
    let mark = tensor1(&[MARK, number as i64, MARK]);
    let is_it = |node: &&mut InferenceNode| {
        node.name == name && node.op_as::<Const>().is_some_and(|it| **it.val() == mark)
    };
    let node = graph.nodes_mut().iter_mut().find(is_it).context("its weights have no place")?;
    node.op = Box::new(Const::new(weights.clone())?);
    let fact = &mut node.outputs[0].fact;
    // The fact of an output is told anew later.
    if fact.value.is_concrete() {
        *fact = InferenceFact::try_from(weights.clone())?;
    }
    Ok(())
}

/// Moves the bytes of a tensor to the end of these, and says there where they are.
fn hand_over(tensor: &mut TensorProto, handed: &mut Vec<Vec<u8>>) {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    tensor.external_data =
        vec![entry("location", ".".into()), entry("offset", handed.len().to_string())];
    tensor.data_location = Some(DataLocation::External as i32);
    handed.push(std::mem::take(&mut tensor.raw_data));
}
