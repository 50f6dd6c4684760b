//! Reads an ONNX file: within limits, as leniently as the readers that exporters are tried with.
//!
//! ```text
//! bytes ──tidy──▶ bytes that every protobuf decoder takes ──decode──▶ messages ──inline, settle──▶ messages
//! ```
//! Google's reader skips what it does not know and what has another type than it expects; tract's
//! decoder gives up there. So the bytes are walked once before it, by the schema, and what is out of
//! place is blanked where it stands.

mod beside;
mod fields;
mod guard;
mod handed;
mod inline;
mod join;
mod light;
mod schema;
mod seat;
mod settle;
mod stored;
mod tidy;
mod unfold;
mod varint;
mod whole;
mod widen;

pub use beside::{Beside, SIDE_FILES_MAX};
pub(super) use beside::{bring_in, location};
pub(super) use handed::Places;
pub(super) use stored::raw_data;
pub(super) use widen::widen;

use super::error::{LoadError, contained};
use crate::disk::{Picking, Stretch};
use handed::Long;
use light::Light;
use prost::Message;
use seat::{Names, Seat};
use std::io::Read;
use std::sync::Arc;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{InferenceModel, TractResult};

/// The largest file: protobuf itself ends at 2 GiB, and so does every exporter.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// The messages of a file, and what is known of where in it their tensors are.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) proto: ModelProto,
    /// The file, with the tensors that stand in it as they are.
    file: Option<Arc<Picking>>,
    long: Vec<Long>,
}

impl Messages {
    /// tract's graph of it, with the places of its tensors in the file: the long ones are no part of the
    /// messages any more.
    pub(super) fn parsed(
        &mut self,
        onnx: tract_onnx::Onnx,
    ) -> TractResult<(InferenceModel, Places)> {
        handed::parse(onnx, &mut self.proto, (self.file.take(), &self.long))
    }
}

/// Reads the messages of a file.
pub(super) fn read(file: &Stretch) -> Result<Messages, LoadError> {
    let size = file.bytes().map_err(LoadError::Unreadable)?;
    if size > FILE_BYTES_MAX {
        return Err(LoadError::FileTooLarge { limit: FILE_BYTES_MAX });
    }
    // What is no plain file has no size to go by.
    if size > 0
        && let Ok(file) = file.pick()
        && let Some(light) = light::read(&file)
        && let Some(messages) = filled(light, file)?
    {
        return Ok(messages);
    }
    whole(file, size)
}

/// The messages of a file that was read without its long tensors, which are read now; none when they do not
/// find their places.
fn filled(light: Light, file: Picking) -> Result<Option<Messages>, LoadError> {
    // Who reads the whole tells what is wrong, and where.
    let Ok(mut proto) = messages(light.bytes) else { return Ok(None) };
    let Some(graph) = &mut proto.graph else { return Ok(None) };
    let counts = (graph.initializer.len(), graph.node.len());
    let is_empty = |seat: &Seat| seat.tensor(graph).is_some_and(|it| it.raw_data.is_empty());
    if counts != (light.tensors, light.nodes)
        || !light.long.iter().map(|(seat, _)| seat).all(is_empty)
    {
        return Ok(None);
    }
    let mut long = Vec::new();
    for (seat, range) in light.long {
        let names = seat.names(graph);
        let (Some(Names { value: name, .. }), Some(tensor)) = (names, seat.tensor(graph)) else {
            return Ok(None);
        };
        let bytes = (range.end - range.start) as usize; // below the limit of a file
        // Of zeros that nobody touches the kernel makes no pages.
        let (mut raw_data, is_left) = (vec![0; bytes], handed::is_left(tensor, bytes as u64));
        if !is_left {
            file.read_exact_at(&mut raw_data, range.start).map_err(LoadError::Unreadable)?;
        }
        let address = raw_data.as_ptr().addr();
        long.push(Long { name, address, bytes, offset: range.start, is_left });
        tensor.raw_data = raw_data;
    }
    let file = Some(Arc::new(file));
    settled(proto).map(|proto| Some(Messages { proto, file, long }))
}

/// Reads the messages of a file of this size, or of none that is told.
fn whole(file: &Stretch, size: u64) -> Result<Messages, LoadError> {
    let mut bytes = Vec::new();
    // At once: what grows in steps is copied, and has room for what does not come.
    let room = usize::try_from(size).ok().map_or(Ok(()), |size| bytes.try_reserve_exact(size));
    room.map_err(|_| LoadError::Unreadable(std::io::ErrorKind::OutOfMemory.into()))?;
    // Read with the limit: what is no plain file has no size to go by.
    let taken = file.open().and_then(|mut file| match size {
        0 => file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes),
        _ => file.read_to_end(&mut bytes),
    });
    taken.map_err(LoadError::Unreadable)?;
    let picked = if size > 0 { file.pick().ok().map(Arc::new) } else { None };
    Ok(Messages { file: picked, ..decode(bytes)? })
}

/// The messages in `bytes`, the whole content of a file.
pub(super) fn decode(bytes: Vec<u8>) -> Result<Messages, LoadError> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::FileTooLarge { limit: FILE_BYTES_MAX });
    }
    settled(messages(bytes)?).map(|proto| Messages { proto, file: None, long: Vec::new() })
}

/// What stands in a file, message by message.
fn messages(mut bytes: Vec<u8>) -> Result<ModelProto, LoadError> {
    tidy::tidy(&mut bytes).map_err(|reason| LoadError::NotOnnx(reason.into()))?;
    // tract's own reading would copy the file once more.
    match contained(|| Ok(ModelProto::decode(bytes.as_slice())?)) {
        Ok(model) => Ok(model),
        Err(super::error::Trouble::Refused(source)) => Err(LoadError::NotOnnx(source)),
        Err(trouble) => Err(trouble.into()),
    }
}

/// The same model in the one form that all that comes after knows.
fn settled(mut model: ModelProto) -> Result<ModelProto, LoadError> {
    inline::inline(&mut model)?;
    settle::settle(&mut model);
    Ok(model)
}
