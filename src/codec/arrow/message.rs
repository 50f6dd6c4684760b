//! The check of one message before Apache's decoder sees it.

use super::compression::Compression;
use super::layout::Slot;
use super::unreadable;
use crate::codec::limits::{ROWS_MAX, VALUES_MAX};
use crate::tensor::{Misfit, MisfitKind};
use std::ops::Range;

/// What begins a message, and with it an Arrow stream.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];

/// Blocks, messages and the buffers of a body begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// What was found in a body.
#[derive(Debug)]
pub(super) struct Found<'b> {
    pub(super) schema: arrow_ipc::Schema<'b>,
    /// Dictionaries and batches, in the order in which they count.
    pub(super) messages: Vec<Message>,
}

/// Where a message stands in the body; none has bytes in common with another.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its flatbuffer.
    pub(super) metadata: Range<usize>,
    /// What its buffers lie in.
    pub(super) data: Range<usize>,
}

/// Reads a message's flatbuffer.
pub(super) fn header_of(metadata: &[u8]) -> Result<arrow_ipc::Message<'_>, Misfit> {
    arrow_ipc::root_as_message(metadata).map_err(unreadable)
}

/// Checks one batch, of records or of a dictionary; how many rows it has.
///
/// After it, every length and offset that a decoder follows lies inside `data`, no part of `data`
/// is counted twice, and nothing makes more be allocated than `data` is long, but for what the
/// `compression` has agreed to.
pub(super) fn check(
    batch: arrow_ipc::RecordBatch<'_>,
    data: &[u8],
    slots: &[Slot],
    compression: &mut Compression,
) -> Result<usize, Misfit> {
    for node in batch.nodes().into_iter().flatten() {
        let (length, nulls) = (node.length(), node.null_count());
        if !(0..=VALUES_MAX as i64).contains(&length) || !(0..=length).contains(&nulls) {
            return Err(unreadable("a column's count of values or nulls is not possible"));
        }
    }
    let codec = Compression::of(batch)?;
    let mut left = data.len();
    for (buffer, slot) in batch.buffers().into_iter().flatten().zip(slots) {
        let outside = || unreadable("a buffer lies outside its batch or within another");
        let start = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        let stop = start.checked_add(length).ok_or_else(outside)?;
        left = left.checked_sub(length).ok_or_else(outside)?;
        if data.len() < stop || start % ALIGNMENT != 0 {
            return Err(outside());
        }
        let length = match codec {
            Some(codec) if slot.wanted => compression.agree(codec, &data[start..stop])?,
            Some(_) => 0,
            None => length,
        };
        if slot.wanted && !length.is_multiple_of(slot.width) {
            return Err(unreadable("a run of offsets, keys or views ends within one"));
        }
    }
    match usize::try_from(batch.length()) {
        Ok(rows) if rows <= ROWS_MAX => Ok(rows),
        Ok(_) => Err(over_rows()),
        Err(_) => Err(unreadable("a batch has fewer than no rows")),
    }
}

pub(super) fn over_rows() -> Misfit {
    Misfit::new(MisfitKind::OverLimit, format!("there are more than {ROWS_MAX} rows"))
}
