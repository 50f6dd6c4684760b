//! An Arrow file: where its schema and its batches stand, told by the footer at its end.

use super::message::{ALIGNMENT, CONTINUATION, Found, Message};
use super::{BATCHES_MAX, METADATA_BYTES_MAX, over_batches};
use crate::tensor::{Misfit, MisfitKind};
use arrow_ipc::Block;
use arrow_ipc::reader::read_footer_length;
use std::ops::Range;

/// What begins and ends an Arrow file.
const MAGIC: &[u8; 6] = b"ARROW1";

/// The magic with its padding.
const HEAD_BYTES: usize = 8;

/// The footer's length and the magic.
const TAIL_BYTES: usize = 10;

/// Finds the parts of a file (Arrow columnar format, "IPC File Format"): dictionaries first, then
/// batches, each in the footer's order.
///
/// # Errors
/// When a part lies outside the file or parts have bytes in common.
pub(super) fn open(body: &[u8]) -> Result<Found<'_>, Misfit> {
    let footer_range = footer_range(body)?;
    let footer = arrow_ipc::root_as_footer(&body[footer_range.clone()]).map_err(unsound)?;
    let schema = footer.schema().ok_or_else(|| unsound("its footer has no schema"))?;
    let dictionaries = footer.dictionaries();
    let batches = footer.recordBatches();
    let most = dictionaries.map_or(0, |list| list.len()).max(batches.map_or(0, |list| list.len()));
    if BATCHES_MAX < most {
        return Err(over_batches());
    }
    let mut left = footer_range.start - HEAD_BYTES;
    let blocks = dictionaries.into_iter().flatten().chain(batches.into_iter().flatten());
    let messages = blocks.map(|block| message_of(block, body, footer_range.start, &mut left));
    Ok(Found { schema, messages: messages.collect::<Result<Vec<_>, Misfit>>()? })
}

/// The misfit of a body that is not a sound Arrow file.
fn unsound(why: impl std::fmt::Display) -> Misfit {
    let sentence = format!("the body is not a sound Arrow file: {why}");
    Misfit::new(MisfitKind::Unreadable, sentence)
}

/// Where the footer stands.
fn footer_range(body: &[u8]) -> Result<Range<usize>, Misfit> {
    if body.starts_with(&CONTINUATION) {
        let sentence = "the body is an Arrow stream; send it as \
                        `application/vnd.apache.arrow.stream`, or write an Arrow file";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    if !body.starts_with(MAGIC) {
        return Err(unsound("it does not begin with `ARROW1`"));
    }
    let cut = || unsound("it ends before its footer, as when it was cut short");
    let end = body.len().checked_sub(TAIL_BYTES).ok_or_else(cut)?;
    let tail: [u8; TAIL_BYTES] = body[end..].try_into().map_err(|_| cut())?;
    let length = read_footer_length(tail).map_err(|_| cut())?;
    let start = end.checked_sub(length).filter(|start| HEAD_BYTES <= *start).ok_or_else(cut)?;
    if METADATA_BYTES_MAX < length {
        let sentence = format!("the Arrow file's footer is over {METADATA_BYTES_MAX} bytes long");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    Ok(start..end)
}

/// The message of a block.
fn message_of(block: &Block, body: &[u8], end: usize, left: &mut usize) -> Result<Message, Misfit> {
    let range = block_range(block, end, left)?;
    let data = range.start + block.metaDataLength() as usize..range.end;
    let metadata = flatbuffer_in(&body[range.start..data.start])?;
    Ok(Message { metadata: range.start + metadata.start..range.start + metadata.end, data })
}

/// Where a block stands, which must be before the footer; takes its bytes from those `left`, so
/// that no byte is in two blocks.
fn block_range(block: &Block, end: usize, left: &mut usize) -> Result<Range<usize>, Misfit> {
    let outside = || unsound("a batch lies outside the file or within another");
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let metadata = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    let stop = start.checked_add(length).filter(|stop| *stop <= end).ok_or_else(outside)?;
    *left = left.checked_sub(length).ok_or_else(outside)?;
    if metadata < ALIGNMENT || start % ALIGNMENT != 0 || metadata % ALIGNMENT != 0 {
        return Err(unsound("a batch does not begin at a multiple of eight bytes"));
    }
    Ok(start..stop)
}

/// The flatbuffer of an encapsulated message, with or without the continuation of newer files.
fn flatbuffer_in(metadata: &[u8]) -> Result<Range<usize>, Misfit> {
    let after = metadata.strip_prefix(&CONTINUATION).unwrap_or(metadata);
    let outside = || unsound("a message is longer than its block says");
    let (length, rest) = after.split_first_chunk::<4>().ok_or_else(outside)?;
    let length = u32::from_le_bytes(*length) as usize;
    let start = metadata.len() - rest.len();
    if rest.len() < length { Err(outside()) } else { Ok(start..start + length) }
}

#[cfg(test)]
mod tests;
