//! The check of an Arrow file's metadata before Apache's decoders see it.

use super::layout::Widths;
use super::unreadable;
use crate::codec::limits::{COLUMNS_MAX, NAME_BYTES_MAX, ROWS_MAX, VALUES_MAX};
use crate::tensor::{Misfit, MisfitKind};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, Endianness, Field, KeyValue, MetadataVersion};
use arrow_schema::Schema;
use std::ops::Range;

/// What begins and ends an Arrow file.
const MAGIC: &[u8; 6] = b"ARROW1";

/// The magic with its padding.
const HEAD_BYTES: usize = 8;

/// The footer's length and the magic.
const TAIL_BYTES: usize = 10;

/// What begins a message, and with it an Arrow stream.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Blocks, messages and the buffers of a body begin at multiples of this.
const ALIGNMENT: usize = 8;

/// Bytes of a footer: schema and block list. `pandas` writes some 200 for each column.
const FOOTER_BYTES_MAX: usize = 4 << 20;

/// Names, time zones and key-value metadata in a schema. One string can be referred to many
/// times, so the footer's length does not bound what a schema takes.
const SCHEMA_TEXT_BYTES_MAX: usize = 4 << 20;

/// Record batches, and as many dictionary batches: writers cut at thousands of rows.
const BATCHES_MAX: usize = 4096;

/// Fields with all their children.
const FIELDS_MAX: usize = 4 * COLUMNS_MAX;

/// Fields within fields, wanted or not: bounds the recursion.
const FIELD_NESTING_MAX: usize = 32;

/// A file whose metadata have been found sound.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) schema: Schema,
    pub(super) version: MetadataVersion,
    /// Each record batch's block and where it stands in the body.
    pub(super) batches: Vec<(Block, Range<usize>)>,
    /// Rows of all batches.
    pub(super) rows: usize,
}

/// Checks a whole file (Arrow columnar format, "Serialization and Interprocess Communication").
///
/// After it, every length and offset that a decoder follows lies inside the body, no part of the
/// body is counted twice, and nothing makes more be allocated than the body is long.
pub(super) fn check(body: &[u8]) -> Result<Checked, Misfit> {
    let footer_range = footer_range(body)?;
    let footer = arrow_ipc::root_as_footer(&body[footer_range.clone()]).map_err(unreadable)?;
    let schema = footer.schema().ok_or_else(|| unreadable("its footer has no schema"))?;
    if schema.endianness() != Endianness::Little {
        let sentence = "the Arrow file is big-endian; write it on a little-endian machine";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    check_schema(schema)?;
    let schema = try_fb_to_schema(schema).map_err(unreadable)?;
    let dictionaries = footer.dictionaries();
    let blocks = footer.recordBatches();
    let most = dictionaries.map_or(0, |list| list.len()).max(blocks.map_or(0, |list| list.len()));
    if BATCHES_MAX < most {
        let sentence = format!("the Arrow file has more than {BATCHES_MAX} batches");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    // No column of a dictionary type is read, so its blocks need no more than a place.
    let mut left = footer_range.start - HEAD_BYTES;
    for block in dictionaries.into_iter().flatten() {
        block_range(block, footer_range.start, &mut left)?;
    }
    let mut batches = Vec::with_capacity(most);
    let mut rows = 0_usize;
    for block in blocks.into_iter().flatten() {
        let range = block_range(block, footer_range.start, &mut left)?;
        rows = rows.saturating_add(check_batch(block, &body[range.clone()], &schema)?);
        batches.push((*block, range));
    }
    if ROWS_MAX < rows {
        return Err(over_rows());
    }
    Ok(Checked { schema, version: footer.version(), batches, rows })
}

fn over_rows() -> Misfit {
    Misfit::new(MisfitKind::OverLimit, format!("there are more than {ROWS_MAX} rows"))
}

/// Where the footer stands.
fn footer_range(body: &[u8]) -> Result<Range<usize>, Misfit> {
    if body.is_empty() {
        return Err(Misfit::new(MisfitKind::NoRows, "the body is empty: send an Arrow file"));
    }
    if body.starts_with(&CONTINUATION) {
        let sentence = "the body is an Arrow stream; write it in Arrow's file format";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    if !body.starts_with(MAGIC) {
        return Err(unreadable("it does not begin with `ARROW1`"));
    }
    let cut = || unreadable("it ends before its footer, as when it was cut short");
    let end = body.len().checked_sub(TAIL_BYTES).ok_or_else(cut)?;
    let tail: [u8; TAIL_BYTES] = body[end..].try_into().map_err(|_| cut())?;
    let length = read_footer_length(tail).map_err(|_| cut())?;
    let start = end.checked_sub(length).filter(|start| HEAD_BYTES <= *start).ok_or_else(cut)?;
    if FOOTER_BYTES_MAX < length {
        let sentence = format!("the Arrow file's footer is over {FOOTER_BYTES_MAX} bytes long");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    Ok(start..end)
}

/// Where a block stands, which must be before the footer; takes its bytes from those `left`, so
/// that no byte is in two blocks.
fn block_range(block: &Block, end: usize, left: &mut usize) -> Result<Range<usize>, Misfit> {
    let outside = || unreadable("a batch lies outside the file or within another");
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let metadata = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    let stop = start.checked_add(length).filter(|stop| *stop <= end).ok_or_else(outside)?;
    *left = left.checked_sub(length).ok_or_else(outside)?;
    if metadata < ALIGNMENT || start % ALIGNMENT != 0 || metadata % ALIGNMENT != 0 {
        return Err(unreadable("a batch does not begin at a multiple of eight bytes"));
    }
    Ok(start..stop)
}

/// Checks one record batch; how many rows it has.
fn check_batch(block: &Block, bytes: &[u8], schema: &Schema) -> Result<usize, Misfit> {
    let (metadata, body) = bytes.split_at(block.metaDataLength() as usize);
    let message = arrow_ipc::root_as_message(message_in(metadata)?).map_err(unreadable)?;
    let batch = message.header_as_record_batch();
    let batch = batch.ok_or_else(|| unreadable("a batch of records is something else"))?;
    if batch.compression().is_some() {
        let sentence = "the Arrow file is compressed; write it without compression";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    for node in batch.nodes().into_iter().flatten() {
        let (length, nulls) = (node.length(), node.null_count());
        if !(0..=VALUES_MAX as i64).contains(&length) || !(0..=length).contains(&nulls) {
            return Err(unreadable("a column's count of values or nulls is not possible"));
        }
    }
    let view_counts = batch.variadicBufferCounts().into_iter().flatten().collect();
    let buffers = batch.buffers();
    let count = buffers.map_or(0, |list| list.len());
    let widths = Widths::of(schema, message.version(), view_counts, count);
    let mut left = body.len();
    for (buffer, width) in buffers.into_iter().flatten().zip(widths) {
        let outside = || unreadable("a buffer lies outside its batch or within another");
        let start = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        let stop = start.checked_add(length).ok_or_else(outside)?;
        left = left.checked_sub(length).ok_or_else(outside)?;
        if body.len() < stop || start % ALIGNMENT != 0 {
            return Err(outside());
        }
        if !length.is_multiple_of(width) {
            return Err(unreadable("a run of offsets ends within one"));
        }
    }
    match usize::try_from(batch.length()) {
        Ok(rows) if rows <= ROWS_MAX => Ok(rows),
        Ok(_) => Err(over_rows()),
        Err(_) => Err(unreadable("a batch has fewer than no rows")),
    }
}

/// The flatbuffer of an encapsulated message, with or without the continuation of newer files.
fn message_in(metadata: &[u8]) -> Result<&[u8], Misfit> {
    let after = metadata.strip_prefix(&CONTINUATION).unwrap_or(metadata);
    let outside = || unreadable("a message is longer than its block says");
    let (length, message) = after.split_first_chunk::<4>().ok_or_else(outside)?;
    message.get(..u32::from_le_bytes(*length) as usize).ok_or_else(outside)
}

/// Checks that the schema can be taken over without much memory or recursion.
fn check_schema(schema: arrow_ipc::Schema<'_>) -> Result<(), Misfit> {
    let fields = schema.fields().ok_or_else(|| unreadable("its schema has no columns"))?;
    if COLUMNS_MAX < fields.len() {
        let sentence = format!("there are more than {COLUMNS_MAX} columns");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    let mut budget = Budget { fields: FIELDS_MAX, bytes: SCHEMA_TEXT_BYTES_MAX };
    budget.spend_pairs(schema.custom_metadata().into_iter().flatten())?;
    for field in fields {
        budget.spend_field(field, FIELD_NESTING_MAX)?;
    }
    Ok(())
}

/// What of the schema's limits is left.
struct Budget {
    fields: usize,
    bytes: usize,
}

impl Budget {
    fn spend_field(&mut self, field: Field<'_>, nesting: usize) -> Result<(), Misfit> {
        let over = || Misfit::new(MisfitKind::OverLimit, "the Arrow file's schema is too large");
        self.fields = self.fields.checked_sub(1).ok_or_else(over)?;
        let nesting = nesting.checked_sub(1).ok_or_else(over)?;
        let name = field.name().unwrap_or_default();
        if NAME_BYTES_MAX < name.len() {
            let sentence = format!("a column's name is over {NAME_BYTES_MAX} bytes long");
            return Err(Misfit::new(MisfitKind::OverLimit, sentence));
        }
        let zone = field.type_as_timestamp().and_then(|timestamp| timestamp.timezone());
        let ids = field.type_as_union().and_then(|union| union.typeIds());
        let ids_bytes = ids.map_or(0, |ids| ids.len().saturating_mul(size_of::<i32>()));
        self.spend(name.len() + zone.unwrap_or_default().len() + ids_bytes)?;
        self.spend_pairs(field.custom_metadata().into_iter().flatten())?;
        for child in field.children().into_iter().flatten() {
            self.spend_field(child, nesting)?;
        }
        Ok(())
    }

    fn spend_pairs<'a>(&mut self, pairs: impl Iterator<Item = KeyValue<'a>>) -> Result<(), Misfit> {
        for pair in pairs {
            self.spend(pair.key().unwrap_or_default().len())?;
            self.spend(pair.value().unwrap_or_default().len())?;
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Misfit> {
        let over = || Misfit::new(MisfitKind::OverLimit, "the Arrow file's schema is too large");
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(over)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
