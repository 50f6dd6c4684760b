//! The wanted columns of a body's batches, decoded by Apache's decoder one checked message after
//! the other.

use super::compression::{Codec, Compression};
use super::inflated::Inflated;
use super::layout::Slot;
use super::message::{self, Found, Message, header_of, over_rows};
use super::{BATCHES_MAX, layout, over_batches, schema, unreadable};
use crate::codec::limits::ROWS_MAX;
use crate::tensor::Misfit;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_buffer::Buffer;
use arrow_data::transform::MutableArrayData;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{DictionaryBatch, MetadataVersion};
use arrow_schema::{DataType, Field, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// The batches that have rows, each with the chosen columns only.
///
/// Arrow's `FileDecoder` and `StreamDecoder` do the same over one more copy of the bookkeeping,
/// but the latter decodes what nobody asked for, and dictionaries of it.
pub(super) fn read(
    body: &Buffer,
    found: &Found<'_>,
    schema: &Schema,
    chosen: &[usize],
) -> Result<Vec<RecordBatch>, Misfit> {
    let decoder_schema = schema::for_decoder(schema, chosen);
    let mut reading = Reading {
        body,
        schema: Arc::new(decoder_schema),
        chosen,
        dictionary_types: schema::dictionaries(found.schema, schema, chosen)?,
        dictionaries: HashMap::new(),
        dictionary_bytes: HashMap::new(),
        compression: Compression::new(),
        rows: 0,
        batches: Vec::new(),
        seen: 0,
    };
    for message in &found.messages {
        reading.read(message)?;
    }
    Ok(reading.batches)
}

/// A body that is being read.
struct Reading<'b> {
    body: &'b Buffer,
    /// All columns, as the decoder shall take them.
    schema: Arc<Schema>,
    chosen: &'b [usize],
    dictionary_types: HashMap<i64, DataType>,
    dictionaries: HashMap<i64, ArrayRef>,
    dictionary_bytes: HashMap<i64, usize>,
    compression: Compression,
    rows: usize,
    batches: Vec<RecordBatch>,
    /// Batches with rows or without.
    seen: usize,
}

impl Reading<'_> {
    fn read(&mut self, message: &Message) -> Result<(), Misfit> {
        let body = self.body;
        let header = header_of(&body[message.metadata.clone()])?;
        let data = body.slice_with_length(message.data.start, message.data.len());
        if let Some(batch) = header.header_as_record_batch() {
            self.read_batch(batch, &data, header.version())
        } else if let Some(dictionary) = header.header_as_dictionary_batch() {
            self.read_dictionary(dictionary, &data, header.version())
        } else {
            Err(unreadable("a batch is something else"))
        }
    }

    fn read_batch(
        &mut self,
        batch: arrow_ipc::RecordBatch<'_>,
        data: &Buffer,
        version: MetadataVersion,
    ) -> Result<(), Misfit> {
        self.seen += 1;
        if BATCHES_MAX < self.seen {
            return Err(over_batches());
        }
        let slots =
            layout::slots(&self.schema, version, batch, |column| self.chosen.contains(&column));
        let rows = message::check(batch, data, &slots, &mut self.compression)?;
        self.rows += rows;
        if ROWS_MAX < self.rows {
            return Err(over_rows());
        }
        if 0 < rows {
            let all = (self.schema.clone(), Some(self.chosen));
            let batch = self.decoded((batch, data), &slots, all, version)?;
            self.batches.push(batch);
        }
        Ok(())
    }

    /// The batch of this schema, of which these columns are wanted, which [`check`](message::check) has agreed to.
    fn decoded(
        &self,
        (batch, data): (arrow_ipc::RecordBatch<'_>, &Buffer),
        slots: &[Slot],
        (schema, chosen): (Arc<Schema>, Option<&[usize]>),
        version: MetadataVersion,
    ) -> Result<RecordBatch, Misfit> {
        let inflated = match Compression::of(batch)? {
            Some(Codec::Lz4) => Some(Inflated::of(batch, data, slots)?),
            Some(Codec::Zstd) | None => None,
        };
        let (batch, data) = match &inflated {
            Some(inflated) => (inflated.batch()?, &inflated.data),
            None => (batch, data),
        };
        let decoder =
            RecordBatchDecoder::try_new(data, batch, schema, &self.dictionaries, &version);
        let decoder = decoder.map_err(unreadable)?.with_projection(chosen);
        decoder.read_record_batch().map_err(unreadable)
    }

    /// Takes a dictionary, unless no wanted column refers to it.
    fn read_dictionary(
        &mut self,
        dictionary: DictionaryBatch<'_>,
        data: &Buffer,
        version: MetadataVersion,
    ) -> Result<(), Misfit> {
        let id = dictionary.id();
        let Some(values) = self.dictionary_types.get(&id) else { return Ok(()) };
        let batch = dictionary.data().ok_or_else(|| unreadable("a dictionary has no values"))?;
        let schema = Arc::new(Schema::new(vec![Field::new("", values.clone(), true)]));
        let slots = layout::slots(&schema, version, batch, |_| true);
        let before = self.compression.bytes_left();
        message::check(batch, data, &slots, &mut self.compression)?;
        let more = data.len() + (before - self.compression.bytes_left());
        let bytes = self.dictionary_bytes.entry(id).or_default();
        if dictionary.isDelta() {
            // A new dictionary is made of the old and the new values.
            *bytes = bytes.saturating_add(more);
            self.compression.spend(*bytes)?;
        } else {
            *bytes = more;
        }
        let read = self.decoded((batch, data), &slots, (schema, None), version)?;
        let mut values = read.column(0).clone();
        if dictionary.isDelta() {
            let known = self.dictionaries.get(&id).ok_or_else(|| {
                unreadable(format!("values are added to dictionary {id}, which has not come yet"))
            })?;
            values = joined(known, &values)?;
        }
        self.dictionaries.insert(id, values);
        Ok(())
    }
}

/// The values of both, which have one type.
fn joined(known: &ArrayRef, more: &ArrayRef) -> Result<ArrayRef, Misfit> {
    let (known, more) = (known.to_data(), more.to_data());
    let room = known.len() + more.len();
    let mut all =
        MutableArrayData::try_new(vec![&known, &more], false, room).map_err(unreadable)?;
    all.try_extend(0, 0, known.len()).map_err(unreadable)?;
    all.try_extend(1, 0, more.len()).map_err(unreadable)?;
    Ok(make_array(all.freeze()))
}

#[cfg(test)]
mod tests;
