//! Bodies for tests, made with Arrow's own writers.

use super::{Container, decode};
use crate::tensor::{Column, ElementType, Misfit, Port};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

/// A body of these batches.
pub(in crate::codec) fn body(
    container: Container,
    compression: Option<CompressionType>,
    batches: &[RecordBatch],
) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let schema = batches[0].schema();
    match container {
        Container::File => {
            let writer = FileWriter::try_new_with_options(Vec::new(), &schema, options);
            let mut writer = writer.unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.into_inner().unwrap()
        }
        Container::Stream => {
            let writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options);
            let mut writer = writer.unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.into_inner().unwrap()
        }
    }
}

/// A batch with one column, `tensor`.
pub(super) fn one(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("tensor", array, true)]).unwrap()
}

/// The one column of a body, for an input of this element type.
pub(super) fn read(
    container: Container,
    body: Vec<u8>,
    element: ElementType,
) -> Result<Column<'static>, Misfit> {
    let port = Port { name: "tensor".into(), element, dimensions: vec![] };
    let decoded = decode(container, body, &[port], &[])?;
    let table = decoded.table();
    let column = &table.columns()[0];
    let (name, row_shape) = (column.name.to_string().into(), column.row_shape.clone());
    Ok(Column { name, row_shape, data: column.data.clone().into_owned() })
}

/// As [`read`], from a stream of one batch with this array.
pub(super) fn read_one(array: ArrayRef, element: ElementType) -> Result<Column<'static>, Misfit> {
    read(Container::Stream, body(Container::Stream, None, &[one(array)]), element)
}
