//! Arrow IPC files in and out, through Apache's decoders behind a check of our own.

mod columns;
mod layout;
mod shape;
#[cfg(test)]
mod tests;
mod validate;
mod write;

pub use write::{write_arrow, write_rows_arrow};

use super::decoded::Decoded;
use super::wanted;
use crate::tensor::{Misfit, MisfitKind, Port};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use arrow_schema::Schema;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use validate::Checked;

/// Reads a body that is an Arrow IPC file (Arrow columnar format, "IPC File Format").
pub(super) fn decode(body: Vec<u8>, inputs: &[Port]) -> Result<Decoded, Misfit> {
    let body = aligned(body);
    // The check below leaves Apache's code no panic that we know of; a client must not find one
    // that we do not know of.
    match catch_unwind(AssertUnwindSafe(|| read(&body, inputs))) {
        Ok(decoded) => decoded,
        Err(_) => Err(unreadable("its metadata contradict each other")),
    }
}

/// The body without a copy, unless the allocator put it where no 64-bit value may lie.
fn aligned(body: Vec<u8>) -> Buffer {
    if body.as_ptr().addr().is_multiple_of(align_of::<u64>()) {
        Buffer::from_vec(body)
    } else {
        Buffer::from_slice_ref(&body)
    }
}

/// The misfit of a body that is not a sound Arrow file.
fn unreadable(why: impl std::fmt::Display) -> Misfit {
    let sentence = format!("the body is not a sound Arrow file: {why}");
    Misfit::new(MisfitKind::Unreadable, sentence)
}

fn read(body: &Buffer, inputs: &[Port]) -> Result<Decoded, Misfit> {
    let checked = validate::check(body)?;
    let chosen = chosen_columns(&checked.schema, inputs)?;
    if checked.rows == 0 {
        return Err(Misfit::new(MisfitKind::NoRows, "the Arrow file has no rows"));
    }
    let fields: Vec<_> =
        chosen.iter().map(|index| checked.schema.fields()[*index].clone()).collect();
    for field in &fields {
        columns::supported(field)?;
    }
    let batches = read_batches(body, &checked, chosen)?;
    let mut values_left = super::VALUES_MAX;
    let held = fields.iter().enumerate().map(|(index, field)| {
        let parts: Vec<ArrayRef> =
            batches.iter().map(|batch| batch.column(index).clone()).collect();
        columns::read(field, &parts, &mut values_left)
    });
    let held = held.collect::<Result<Vec<_>, Misfit>>()?;
    Decoded::new(checked.rows, held)
}

/// The places of the wanted columns, in the file's order.
fn chosen_columns(schema: &Schema, inputs: &[Port]) -> Result<Vec<usize>, Misfit> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut chosen = wanted::choose(&names, inputs)?;
    for index in &chosen {
        let name = names[*index];
        if 1 < names.iter().filter(|other| **other == name).count() {
            return Err(unreadable(format!("it has two columns `{name}`")).column(name));
        }
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// The wanted columns of every record batch that has rows.
fn read_batches(
    body: &Buffer,
    checked: &Checked,
    chosen: Vec<usize>,
) -> Result<Vec<RecordBatch>, Misfit> {
    let schema = Arc::new(checked.schema.clone());
    let decoder = FileDecoder::new(schema, checked.version).with_projection(chosen);
    let mut batches = Vec::with_capacity(checked.batches.len());
    for (block, range) in &checked.batches {
        let bytes = body.slice_with_length(range.start, range.len());
        let batch = decoder.read_record_batch(block, &bytes).map_err(unreadable)?;
        batches.extend(batch.filter(|batch| 0 < batch.num_rows()));
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows != checked.rows {
        return Err(unreadable("its columns do not have the rows of its batches"));
    }
    Ok(batches)
}
