//! Reads an ONNX file: within limits, as leniently as the readers that exporters are tried with.
//!
//! ```text
//! bytes ──tidy──▶ bytes that every protobuf decoder takes ──decode──▶ messages ──inline, settle──▶ messages
//! ```
//! Google's reader skips what it does not know and what has another type than it expects; tract's
//! decoder gives up there. So the bytes are walked once before it, by the schema, and what is out of
//! place is blanked where it stands.

mod beside;
mod guard;
mod inline;
mod join;
mod schema;
mod settle;
mod stored;
mod tidy;
mod unfold;
mod varint;
mod whole;
mod widen;

pub use beside::{Beside, SIDE_FILES_MAX};
pub(super) use beside::{bring_in, location};
pub(super) use stored::raw_data;
pub(super) use widen::widen;

use super::error::{LoadError, contained};
use crate::disk::Stretch;
use prost::Message;
use std::io::Read;
use tract_onnx::pb::ModelProto;

/// The largest file: protobuf itself ends at 2 GiB, and so does every exporter.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// Reads the messages of a file.
pub(super) fn read(file: &Stretch) -> Result<ModelProto, LoadError> {
    let size = file.bytes().map_err(LoadError::Unreadable)?;
    if size > FILE_BYTES_MAX {
        return Err(LoadError::FileTooLarge { limit: FILE_BYTES_MAX });
    }
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
    decode(bytes)
}

/// The messages in `bytes`, the whole content of a file.
pub(super) fn decode(mut bytes: Vec<u8>) -> Result<ModelProto, LoadError> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::FileTooLarge { limit: FILE_BYTES_MAX });
    }
    tidy::tidy(&mut bytes).map_err(|reason| LoadError::NotOnnx(reason.into()))?;
    // tract's own reading would copy the file once more.
    let decoded = contained(|| Ok(ModelProto::decode(bytes.as_slice())?));
    drop(bytes); // before the weights are copied a second time
    let mut model = match decoded {
        Ok(model) => model,
        Err(super::error::Trouble::Refused(source)) => return Err(LoadError::NotOnnx(source)),
        Err(trouble) => return Err(trouble.into()),
    };
    inline::inline(&mut model)?;
    settle::settle(&mut model);
    Ok(model)
}
