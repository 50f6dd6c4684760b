//! Arrow in and out: IPC files and streams through Apache's decoder behind a check of our own.

mod batches;
mod columns;
mod compression;
mod file;
mod inflated;
mod layout;
mod leaf;
mod lz4;
#[cfg(test)]
pub(super) mod made;
mod message;
mod schema;
pub(super) mod shape;
mod stream;
#[cfg(test)]
mod tests;
mod write;
mod xxh32;

pub(super) use write::{batch, lists, values};
pub use write::{write_arrow, write_rows_arrow};

use super::decoded::Decoded;
use super::wanted;
use crate::tensor::{ElementType, Misfit, MisfitKind, Port};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, Schema};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Record batches, and as many dictionary batches: writers cut at thousands of rows.
const BATCHES_MAX: usize = 4096;

/// Bytes of a schema and, in a file, the list of blocks. `pandas` writes some 200 a column.
const METADATA_BYTES_MAX: usize = 4 << 20;

/// The two ways in which Arrow's messages make one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// With a footer that tells where each message stands.
    File,
    /// One message after the other.
    Stream,
}

/// Reads a body of Arrow's IPC format.
pub(super) fn decode(
    container: Container,
    body: Vec<u8>,
    inputs: &[Port],
    companions: &[String],
) -> Result<Decoded, Misfit> {
    let body = aligned(body);
    // The checks leave Apache's code no panic that we know of; a client must not find one that
    // we do not know of.
    match catch_unwind(AssertUnwindSafe(|| read(container, &body, inputs, companions))) {
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

/// The misfit of a body whose messages are not sound.
fn unreadable(why: impl std::fmt::Display) -> Misfit {
    let sentence = format!("the body is not sound Arrow: {why}");
    Misfit::new(MisfitKind::Unreadable, sentence)
}

fn over_batches() -> Misfit {
    let sentence = format!("the Arrow data have more than {BATCHES_MAX} batches");
    Misfit::new(MisfitKind::OverLimit, sentence)
}

fn read(
    container: Container,
    body: &Buffer,
    inputs: &[Port],
    companions: &[String],
) -> Result<Decoded, Misfit> {
    let no_rows = |sentence| Err(Misfit::new(MisfitKind::NoRows, sentence));
    let found = match container {
        Container::File if body.is_empty() => {
            return no_rows("the body is empty: send an Arrow file");
        }
        Container::File => file::open(body)?,
        Container::Stream if body.is_empty() => {
            return no_rows("the body is empty: send an Arrow stream");
        }
        Container::Stream => stream::open(body)?,
    };
    let schema = schema::taken_over(found.schema)?;
    let chosen = chosen_columns(&schema, inputs, companions)?;
    for (index, element) in &chosen {
        columns::supported(schema.field(*index), *element)?;
    }
    let places: Vec<usize> = chosen.iter().map(|(index, _)| *index).collect();
    let batches = batches::read(body, &found, &schema, &places)?;
    if batches.is_empty() {
        return no_rows(match container {
            Container::File => "the Arrow file has no rows",
            Container::Stream => "the Arrow stream has no rows",
        });
    }
    let mut allowance = leaf::Allowance::new();
    let held = chosen.iter().enumerate().map(|(place, (index, element))| {
        let parts: Vec<ArrayRef> =
            batches.iter().map(|batch| batch.column(place).clone()).collect();
        columns::read(schema.field(*index), *element, &parts, &mut allowance)
    });
    let held = held.collect::<Result<Vec<_>, Misfit>>()?;
    Decoded::new(batches.iter().map(RecordBatch::num_rows).sum(), held)
}

/// Reads all columns of a stream that holds but the types that a journal has.
pub(super) fn read_journal(body: Vec<u8>) -> Result<(Schema, Vec<RecordBatch>), Misfit> {
    let body = aligned(body);
    let read = || {
        let found = stream::open(&body)?;
        let schema = schema::taken_over(found.schema)?;
        if !schema.fields().iter().all(|field| is_of_a_journal(field.data_type())) {
            return Err(unreadable("it has columns of a type that no journal has"));
        }
        let places: Vec<usize> = (0..schema.fields().len()).collect();
        let batches = batches::read(&body, &found, &schema, &places)?;
        Ok((schema, batches))
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(_) => Err(unreadable("its metadata contradict each other")),
    }
}

/// Reads the columns of a body that hold numbers and texts, or flat lists and groups of them; others
/// are passed over.
#[cfg(feature = "ops")]
pub(super) fn read_values(container: Container, body: Vec<u8>) -> Result<Vec<RecordBatch>, Misfit> {
    let body = aligned(body);
    let read = || {
        let found = match container {
            Container::File => file::open(&body)?,
            Container::Stream => stream::open(&body)?,
        };
        let schema = schema::taken_over(found.schema)?;
        let fields = schema.fields().iter().enumerate();
        let places = fields.filter(|(_, field)| is_of_values(field.data_type()));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        batches::read(&body, &found, &schema, &places)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(_) => Err(unreadable("its metadata contradict each other")),
    }
}

#[cfg(feature = "ops")]
#[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are passed over")]
fn is_of_values(data_type: &DataType) -> bool {
    match data_type {
        DataType::LargeUtf8 => true,
        DataType::LargeList(child) | DataType::FixedSizeList(child, _) => {
            is_of_values(child.data_type())
        }
        DataType::Dictionary(_, values) => {
            matches!(**values, DataType::Utf8 | DataType::LargeUtf8)
        }
        other => is_of_a_journal(other),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are refused")]
fn is_of_a_journal(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::Utf8 => true,
        DataType::List(child) => is_of_a_journal(child.data_type()),
        DataType::Struct(children) => {
            children.iter().all(|child| is_of_a_journal(child.data_type()))
        }
        other => other.is_integer() || other.is_floating(),
    }
}

/// The places of the wanted columns, in the body's order, each with its input's element type.
fn chosen_columns(
    schema: &Schema,
    inputs: &[Port],
    companions: &[String],
) -> Result<Vec<(usize, ElementType)>, Misfit> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut chosen = wanted::choose(&names, inputs)?;
    chosen.extend(wanted::beside(&names, &chosen, companions));
    for index in &chosen {
        let name = names[*index];
        if 1 < names.iter().filter(|other| **other == name).count() {
            return Err(unreadable(format!("it has two columns `{name}`")).column(name));
        }
    }
    // A companion is no model's input, and keeps its own type as any column of Arrow does.
    let own = std::iter::repeat(ElementType::String);
    let elements = inputs.iter().map(|port| port.element).chain(own);
    let mut chosen: Vec<(usize, ElementType)> = chosen.into_iter().zip(elements).collect();
    chosen.sort_unstable_by_key(|(index, _)| *index);
    Ok(chosen)
}
