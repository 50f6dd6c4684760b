//! A batch in LZ4 made into the same batch without compression, its wanted buffers one after the other.

use super::compression::length_of;
use super::layout::Slot;
use super::{lz4, unreadable};
use crate::tensor::Misfit;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::{FieldNode, RecordBatch, RecordBatchArgs};
use flatbuffers::FlatBufferBuilder;

/// Where a buffer begins: at a line of the processor's cache, as Arrow's own are laid out.
const ALIGNMENT: usize = 64;

/// The decompressed data of a batch, and the metadata that describe it.
pub(super) struct Inflated {
    metadata: Vec<u8>,
    pub(super) data: Buffer,
}

impl Inflated {
    /// Decompresses the buffers of `batch` that the slots want, all of which
    /// [`check`](super::message::check) has agreed to. Those that no slot wants are empty: the
    /// decoder passes over them.
    pub(super) fn of(
        batch: RecordBatch<'_>,
        data: &[u8],
        slots: &[Slot],
    ) -> Result<Inflated, Misfit> {
        let mut places = Vec::new();
        let mut end = 0;
        for (index, buffer) in batch.buffers().into_iter().flatten().enumerate() {
            let is_wanted = slots.get(index).is_some_and(|slot| slot.wanted);
            // The check has put every one of them inside the data.
            let bytes = match is_wanted {
                true => &data[buffer.offset() as usize..][..buffer.length() as usize],
                false => &[],
            };
            places.push((end, bytes, length_of(bytes)?));
            end += length_of(bytes)?.next_multiple_of(ALIGNMENT);
        }
        let mut inflated = MutableBuffer::from_len_zeroed(end);
        let mut buffers = Vec::with_capacity(places.len());
        for (start, bytes, length) in places {
            inflate(bytes, &mut inflated[start..start + length])?;
            buffers.push(arrow_ipc::Buffer::new(start as i64, length as i64));
        }
        let mut builder = FlatBufferBuilder::new();
        let nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
        let counts: Option<Vec<i64>> = batch.variadicBufferCounts().map(|all| all.iter().collect());
        let arguments = RecordBatchArgs {
            length: batch.length(),
            nodes: Some(builder.create_vector(&nodes)),
            buffers: Some(builder.create_vector(&buffers)),
            compression: None,
            variadicBufferCounts: counts.map(|counts| builder.create_vector(&counts)),
        };
        let root = RecordBatch::create(&mut builder, &arguments);
        builder.finish(root, None);
        Ok(Inflated { metadata: builder.finished_data().to_vec(), data: inflated.into() })
    }

    /// The batch, its buffers where they are now.
    pub(super) fn batch(&self) -> Result<RecordBatch<'_>, Misfit> {
        flatbuffers::root::<RecordBatch<'_>>(&self.metadata).map_err(unreadable)
    }
}

/// One buffer behind the prefix that tells its length.
fn inflate(bytes: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let Some((prefix, data)) = bytes.split_first_chunk() else { return Ok(()) };
    match i64::from_le_bytes(*prefix) {
        super::compression::STORED => out.copy_from_slice(data),
        0 => {}
        _ => lz4::decompress(data, out)
            .map_err(|why| unreadable(format!("a buffer is no sound LZ4 frame: {why}")))?,
    }
    Ok(())
}
